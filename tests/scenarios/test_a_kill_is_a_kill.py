"""A killed session takes everything below it along, at once, though no mandate has expired."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.deployment import eventually, reason

CUT_SECONDS = 2.0


def test_the_next_call_of_every_descendant_is_refused_and_nobody_elses(deployment, upstream):
    zone = deployment.zone()
    agent, helper = zone.agent(), zone.agent("helper")
    top = agent.authority()
    below = top.hand_on(agent, agent.start(top.session))
    elsewhere = below.hand_on(helper)
    bystander = helper.authority()
    mandates = [one.mint() for one in (top, below, elsewhere, bystander)]

    zone.kill(top.root)

    before = len(upstream.to("/json"))
    for victim, mandate in zip((top, below, elsewhere), mandates[:3], strict=True):
        answer = victim.use(mandate, "/json")
        assert (answer.status_code, reason(answer)) == (401, "mandate_revoked")
        assert "has ended" in answer.text
        refused = victim.ask()
        assert refused.status_code in (401, 403), refused.text
    assert len(upstream.to("/json")) == before
    assert bystander.use(mandates[3], "/json").status_code == 200
    statuses = {
        item["agent_session_id"]: item["status"]
        for item in zone.operate("GET", "agents").json()["items"]
    }
    assert statuses[top.root] == statuses[top.session] == statuses[below.session] == "terminated"
    assert statuses[elsewhere.session] == statuses[bystander.session] == "active"


@pytest.mark.parametrize("path", ["/drip", "/events"])
def test_a_running_stream_is_cut_even_when_nothing_flows(deployment, upstream, path):
    zone = deployment.zone()
    authority = zone.agent().authority()
    with authority.stream(f"{path}?{zone.name}") as answer, ThreadPoolExecutor(1) as pool:
        assert answer.status_code == 200
        request_id = answer.headers["x-request-id"]
        started = time.monotonic()
        ending = pool.submit(zone.kill, authority.root)
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        assert time.monotonic() - started < CUT_SECONDS
        ending.result()
    result = zone.entry(request_id, "call.result")
    assert result["reason"] == "mandate_revoked"
    [seen] = upstream.by_request(request_id)
    eventually(lambda: seen.gone)


def test_revoking_a_delegation_ends_what_was_handed_on_from_it_and_no_session_of_a_stranger(
    deployment,
):
    zone = deployment.zone()
    agent, helper = zone.agent(), zone.agent("helper")
    top = agent.authority()
    handed = top.hand_on(helper)
    further = handed.hand_on(agent)
    mandates = [one.mint() for one in (top, handed, further)]

    answer = zone.operate("PATCH", f"delegations/{handed.delegation}/revoke")
    assert answer.status_code == 200, answer.text

    answers = [
        one.use(it, "/json") for one, it in zip((top, handed, further), mandates, strict=True)
    ]
    assert [it.status_code for it in answers] == [200, 401, 401]
    assert reason(answers[1]) == reason(answers[2]) == "mandate_revoked"
    listed = zone.operate("GET", "agents").json()["items"]
    ended = [item["agent_session_id"] for item in listed if item["status"] != "active"]
    assert ended == [further.session]


def test_an_application_that_is_taken_out_of_the_zone_stops_at_once(deployment):
    zone = deployment.zone()
    authority = zone.agent().authority()
    mandate = authority.mint()
    zone.apply(applications=[{"name": "helper"}])
    answer = authority.use(mandate, "/json")
    assert (answer.status_code, reason(answer)) == (401, "mandate_revoked")
    assert authority.ask().status_code == 401
