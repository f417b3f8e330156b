"""Apart, the services keep every promise that they keep in one process."""

import json
import time
from base64 import urlsafe_b64decode as b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from caracal.authority.narrowing import Link
from caracal.authority.scopes import ScopeSet
from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import parse_receipt, verify_receipt
from caracal.tokens.holders import HolderKey, render_holder, thumbprint
from caracal.tokens.links import sign_link
from tests.apart.conftest import GRAPH_SECONDS
from tests.support.deployment import READ, WRITE, eventually, reason

CUT_SECONDS = 2.0
SECRET = "the-upstream-credential"
PERMIT_READS = f"""@id("reads")
permit (principal, action == Action::"{READ}", resource);
"""


def with_credential(**more):
    provider = {"name": "token", "kind": "bearer_token", "secret": SECRET} | more
    return {"providers": [provider]}


def resources(deployment, **more):
    return [
        {
            "identifier": "resource://api",
            "upstream": deployment.upstream.url,
            "operations": {"GET /{path*}": READ, "POST /{path*}": WRITE},
        }
        | more
    ]


def test_a_call_is_governed_and_on_record(deployment, upstream):
    zone = deployment.zone(**with_credential(), resources=resources(deployment, provider="token"))
    authority = zone.agent().authority()
    answer = authority.call("/json")
    assert answer.status_code == 200, answer.text
    request_id = answer.headers["x-request-id"]
    [seen] = upstream.by_request(request_id)
    assert seen.header("authorization") == f"Bearer {SECRET}"
    assert zone.entry(request_id, "call")["verdict"] == "allow"
    assert zone.entry(request_id, "call.result")["status"] == 200
    mandate = zone.entry(request_id, "call")["mandate"]
    [minted] = [one for one in zone.evidence(kind="exchange") if one.get("mandate") == mandate]
    assert minted["verdict"] == "allow"


