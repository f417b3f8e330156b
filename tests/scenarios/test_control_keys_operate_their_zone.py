"""A control key operates its own zone through the admin API: within its traits, once per mandate, on record."""

import pytest

from tests.support.deployment import PERMIT_ALL, Agent, Zone, reason

READER = ["control:invoke", "control:scope:control:zone:read"]
WRITER = [*READER, "control:scope:control:zone:write"]
BOTH = "control:zone:read control:zone:write"


@pytest.fixture
def zone(deployment) -> Zone:
    applications = [
        {"name": "agent"},
        {"name": "reader", "traits": READER},
        {"name": "writer", "traits": WRITER},
    ]
    return deployment.zone(applications=applications)


def mint(agent: Agent, scope: str = BOTH) -> str:
    answer = agent.token(zone_id=None, resource="caracal-control", scope=scope)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def operate(zone: Zone, token: str, method: str, path: str = "", **more):
    url = f"{zone.deployment.running.control}/v1/zones{path}"
    headers = {"authorization": f"Bearer {token}"}
    return zone.deployment.http.request(method, url, headers=headers, **more)


def apply(zone: Zone, **changes):
    document = zone.document | changes
    return operate(zone, mint(zone.agent("writer")), "PUT", f"/{zone.name}", json=document)


def test_a_reader_reads_its_zone_and_changes_nothing(zone):
    reader = zone.agent("reader")
    answer = operate(zone, mint(reader, "control:zone:read"), "GET", f"/{zone.name}")
    assert (answer.status_code, answer.json()["id"]) == (200, zone.id)
    token = mint(reader, "control:zone:read")
    refused = operate(zone, token, "PUT", f"/{zone.name}", json=zone.document)
    assert (refused.status_code, reason(refused)) == (403, "operator_scope_missing")
    beyond = reader.token(zone_id=None, resource="caracal-control", scope=BOTH)
    assert (beyond.status_code, reason(beyond)) == (403, "control_scope_exceeded")


def test_a_writer_applies_its_zone_and_the_evidence_names_it(zone):
    answer = apply(zone, policy=PERMIT_ALL + '@id("no")\nforbid (principal, action, resource);\n')
    assert answer.status_code == 200, answer.text
    assert [change["kind"] for change in answer.json()["changes"]] == ["policy"]
    entry = next(entry for entry in zone.evidence(kind="zone.apply"))
    writer = zone.agent("writer")
    assert entry["actor"] == f"control key writer ({writer.application})"
    minted = [entry for entry in zone.evidence(kind="exchange") if "policies" in entry]
    assert minted[0]["policies"] == ["control-key"]


def test_a_mandate_is_good_for_one_request(zone):
    token = mint(zone.agent("writer"))
    assert operate(zone, token, "GET", f"/{zone.name}").status_code == 200
    again = operate(zone, token, "GET", f"/{zone.name}")
    assert (again.status_code, reason(again)) == (401, "mandate_replayed")


@pytest.mark.parametrize(
    "traits",
    [
        [*WRITER, "control:max-ttl:900"],
        [*WRITER, "control:scope:control:operators:write"],
        READER,
        [],
    ],
)
def test_a_control_key_changes_no_control_key(zone, traits):
    applications = [{"name": "agent"}, {"name": "reader", "traits": READER}]
    answer = apply(zone, applications=[*applications, {"name": "writer", "traits": traits}])
    assert (answer.status_code, reason(answer)) == (403, "control_key_protected")


def test_a_control_key_makes_and_removes_no_control_key_and_has_no_secret_of_one(zone):
    present = zone.document["applications"]
    for applications in ([*present, {"name": "more", "traits": READER}], present[:1], present[1:]):
        answer = apply(zone, applications=applications)
        allowed = applications == present[1:]
        assert answer.status_code == (200 if allowed else 403), answer.text
    writer = zone.agent("writer")
    renewed = operate(zone, mint(writer), "POST", f"/{zone.name}/applications/reader/secret")
    assert (renewed.status_code, reason(renewed)) == (403, "control_key_protected")
    assert (
        zone.agent("reader")
        .token(zone_id=None, resource="caracal-control", scope="control:zone:read")
        .status_code
        == 200
    )


def test_a_control_key_has_no_business_beyond_its_zone(zone, deployment):
    other = deployment.zone()
    writer = zone.agent("writer")
    http, control = deployment.http, deployment.running.control
    for method, path in (
        ("GET", f"/v1/zones/{other.name}"),
        ("GET", "/v1/zones/no-such-zone"),
        ("GET", "/v1/zones"),
        ("GET", "/v1/status"),
        ("GET", "/v1/operators"),
        ("POST", "/v1/keys/reseal"),
    ):
        headers = {"authorization": f"Bearer {mint(writer)}"}
        answer = http.request(method, f"{control}{path}", headers=headers)
        assert (answer.status_code, reason(answer)) == (403, "control_key_zone"), path
    new = operate(
        zone, mint(writer), "PUT", "/brand-new", json=zone.document | {"zone": "brand-new"}
    )
    assert (new.status_code, reason(new)) == (403, "control_key_zone")
    refused = zone.evidence(kind="admin.refused")
    assert {entry["reason"] for entry in refused} == {"control_key_zone"}
    assert len(refused) == 7


def test_other_edges_take_no_control_mandate(zone, deployment):
    writer = zone.agent("writer")
    http, running = deployment.http, deployment.running
    for url in (
        f"{running.control}/zones/{zone.id}/agents",
        f"{running.control}/v1/zones/{zone.id}/evidence",
        f"{running.gateway}/json",
    ):
        headers = {
            "authorization": f"Bearer {mint(writer)}",
            "x-caracal-resource": "resource://api",
        }
        assert http.get(url, headers=headers).status_code == 401, url


def test_other_mandates_open_nothing_of_the_admin_api(zone):
    agent = zone.agent()
    session = agent.token(scope="agent:lifecycle", resource="resource://api").json()["access_token"]
    answer = operate(zone, session, "GET", f"/{zone.name}")
    assert (answer.status_code, reason(answer)) == (401, "mandate_class")
    forged = operate(zone, "a.b.c", "GET", f"/{zone.name}")
    assert (forged.status_code, reason(forged)) == (401, "mandate_malformed")


def test_a_trait_that_is_taken_away_counts_at_once(zone):
    token = mint(zone.agent("writer"))
    applications = [entry | {"traits": []} for entry in zone.document["applications"]]
    zone.apply(applications=applications)
    answer = operate(zone, token, "GET", f"/{zone.name}")
    assert (answer.status_code, reason(answer)) == (403, "control_scope_exceeded")
    minted = zone.agent("writer").token(resource="caracal-control", scope=BOTH)
    assert (minted.status_code, reason(minted)) == (403, "control_key_required")


def test_an_expected_revision_is_held_to(zone):
    answer = operate(
        zone,
        mint(zone.agent("writer")),
        "PUT",
        f"/{zone.name}?expected_revision=7",
        json=zone.document | {"policy": PERMIT_ALL + "\n"},
    )
    assert (answer.status_code, reason(answer)) == (409, "zone_changed")


def test_a_zone_named_as_the_id_of_the_keys_own_is_out_of_reach(zone, deployment):
    other = deployment.zone(zone.id)
    for query in ("?plan=true", ""):
        document = other.document | {"policy": PERMIT_ALL + "\n"}
        token = mint(zone.agent("writer"))
        answer = operate(zone, token, "PUT", f"/{zone.id}{query}", json=document)
        assert (answer.status_code, reason(answer)) == (403, "control_key_zone"), query
