"""T3: a genuine mandate where it does not belong: too late, another zone, another class, another use."""

import time

import pytest

from tests.support.deployment import API, READ, eventually, reason


def test_a_mandate_at_the_end_of_its_life_is_not_used(authority, upstream):
    mandate = authority.mint(ttl_seconds=36)
    minted = time.monotonic()
    eventually(lambda: time.monotonic() - minted > 1.5)
    answer = authority.use(mandate, "/json")
    assert (answer.status_code, reason(answer)) == (401, "mandate_expiring")
    assert not upstream.by_request(answer.headers["x-request-id"])


def test_a_zone_takes_no_mandate_of_another(deployment, authority):
    other = deployment.zone()
    here, there = authority.agent, other.agent()
    control = deployment.running.control
    lifecycle = here.token(scope="agent:lifecycle", resource=API).json()["access_token"]
    listing = deployment.http.get(
        f"{control}/zones/{other.id}/agents", headers={"authorization": f"Bearer {lifecycle}"}
    )
    assert (listing.status_code, reason(listing)) == (403, "mandate_zone")
    foreign = there.token(
        scope=READ,
        resource=API,
        agent_session_id=authority.session,
        delegation_edge_id=authority.delegation,
    )
    assert foreign.status_code in (403, 404)
    handed = there.delegate(there.start(), authority.session, here, ttl_seconds=60)
    assert handed.status_code in (403, 404)
    # The zone is the mandate's own: a resource of the same name elsewhere is not reached.
    assert authority.call("/json").status_code == 200
    assert not other.evidence(kind="call", verdict="allow")


@pytest.mark.parametrize("where", ["gateway", "coordinator", "control"])
def test_each_door_takes_its_own_kind_of_token_only(deployment, authority, where):
    zone, agent = authority.agent.zone, authority.agent
    lifecycle = agent.token(scope="agent:lifecycle", resource=API).json()["access_token"]
    tokens = {
        "lifecycle": lifecycle,
        "gateway": authority.mint(),
        "operator": deployment.running.token,
        "secret": agent.secret,
    }
    takes = {"gateway": "gateway", "coordinator": "lifecycle", "control": "operator"}[where]
    urls = {
        "gateway": f"{deployment.running.gateway}/json",
        "coordinator": f"{deployment.running.control}/zones/{zone.id}/agents",
        "control": f"{deployment.running.control}/v1/zones/{zone.id}",
    }
    for kind, token in tokens.items():
        answer = deployment.http.get(urls[where], headers=authority.headers(token))
        # Operators may read what the Coordinator knows; that is documented.
        right = kind == takes or (where, kind) == ("coordinator", "operator")
        assert (answer.status_code == 200) is right, (where, kind, answer.text)
        assert answer.status_code in ((200,) if right else (400, 401, 403))


def test_a_mandate_for_one_resource_does_not_call_another(deployment, upstream):
    zone = deployment.zone()
    [resource] = zone.document["resources"]
    zone.apply(resources=[resource, resource | {"identifier": "resource://else"}])
    authority = zone.agent().authority()
    answer = authority.use(
        authority.mint(), "/json", headers={"x-caracal-resource": "resource://else"}
    )
    assert (answer.status_code, reason(answer)) == (403, "target_mismatch")
    assert not upstream.by_request(answer.headers["x-request-id"])


def test_nobody_acts_in_a_session_of_another_application(deployment):
    zone = deployment.zone()
    agent, helper = zone.agent(), zone.agent("helper")
    held = agent.authority()
    for act in (
        lambda: helper.steer("DELETE", f"agents/{held.session}"),
        lambda: helper.steer("PATCH", f"agents/{held.session}/suspend"),
        lambda: helper.steer("GET", f"agents/{held.session}/effective-authority"),
        lambda: helper.steer("PATCH", f"delegations/{held.delegation}/revoke"),
        lambda: helper.token(
            scope=READ,
            resource=API,
            agent_session_id=held.session,
            delegation_edge_id=held.delegation,
        ),
    ):
        assert act().status_code in (403, 404)
    assert held.call("/json").status_code == 200
