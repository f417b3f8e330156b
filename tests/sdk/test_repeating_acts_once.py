"""Requests are repeated where that acts once, and nowhere else; over connections that break."""

import httpx
import pytest

from caracal import AsyncCaracal, Caracal
from caracal.sdk import InvalidRequest, ServiceUnavailable, UnexpectedAnswer, Unreachable
from tests.sdk.breaking import breaking_proxy
from tests.sdk.clients import configured, live_sessions
from tests.support.deployment import API, READ

REFUSAL = b'{"error":"overloaded","reason":"overloaded"}'
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 44\r\nRetry-After: %d\r\n\r\n" + REFUSAL


@pytest.fixture
def proxy(zone):
    with breaking_proxy(zone.deployment.running.control) as it:
        yield it


def first_of(beginning: str):
    """Says yes the first time only."""
    left = [True]

    def look(line: str) -> bool:
        return line.startswith(beginning) and left.pop() if left else False

    return look


def all_of(beginning: str):
    return lambda line: line.startswith(beginning)


def count(proxy, beginning: str) -> int:
    return len([line for line in proxy.seen if line.startswith(beginning)])


def sessions_ever(zone) -> int:
    return len(zone.operate("GET", "agents?limit=500").json()["items"])


def test_a_start_whose_answer_is_lost_is_repeated_and_starts_one_session(zone, proxy):
    proxy.lose = first_of(f"POST /zones/{zone.id}/agents ")
    with Caracal(configured(zone, sts_url=proxy.url)) as client, client.session() as session:
        assert live_sessions(zone) == {session.id}
    assert count(proxy, "POST /zones/") == 2
    assert sessions_ever(zone) == 1


async def test_so_it_is_with_asyncio(zone, proxy):
    proxy.lose = first_of(f"POST /zones/{zone.id}/agents ")
    async with (
        AsyncCaracal(configured(zone, sts_url=proxy.url)) as client,
        client.session() as session,
    ):
        assert live_sessions(zone) == {session.id}
    assert sessions_ever(zone) == 1


def test_a_delegation_whose_answer_is_lost_is_made_once(zone, proxy):
    proxy.lose = first_of(f"POST /zones/{zone.id}/delegations ")
    client = Caracal(configured(zone, sts_url=proxy.url))
    with client, client.session(scopes=[READ], resources=[API]) as session:
        active = zone.operate("GET", "delegations/active").json()["items"]
        assert [row["id"] for row in active] == [session.delegation.id]
    assert count(proxy, f"POST /zones/{zone.id}/delegations ") == 2


def test_an_end_whose_answer_is_lost_is_an_end(zone, proxy):
    proxy.lose = first_of("DELETE ")
    with Caracal(configured(zone, sts_url=proxy.url)) as client, client.session():
        pass
    assert live_sessions(zone) == set()
    assert count(proxy, "DELETE ") == 2


def test_a_token_request_that_may_have_arrived_is_not_repeated(zone, proxy):
    proxy.lose = all_of("POST /oauth/2/token")
    with (
        Caracal(configured(zone, sts_url=proxy.url)) as client,
        pytest.raises(Unreachable) as lost,
        client.session(),
    ):
        raise AssertionError("opened")
    assert lost.value.sent
    assert len(proxy.seen) == 1


def test_repeating_ends_after_three_attempts_and_leaves_nothing_open(zone, proxy):
    proxy.lose = all_of(f"POST /zones/{zone.id}/delegations ")
    client = Caracal(configured(zone, sts_url=proxy.url))
    with client, pytest.raises(Unreachable), client.session(scopes=[READ], resources=[API]):
        raise AssertionError("opened")
    assert count(proxy, f"POST /zones/{zone.id}/delegations ") == 3
    assert live_sessions(zone) == set()