def test_audit_answers_the_receipt_of_what_another_service_decided(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    control = deployment.running.control
    url = f"{control}/v1/zones/{zone.id}/evidence/key"
    key = parse_verifier_key(deployment.http.get(url, headers=deployment.operator).text.strip())
    answers = (authority.ask(READ), authority.ask("api:unknown"), authority.call("/json"))
    for answer, kind in zip(answers, ("exchange", "exchange", "call"), strict=True):
        reference = answer.headers["caracal-receipt"]
        receipt = deployment.http.get(f"{control}/v1/receipts/{reference}")
        assert receipt.status_code == 200, receipt.text
        entry = json.loads(verify_receipt(parse_receipt(receipt.text), key).entry)
        assert (entry["kind"], entry["application"]) == (kind, authority.agent.application)


def test_what_policy_does_not_permit_never_reaches_the_upstream(deployment, upstream):
    zone = deployment.zone(policy=PERMIT_READS)
    authority = zone.agent().authority()
    refused = authority.ask(WRITE)
    assert (refused.status_code, reason(refused)) == (403, "policy_no_permit")
    mandate = authority.mint(READ)
    before = len(upstream.received)
    answer = authority.use(mandate, "/json", "POST")
    assert (answer.status_code, reason(answer)) == (403, "operation_scope_missing")
    assert len(upstream.received) == before
    assert zone.entry(answer.headers["x-request-id"], "call")["verdict"] == "refuse"


def test_a_mandate_is_used_once(deployment):
    authority = deployment.zone().agent().authority()
    mandate = authority.mint()
    answers = [authority.use(mandate, "/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert reason(answers[1]) == "mandate_replayed"


def test_what_was_answered_counts_for_every_service_at_once(deployment):
    zone = deployment.zone()
    agent = zone.agent()
    for _ in range(10):
        authority = agent.authority()
        mandate = authority.mint()
        assert authority.use(mandate, "/json").status_code == 200
        late = authority.mint()
        zone.kill(authority.root)
        refused = authority.use(late, "/json")
        assert (refused.status_code, reason(refused)) == (401, "mandate_revoked")
        assert authority.ask().status_code in (401, 403)


def test_a_policy_that_was_applied_counts_from_the_next_call_on(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    for _ in range(5):
        mandate = authority.mint(WRITE)
        zone.apply(policy=PERMIT_READS)
        refused = authority.use(mandate, "/echo", "POST")
        assert (refused.status_code, reason(refused)) == (403, "policy_no_permit")
        assert authority.ask(WRITE).status_code == 403
        zone.apply(policy='@id("all")\npermit (principal, action, resource);\n')
        assert authority.call("/echo", "POST").status_code == 200


def test_a_running_stream_is_cut_even_when_nothing_flows(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    with authority.stream(f"/events?{zone.name}") as answer, ThreadPoolExecutor(1) as pool:
        assert answer.status_code == 200
        request_id = answer.headers["x-request-id"]
        started = time.monotonic()
        ending = pool.submit(zone.kill, authority.root)
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        assert time.monotonic() - started < CUT_SECONDS
        ending.result()
    assert zone.entry(request_id, "call.result")["reason"] == "mandate_revoked"
    [seen] = upstream.by_request(request_id)
    eventually(lambda: seen.gone)


def test_delegated_authority_narrows_and_falls_with_what_it_came_from(deployment):
    zone = deployment.zone()
    agent, helper = zone.agent(), zone.agent("helper")
    top = agent.authority()
    handed = top.hand_on(helper, scopes=[READ])
    assert handed.call("/json").status_code == 200
    refused = handed.ask(WRITE)
    assert (refused.status_code, reason(refused)) == (403, "delegation_scope_exceeded")
    mandate = handed.mint()
    answer = zone.operate("PATCH", f"delegations/{handed.delegation}/revoke")
    assert answer.status_code == 200, answer.text
    assert reason(handed.use(mandate, "/json")) == "mandate_revoked"


def test_the_sts_proves_a_narrowed_mandate_itself_before_it_signs_for_an_upstream(
    deployment, upstream
):
    provider = {"name": "own", "kind": "caracal_mandate", "scheme": "Bearer"}
    zone = deployment.zone(providers=[provider], resources=resources(deployment, provider="own"))
    authority, key = zone.agent().authority(), HolderKey.generate()
    root = authority.mint(f"{READ} {WRITE}", holder_jwk=render_holder(key.holder).decode())
    now = datetime.now(UTC)
    link = Link("a1", ScopeSet.of(READ), ("resource://api",), now, now + timedelta(seconds=300))
    chain = f"{root}~{sign_link(root.encode(), link, key).decode()}"
    answer = authority.use(chain, "/json")
    assert answer.status_code == 200, answer.text
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    claims = msgspec.json.decode(b64decode(seen.header("authorization").split(".")[1] + "=="))
    assert (claims["scope"], claims["use"]) == (READ, "resource")
    assert claims["exp"] <= int(link.expires_at.timestamp())
    assert [one["jkt"] for one in claims["narrowed_from"]] == [thumbprint(key.holder)]


def test_an_application_that_is_taken_out_of_the_zone_stops_at_once(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    zone.apply(applications=[{"name": "helper"}])
    refused = authority.use(mandate, "/json")
    assert (refused.status_code, reason(refused)) == (401, "mandate_revoked")
    assert authority.ask().status_code == 401


def test_a_new_signing_key_is_known_to_everybody_who_verifies(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    before, following = zone.keys()
    earlier = authority.mint()
    url = f"{deployment.running.control}/v1/zones/{zone.id}/keys/rotate"
    assert deployment.http.post(url, headers=deployment.operator).status_code == 200
    published = zone.keys()
    assert (published[0], published[-1], len(published)) == (following, before, 3)
    assert authority.use(earlier, "/json").status_code == 200
    assert authority.call("/json").status_code == 200
    zone.agent().start()


def test_a_resource_mandate_comes_from_the_sts(deployment, upstream):
    zone = deployment.zone(
        providers=[{"name": "mandate", "kind": "caracal_mandate"}],
        resources=resources(deployment, provider="mandate"),
    )
    answer = zone.agent().authority().call("/json")
    assert answer.status_code == 200, answer.text
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    scheme, _, token = seen.header("authorization").partition(" ")
    assert scheme == "Bearer"
    assert token.count(".") == 2


def test_the_evidence_of_all_five_verifies_offline(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    assert authority.call("/json").status_code == 200
    zone.kill(authority.root)
    report = zone.verify_evidence()
    kinds = {entry["kind"] for entry in zone.evidence()}
    assert kinds >= {"zone.apply", "exchange", "call", "session.start", "session.end"}
    assert report.entries >= len(kinds)


def test_each_service_has_its_start_on_record(deployment):
    url = f"{deployment.running.control}/v1/evidence/key"
    assert deployment.http.get(url, headers=deployment.operator).status_code == 200
    control = deployment.running.control
    zone = f"{control}/v1/zones/system/evidence"
    answer = deployment.http.get(
        zone, params={"kind": "service.start"}, headers=deployment.operator
    )
    started = {item["entry"]["target"] for item in answer.json()["items"]}
    assert started >= {
        f"caracal {one}" for one in ("sts", "gateway", "coordinator", "audit", "control")
    }


def test_what_each_service_decides_points_at_its_own_start(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    assert authority.call("/json").status_code == 200
    url = f"{deployment.running.control}/v1/zones/system/evidence"
    query = {"kind": "service.start", "limit": 500}
    answer = deployment.http.get(url, params=query, headers=deployment.operator)
    starts = {item["entry"]["request"]: item["entry"] for item in answer.json()["items"]}
    decided_by = {
        "exchange": "caracal sts", "call": "caracal gateway", "session.start": "caracal coordinator",
        "zone.apply": "caracal control",
    }  # fmt: skip
    told = {entry["kind"]: starts[entry["instance"]]["target"] for entry in zone.evidence()}
    assert told.items() >= decided_by.items()
    assert len({start["code"] for start in starts.values()}) == 1
    holds_policies = {start["target"] for start in starts.values() if "policy" in start}
    assert holds_policies == {"caracal sts", "caracal gateway", "caracal control"}


def test_the_status_tells_how_much_is_live(deployment):
    zone = deployment.zone()
    zone.agent().authority()

    def live():
        url = f"{deployment.running.control}/v1/status"
        status = deployment.http.get(url, headers=deployment.operator).json()
        [mine] = [one for one in status["zones"] if one["id"] == zone.id]
        return mine["counts"].get("sessions")

    assert eventually(live, seconds=GRAPH_SECONDS + 5) == 2


def test_a_zone_that_was_applied_can_be_worked_in_at_once(deployment):
    for _ in range(15):
        assert deployment.zone().agent().authority().call("/json").status_code == 200
