"""What is handed on is at most what is held, over two applications and three levels."""

import pytest

from tests.support.deployment import API, READ, WRITE, reason

NARROWER = {"scopes": [READ], "constraints": {"resources": [API], "max_hops": 3}}


@pytest.fixture
def levels(deployment):
    zone = deployment.zone()
    [resource] = zone.document["resources"]
    zone.apply(resources=[resource, resource | {"identifier": "resource://else"}])
    agent, helper = zone.agent(), zone.agent("helper")
    first = agent.authority()
    second = first.hand_on(helper, **NARROWER)
    limits = {"resources": [API], "max_hops": 1, "ttl_seconds": 60}
    third = second.hand_on(agent, ttl_seconds=600, scopes=[READ], constraints=limits)
    return first, second, third


def test_each_level_may_read_and_only_the_first_may_write(levels):
    first, second, third = levels
    assert [one.call("/json").status_code for one in levels] == [200, 200, 200]
    assert first.call("/sink", "POST", content=b"x").status_code == 200
    for narrowed in (second, third):
        answer = narrowed.ask(WRITE)
        assert (answer.status_code, reason(answer)) == (403, "delegation_scope_exceeded")


@pytest.mark.parametrize(
    ("wider", "why"),
    [
        ({"scopes": [READ, WRITE]}, "delegation_scope_exceeded"),
        ({"constraints": {"resources": [API], "max_hops": 10}}, "delegation_hops_exceeded"),
        ({"constraints": {"resources": ["resource://else"]}}, "delegation_resource_exceeded"),
        ({"ttl_seconds": 80_000}, "delegation_expiry_exceeded"),
    ],
)
def test_handing_on_more_than_is_held_is_refused(levels, wider, why):
    first, second, _ = levels
    helper, agent = second.agent, first.agent
    target = agent.start()
    asked = {"parent_edge_id": second.delegation, "ttl_seconds": 300, **NARROWER, **wider}
    answer = helper.delegate(second.session, target, agent, **asked)
    assert answer.status_code in (400, 403), answer.text
    assert reason(answer) == why


def test_the_last_hop_hands_on_to_nobody_and_its_mandates_are_short(levels):
    third = levels[-1]
    helper = levels[1].agent
    answer = third.agent.delegate(
        third.session,
        helper.start(),
        helper,
        parent_edge_id=third.delegation,
        ttl_seconds=60,
        scopes=[READ],
        constraints={"resources": [API]},
    )
    assert answer.status_code == 403, answer.text
    longer = third.ask(ttl_seconds=600)
    assert (longer.status_code, reason(longer)) == (403, "delegation_ttl_exceeded")
    assert third.ask().json()["expires_in"] <= 60


def test_nobody_hands_on_a_delegation_of_somebody_else(levels):
    first, _, third = levels
    answer = first.agent.delegate(
        first.session, first.agent.start(), first.agent, parent_edge_id=third.delegation
    )
    assert answer.status_code in (400, 403), answer.text


def test_without_a_delegation_no_scope_of_the_resource_is_to_be_had(deployment):
    agent = deployment.zone().agent()
    session = agent.start()
    answer = agent.token(scope=READ, resource=API, agent_session_id=session)
    assert (answer.status_code, reason(answer)) == (403, "delegation_required")