def test_a_call_whose_answer_is_lost_is_not_repeated(zone, upstream):
    with breaking_proxy(zone.deployment.running.gateway) as proxy:
        proxy.lose = all_of("GET /json?lost")
        client = Caracal(configured(zone, gateway_url=proxy.url))
        http = httpx.Client(transport=client.transport(API, scopes=[READ]))
        with client, http, pytest.raises(httpx.TransportError):
            http.get("/json?lost")
    assert len(upstream.to("/json?lost")) == 1


def test_a_no_for_now_is_waited_for_when_it_is_short(zone, proxy):
    busy = first_of(f"POST /zones/{zone.id}/agents ")
    proxy.answers = lambda line: BUSY % 0 if busy(line) else None
    with Caracal(configured(zone, sts_url=proxy.url)) as client, client.session():
        assert len(live_sessions(zone)) == 1


def test_a_no_for_long_is_told_and_not_waited_for(zone, proxy):
    proxy.answers = lambda line: BUSY % 60 if "agents" in line else None
    with (
        Caracal(configured(zone, sts_url=proxy.url)) as client,
        pytest.raises(ServiceUnavailable) as refused,
        client.session(),
    ):
        raise AssertionError("opened")
    assert refused.value.retry_after == 60
    assert refused.value.temporary
    assert count(proxy, "POST /zones/") == 1


def test_an_answer_without_end_is_given_up(zone, proxy):
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (9 * 1024 * 1024)
    proxy.answers = lambda line: endless if "token" in line else None
    with (
        Caracal(configured(zone, sts_url=proxy.url)) as client,
        pytest.raises(Unreachable, match="more than 8388608 bytes"),
        client.session(),
    ):
        raise AssertionError("opened")


def test_redirects_of_the_control_side_are_not_followed(zone, proxy):
    away = b"HTTP/1.1 307 Away\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    proxy.answers = lambda line: away
    with (
        Caracal(configured(zone, sts_url=proxy.url)) as client,
        pytest.raises(UnexpectedAnswer),
        client.session(),
    ):
        raise AssertionError("opened")
    assert len(proxy.seen) == 1


def test_nobody_there_is_said_with_the_fix(zone):
    with breaking_proxy(zone.deployment.running.control) as gone:
        url = gone.url
    with (
        Caracal(configured(zone, sts_url=url)) as client,
        pytest.raises(Unreachable, match="check the address") as lost,
        client.session(),
    ):
        raise AssertionError("opened")
    assert not lost.value.sent


def test_a_session_mandate_that_is_no_longer_taken_is_replaced(caracal, zone):
    with caracal.session():
        caller = caracal._engine.caller
        token, until = caller._held
        broken = type(token)(token.reveal()[:-4] + "AAAA")
        caller._held = (broken, until)
        with caracal.session() as second:
            assert second.id in live_sessions(zone)
        assert caller._held[0] != broken


def test_a_closed_client_says_so(zone):
    client = Caracal(configured(zone))
    client.close()
    with pytest.raises(InvalidRequest, match="the client is closed"), client.session():
        raise AssertionError("opened")


def test_an_end_that_failed_is_told_and_hides_nothing(zone, proxy):
    proxy.lose = all_of("DELETE ")
    client = Caracal(configured(zone, sts_url=proxy.url))

    def fail():
        with client.session():
            raise KeyError("of the block")

    with client:
        with pytest.raises(KeyError) as failed:
            fail()
        assert "could not end a session" in failed.value.__notes__[0]
        with pytest.raises(Unreachable, match="could not end a session"), client.session():
            assert live_sessions(zone)


def test_a_session_that_could_not_be_taken_back_is_told(zone, proxy):
    proxy.answers = lambda line: BUSY % 60 if line.startswith("DELETE") else None
    client = Caracal(configured(zone, sts_url=proxy.url))
    options = {"scopes": ["api:unknown"], "resources": [API]}
    with (
        client,
        pytest.raises(Exception, match="api:unknown") as refused,
        client.session(**options),
    ):
        raise AssertionError("opened")
    assert "lives until its ttl" in refused.value.__notes__[0]
    assert len(live_sessions(zone)) == 2
