"""T46: who follows revocations to learn more than ids, to be told lies, or to be in the way of a kill."""

import contextlib
import time

import httpx
import pytest

from tests.support.deployment import reason
from tests.support.raw_http import connect


@pytest.fixture
def zone(deployment):
    return deployment.zone()


def url_of(zone):
    return f"{zone.deployment.running.control}/zones/{zone.id}/revocations"


def token_of(agent):
    answer = agent.token(scope="agent:lifecycle", resource=agent._any_resource())
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@contextlib.contextmanager
def listening(zone, headers):
    with (
        httpx.Client(trust_env=False, timeout=10) as http,
        http.stream("GET", url_of(zone), headers=headers) as answer,
    ):
        if answer.status_code != 200:
            answer.read()
        yield answer


def refused(zone, headers):
    with listening(zone, headers) as answer:
        assert answer.status_code != 200
        return answer.status_code, reason(answer)


def test_nobody_listens_without_a_credential_of_the_zone(deployment, zone, authority):
    stranger = deployment.zone().agent()
    assert refused(zone, {})[0] == 401
    assert refused(zone, {"authorization": "Bearer not-a-token"})[0] == 401
    assert refused(zone, token_of(stranger)) == (403, "mandate_zone")
    gateway = {"authorization": f"Bearer {authority.mint()}"}
    assert refused(authority.agent.zone, gateway) == (401, "mandate_class")
    for place in ("-1", "1 2", "9" * 30, "1,2", "%00"):
        assert refused(zone, token_of(zone.agent()) | {"last-event-id": place})[0] == 400


def test_a_listener_learns_ids_and_no_words_that_somebody_wrote(zone):
    agent = zone.agent()
    session = agent.start()
    answer = zone.operate("DELETE", f"agents/{session}?reason=Ada%20was%20let%20go")
    assert answer.status_code == 204
    with listening(zone, token_of(zone.agent("helper"))) as answer:
        lines = []
        for line in answer.iter_lines():
            lines.append(line)
            if line == "event: alive":
                break
    assert any(session in line for line in lines)
    assert not any("Ada" in line for line in lines)
    assert [entry["reason"] for entry in zone.evidence(kind="session.end")] == ["Ada was let go"]


def test_one_application_can_not_take_every_place_nor_hold_up_a_kill(zone):
    mine = token_of(zone.agent())
    with contextlib.ExitStack() as held:
        for _ in range(8):
            assert held.enter_context(listening(zone, mine)).status_code == 200
        assert refused(zone, mine) == (503, "overloaded")
        with listening(zone, token_of(zone.agent("helper"))) as other:
            assert other.status_code == 200
        session = zone.agent("helper").start()
        begun = time.monotonic()
        zone.kill(session)
        assert time.monotonic() - begun < 2
    deadline = time.monotonic() + 10
    while True:
        with listening(zone, mine) as again:
            if again.status_code == 200:
                break
        assert time.monotonic() < deadline, "places of those who went away are not free"


def test_a_listener_that_never_reads_costs_a_place_and_nothing_else(deployment, zone):
    token = token_of(zone.agent())["authorization"]
    path = f"/zones/{zone.id}/revocations"
    request = f"GET {path} HTTP/1.1\r\nhost: caracal\r\nauthorization: {token}\r\n\r\n"
    with contextlib.ExitStack() as held:
        for _ in range(8):
            connection = held.enter_context(connect(deployment.running.control))
            connection.sendall(request.encode())
        before = deployment.resident_bytes()
        for _ in range(20):
            zone.kill(zone.agent("helper").start())
        assert deployment.resident_bytes() - before < 64 * 1024 * 1024
        assert deployment.ready()["ok"]
