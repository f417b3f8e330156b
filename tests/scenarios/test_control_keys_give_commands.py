"""A control key gives commands: each with a mandate for exactly that, in its own zone, and on record."""

import json

import pytest

from tests.support.deployment import API, READ, Zone, unique
from tests.support.published_client import run_published

VERBS = ("read", "write", "delete")
COMMANDS = ("app", "resource", "identity-provider", "policy", "policy-set")
ALL = [f"control:{command}:{verb}" for command in COMMANDS for verb in VERBS]
TRAITS = ["control:invoke", *(f"control:scope:{scope}" for scope in ALL)]
DOCUMENT = "# caracal:data-document\npackage caracal.authz\nrestrict := []\n"


@pytest.fixture(scope="module")
def zone(deployment) -> Zone:
    applications = [{"name": "agent"}, {"name": "operator", "traits": TRAITS}]
    return deployment.zone(applications=applications, policy=None)


def mint(zone: Zone, *scopes: str) -> str:
    answer = zone.agent("operator").token(
        zone_id=None, resource="caracal-control", scope=" ".join(scopes)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def invoke(zone: Zone, command: str, subcommand: str, asked=(), token=None, also=(), **flags):
    url = f"{zone.deployment.running.control}/v1/control/invoke"
    bearer = token or mint(zone, *(asked or ALL))
    body = {"command": command, "subcommand": subcommand, "flags": flags}
    carried = {"authorization": f"Bearer {bearer}", **dict(also)}
    return zone.deployment.http.post(url, json=body, headers=carried)


def done(zone: Zone, command: str, subcommand: str, **flags):
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    answer = invoke(zone, command, subcommand, **named)
    assert (answer.status_code, answer.json()["ok"]) == (200, True), answer.text
    return answer.json()["result"]


def refused(answer) -> tuple[int, str]:
    body = answer.json()
    assert not body["ok"]
    assert body["error"]["reason"]
    return answer.status_code, body["error"]["code"]


CLIENT = """
from caracalai_admin import ControlClient, ControlClientError
client = ControlClient(
    sts_url=given.control, control_url=given.control, audience="caracal-control",
    application_id=given.application, client_secret=given.secret,
)
said["made"] = client.invoke("app", "create", {"name": given.name}, ["control:app:write"])
said["names"] = [a["name"] for a in client.invoke("app", "list", {}, ["control:app:read"])]
def why(*asked):
    try:
        client.invoke(*asked)
    except ControlClientError as error:
        return [error.stage, error.status, error.code, error.definitive]
said["missing"] = why("app", "get", {"id": "none"}, ["control:app:read"])
said["denied"] = why("app", "delete", {"id": said["made"]["id"]}, ["control:app:read"])
said["unsupported"] = why("workload", "list", {}, ["control:app:read", "control:app:write"])
"""


def test_the_published_control_client_gives_commands(zone):
    operator, name = zone.agent("operator"), unique("bot")
    said = run_published(
        CLIENT,
        control=zone.deployment.running.control,
        application=operator.application,
        secret=operator.secret,
        name=name,
    )
    assert said["made"]["client_secret"]
    assert name in said["names"]
    assert said["missing"] == ["invoke", 404, "not_found", True]
    assert said["denied"] == ["invoke", 403, "denied", True]
    assert said["unsupported"] == ["invoke", 403, "denied", True]
    made = zone.evidence(kind="zone.apply")[0]
    assert made["actor"] == f"control key operator ({operator.application})"
    denied = zone.evidence(kind="admin.refused")
    assert any("control:app:delete" in one.get("detail", "") for one in denied)


def test_a_policy_is_kept_put_into_effect_and_tried_by_command(zone):
    application = zone.agent().application
    grants = {API: {"application": "it", "roles": {"r": [READ]}}}
    content = (
        f"{DOCUMENT}app_ids := {json.dumps({'it': application})}\ngrants := {json.dumps(grants)}"
    )
    assert done(zone, "policy", "validate", content=content)["valid"]
    made = done(zone, "policy", "create", name=unique("p"), content=content)
    again = done(zone, "policy", "version", id=made["id"], content=content + "\n")
    name = unique("s")
    kept = done(zone, "policy-set", "create", name=name)
    version = done(zone, "policy-set", "version", id=kept["id"], policy_versions=again["id"])
    given = {"id": kept["id"], "version": version["id"]}
    assert done(zone, "policy-set", "activate", **given)["activated"]
    tried = done(zone, "policy-set", "simulate", **given, input=json.dumps({"resource": {}}))
    assert tried["result"]["decision"] == "deny"
    sets = {one["name"]: one for one in done(zone, "policy-set", "list")}
    assert sets[name]["active_version_id"] == version["id"]
    assert done(zone, "policy-set", "get", id=kept["id"])["versions"][0]["id"] == version["id"]
    assert done(zone, "policy-set", "delete", id=kept["id"]) is None
    assert done(zone, "policy", "delete", id=made["id"]) is None


def test_resources_and_providers_are_made_and_changed_by_command(zone):
    provider = done(
        zone,
        "identity-provider",
        "create",
        name="Key",
        identifier=f"provider://{unique('key')}",
        kind="bearer_token",
        config=json.dumps({"bearer_token": unique("never shown, long enough")}),
    )
    resource = done(
        zone,
        "resource",
        "create",
        name="Files",
        identifier=f"resource://{unique('files')}",
        scopes="files:read, files:write",
        upstream_url=zone.deployment.upstream.url,
        credential_provider_id=provider["id"],
        operations=json.dumps([{"method": "GET", "path": "/", "scope": "files:read"}]),
    )
    assert resource["scopes"] == ["files:read", "files:write"]
    changed = done(zone, "resource", "patch", id=resource["id"], scopes=["files:read"])
    assert changed["scopes"] == ["files:read"]
    bound = done(zone, "resource", "patch", id=resource["id"], credential_provider_id=None)
    assert bound["credential_provider_id"] is None


@pytest.mark.parametrize(
    ("command", "subcommand", "flags", "answer"),
    [
        ("zone", "delete", {}, (403, "denied")),
        ("app", "obliterate", {}, (403, "denied")),
        ("app", "get", {}, (400, "invalid")),
        ("app", "list", {"all": "yes"}, (400, "invalid")),
        ("app", "list", {f"f{n}": 1 for n in range(33)}, (400, "invalid")),
        ("app", "list", {"f" * 65: 1}, (400, "invalid")),
        ("app", "get", {"id": ["x"] * 65}, (400, "invalid")),
        ("app", "get", {"id": {"a": 1}}, (400, "invalid")),
        ("app", "create", {"name": "x" * 131_073}, (400, "invalid")),
        ("app", "create", {"name": "agent"}, (409, "conflict")),
        ("resource", "create", {"operations": "[", "scopes": 1}, (400, "invalid")),
        ("policy", "validate", {"content": "allow := true"}, (400, "invalid")),
        ("policy", "get", {"id": "none"}, (404, "not_found")),
        ("state", "apply", {"document": "{}"}, (400, "invalid")),
        ("state", "apply", {"document": '{"objects": []}', "x": 1}, (400, "invalid")),
        ("ensure", "application", {"spec": "{}"}, (400, "invalid")),
        ("ensure", "application", {"spec": '{"name": "a", "dry": 1}'}, (400, "invalid")),
        ("ensure", "application", {"spec": '{"name": "a"}', "dry-run": 7}, (400, "invalid")),
        ("ensure", "application", {"spec": '{"name": "a", "zone": "b"}'}, (409, "zone_mismatch")),
        (
            "ensure",
            "application",
            {"spec": '{"name": "a", "traits": ["control:invoke"]}'},
            (403, "denied"),
        ),
        (
            "state",
            "plan",
            {"document": '{"objects": [{"kind": "zone", "spec": {}}]}'},
            (400, "invalid"),
        ),
    ],
)
def test_what_is_no_command_is_refused_in_known_words(zone, command, subcommand, flags, answer):
    assert refused(invoke(zone, command, subcommand, **flags)) == answer


@pytest.mark.parametrize("command", ["workload", "approval", "authority-record"])
def test_what_there_is_not_is_said_to_be_unsupported(deployment, command):
    traits = ["control:invoke", f"control:scope:control:{command}:read"]
    zone = deployment.zone(applications=[{"name": "operator", "traits": traits}])
    answer = invoke(zone, command, "list", [f"control:{command}:read"])
    assert refused(answer) == (501, "unsupported")


def test_a_mandate_is_good_for_one_command_in_one_zone(zone, deployment):
    token = mint(zone, "control:app:read")
    assert invoke(zone, "app", "list", token=token).status_code == 200
    assert refused(invoke(zone, "app", "list", token=token)) == (401, "token_replay")
    assert refused(invoke(zone, "app", "list", token="no.mandate.x")) == (401, "unauthorized")
    operator = deployment.running.token
    assert refused(invoke(zone, "app", "list", token=operator)) == (401, "unauthorized")
    elsewhere = {"x-caracal-zone-scope": deployment.zone().id}
    assert refused(invoke(zone, "app", "list", also=elsewhere)) == (403, "denied")
    url = f"{deployment.running.control}/v1/control/invoke"
    headers = {"authorization": f"Bearer {mint(zone, 'control:app:read')}"}
    body = b'{"command": "app", "command": "policy"}'
    assert refused(deployment.http.post(url, content=body, headers=headers)) == (400, "invalid")


def test_a_control_key_neither_changes_nor_removes_one(zone):
    key = zone.agent("operator").application
    for subcommand, more in (("delete", {}), ("rotate-secret", {}), ("patch", {"name": "x"})):
        answer = invoke(zone, "app", subcommand, id=key, **more)
        assert refused(answer) == (403, "denied"), subcommand
    assert invoke(zone, "app", "list").status_code == 200


def test_what_is_named_at_length_is_recorded_in_short(zone):
    long = "x" * 100_000
    assert invoke(zone, "app", "delete", id=long).status_code == 404
    entry = zone.evidence(kind="admin.refused")[0]
    assert 1000 < len(entry["target"]) < 2000


@pytest.mark.parametrize(
    "document",
    [
        '{"objects": [{"kind": "application", "kind": "policy", "spec": {"name": "x"}}]}',
        '{"objects": [{"kind": "policy", "spec": {"name": "x", "name": "y", "content": "z"}}]}',
        '{"objects": [{"kind": "policy", "spec": {"name": "x", "content": "\\ud800"}}]}',
        "{" * 2000,
    ],
)
def test_a_document_with_two_readings_is_none(zone, document):
    assert refused(invoke(zone, "state", "plan", document=document)) == (400, "invalid")


def test_the_catalog_describes_what_is_served(zone):
    said = done(zone, "catalog", "describe")
    commands = {one["command"]: one for one in said["commands"]}
    assert set(commands) == {*COMMANDS, "state", "ensure"}
    scopes = {one["subcommand"]: one["scope"] for one in commands["app"]["subcommands"]}
    assert (scopes["list"], scopes["rotate-secret"]) == ("control:app:read", "control:app:write")
    assert {one["kind"] for one in said["declarative"]["kinds"]} >= {"application", "policy-set"}


def state(zone: Zone, subcommand: str, *objects: tuple[str, dict], **flags):
    listed = [{"kind": kind, "spec": spec} for kind, spec in objects]
    return done(zone, "state", subcommand, document=json.dumps({"objects": listed}), **flags)


def test_a_document_is_planned_applied_verified_and_pruned(deployment):
    applications = [{"name": "operator", "traits": TRAITS}, {"name": "leftover"}]
    zone = deployment.zone(applications=applications, policy=None)
    upstream = zone.deployment.upstream.url
    objects = [
        ("application", {"name": "bot", "traits": ["team:a"], "zone": zone.id}),
        (
            "identity-provider",
            {
                "identifier": "provider://key",
                "name": "Key",
                "kind": "http_basic",
                "config": {"username": "u", "password": unique("never shown, long enough")},
            },
        ),
        (
            "resource",
            {
                "identifier": "resource://doc",
                "name": "Doc",
                "upstream_url": upstream,
                "scopes": ["b", "a"],
                "operations": [{"method": "get", "path": "/", "scope": "a"}],
            },
        ),
        ("policy", {"name": "rules", "content": DOCUMENT, "description": "of the team"}),
        ("policy-set", {"name": "set"}),
    ]
    objects[2][1]["operations"][0]["method"] = "GET"
    planned = state(zone, "plan", *objects)
    assert [one["action"] for one in planned["outcomes"]] == ["create"] * 5
    assert planned["dryRun"]
    assert planned["drift"]
    applied = state(zone, "apply", *objects)
    assert (applied["ok"], applied["summary"]["created"]) == (True, 5), applied
    verified = state(zone, "verify", *objects)
    assert (verified["drift"], verified["summary"]["unchanged"]) == (False, 5), verified
    objects[0][1]["traits"] = ["team:b"]
    objects[3][1]["content"] = DOCUMENT + "risk := []\n"
    changed = state(zone, "apply", *objects)
    assert [one.get("drift", []) for one in changed["outcomes"]] == [
        ["traits"],
        [],
        [],
        ["content"],
        [],
    ]
    pruned = state(zone, "apply", ("application", {"name": "bot"}), prune=True)
    assert [one["action"] for one in pruned["outcomes"]] == ["unchanged", "prune"]
    assert {one["name"] for one in done(zone, "app", "list")} == {"bot", "operator"}
    failed = state(zone, "apply", ("policy", {"name": "bad", "content": "x"}), objects[4])
    assert (failed["ok"], failed["summary"]["failed"]) == (False, 1)
    assert failed["outcomes"][0]["error"]["code"] == "invalid"


def test_a_document_needs_every_scope_before_anything_is_done(zone):
    document = json.dumps({"objects": [{"kind": "application", "spec": {"name": "unmade"}}]})
    for scopes in (["control:app:write"], ["control:app:read"]):
        answer = invoke(zone, "state", "apply", scopes, document=document)
        assert refused(answer) == (403, "denied")
    names = {one["name"] for one in done(zone, "app", "list")}
    assert "unmade" not in names
    spec = json.dumps({"name": "unmade"})
    answer = invoke(
        zone, "ensure", "application", ["control:app:read"], spec=spec, **{"dry-run": True}
    )
    assert answer.json()["result"]["outcomes"][0]["action"] == "create"
