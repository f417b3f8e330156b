"""What a governed call leaves behind, from outside: complete, valid, and pointing at the code that decided."""

import hashlib
import json

import httpx
import jsonschema

from caracal_server.assembly.installed import installed
from tests.support.deployment import WRITE
from tools.generate_schemas import ENTRY

BODY = b'{"row": 7}'


def everything(deployment, zone_id):
    url = f"{deployment.running.control}/v1/zones/{zone_id}/evidence"
    found, cursor = [], {}
    while True:
        query = {"limit": 500, **cursor}
        page = httpx.get(url, headers=deployment.operator, params=query).json()
        found += [item["entry"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_a_call_says_who_what_why_when_and_how_it_ended(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    answer = authority.use(authority.mint(WRITE), "/sink?row=7&a=%20", "POST", content=BODY)
    request = answer.headers["x-request-id"]
    call, result = zone.entry(request, "call"), zone.entry(request, "call.result")
    assert call["arguments"] == hashlib.sha256(b"row=7&a=%20").hexdigest()
    assert result["body"] == hashlib.sha256(BODY).hexdigest()
    assert result["answer"] == hashlib.sha256(answer.content).hexdigest()
    assert call["at"] <= call["sequenced_at"] <= result["sequenced_at"]
    assert call["sequenced_at"] - call["at"] < 60_000_000
    for said in (
        "application",
        "subject",
        "session",
        "resource",
        "operation",
        "policy",
        "policies",
    ):
        assert call[said], said
    sizes = {one["kind"]: len(json.dumps(one, separators=(",", ":"))) for one in (call, result)}
    assert max(sizes.values()) < 900, sizes


def test_every_decision_points_at_the_start_and_so_at_code_settings_and_policies(deployment):
    zone = deployment.zone()
    zone.agent().authority().call("/json")
    [start] = [one for one in everything(deployment, "system") if one["kind"] == "service.start"]
    assert start["code"] == installed().digest
    assert {one["instance"] for one in zone.evidence()} == {start["request"]}
    assert start["digest"]
    assert start["policy"]


def test_a_policy_that_changes_later_is_told_by_the_entry_of_its_change(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    before = zone.entry(authority.call("/json").headers["x-request-id"], "call")
    zone.apply(policy='@id("other")\npermit (principal, action, resource);\n')
    after = zone.entry(authority.call("/json").headers["x-request-id"], "call")
    applied = [one["policy"] for one in zone.evidence(kind="zone.apply")]
    assert before["policy"] != after["policy"]
    assert {before["policy"], after["policy"]} == set(applied)
    assert after["policies"] == ["other"]


def test_every_entry_is_as_the_schema_says(deployment):
    zone = deployment.zone()
    root = zone.agent().authority()
    root.call("/json")
    root.use("nonsense", "/json")
    root.ask("api:unknown")
    zone.kill(root.session)
    root.ask()
    check = jsonschema.Draft202012Validator(json.loads(ENTRY.read_text(encoding="utf-8")))
    seen = set()
    for log in (zone.id, "system"):
        for entry in everything(deployment, log):
            check.validate(entry)
            seen.add(entry["kind"])
    assert seen >= {
        "exchange",
        "call",
        "call.result",
        "session.start",
        "zone.apply",
        "service.start",
    }
    assert not check.is_valid(
        {"format": 1, "kind": "made up", "zone": "z", "at": 1, "request": "r"}
    )
