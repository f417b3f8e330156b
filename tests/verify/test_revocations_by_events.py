"""A kill at a started Caracal is seen by resource servers that follow its events."""

import asyncio
import contextlib
import threading

import httpx
import pytest

from caracal.verify import (
    AsyncVerifier,
    FollowedRevocations,
    MemoryRevocations,
    NotVerified,
    Verifier,
)
from caracal.verify.application_tokens import ApplicationTokens
from caracal.verify.clock import seconds
from caracal.verify.sse_feed import AsyncSseFeed, FeedAddress, FeedRefused, SseFeed
from tests.support.deployment import API, eventually
from tests.verify.test_a_resource_server_end_to_end import carried


def a_view(max_age=5.0):
    return FollowedRevocations(MemoryRevocations(), seconds=seconds, max_age=max_age)


def tokens_of(protected):
    application_id, secret = protected.zone.applications["helper"]
    return ApplicationTokens(
        issuer=protected.zone.deployment.running.control,
        zone_id=protected.zone.id,
        application_id=application_id,
        client_secret=secret,
        resource=API,
    )


def address_of(protected):
    return FeedAddress(protected.zone.deployment.running.control, protected.zone.id)


def expected(protected):
    return {
        "issuer": protected.zone.deployment.running.control,
        "audience": API,
        "zone_id": protected.zone.id,
    }


def code_of(verifier, header):
    try:
        verifier.authorize(header)
    except NotVerified as refused:
        return refused.code.value
    return None


@contextlib.contextmanager
def following(protected, view):
    stop = threading.Event()
    feed = SseFeed(address_of(protected), view, token=tokens_of(protected).sync)
    thread = threading.Thread(target=feed.follow, args=(stop,))
    thread.start()
    try:
        yield feed
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def test_a_kill_ends_the_mandate_at_a_server_that_follows_in_a_thread(protected):
    view = a_view()
    verifier = Verifier(**expected(protected), revocations=view)
    authority, header = carried(protected)
    assert code_of(verifier, header) == "revocations_unavailable", "nothing was followed yet"
    with following(protected, view):
        eventually(lambda: code_of(verifier, header) is None)
        protected.zone.kill(authority.root)
        eventually(lambda: code_of(verifier, header) == "session_revoked", seconds=2)
    again = a_view()
    with following(protected, again):
        eventually(lambda: again.age < 5)
        verifier = Verifier(**expected(protected), revocations=again)
        assert code_of(verifier, header) == "session_revoked", "who comes later is told as well"


async def test_a_suspension_counts_until_it_is_lifted_at_one_that_follows_on_a_loop(protected):
    view = a_view()
    verifier = AsyncVerifier(**expected(protected), revocations=view)
    authority, header = await asyncio.to_thread(carried, protected)
    feed = AsyncSseFeed(address_of(protected), view, token=tokens_of(protected).asynchronous)

    async def code(wanted):
        async with asyncio.timeout(10):
            while True:
                try:
                    await verifier.authorize(header)
                    found = None
                except NotVerified as refused:
                    found = refused.code.value
                if found == wanted:
                    return
                await asyncio.sleep(0.01)

    task = asyncio.create_task(feed.follow())
    await code(None)
    await asyncio.to_thread(protected.zone.operate, "PATCH", f"agents/{authority.root}/suspend")
    await code("session_revoked")
    await asyncio.to_thread(protected.zone.operate, "PATCH", f"agents/{authority.root}/resume")
    await code(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def lines_of(http, url, headers, until):
    with http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        found = []
        for line in answer.iter_lines():
            found.append(line)
            if until(line):
                return found
    raise AssertionError(found)


def test_whoever_names_what_it_has_is_told_the_rest_and_nothing_of_other_zones(protected):
    zone = protected.zone
    url, operator = address_of(protected).url, dict(zone.deployment.operator)
    authority, _ = carried(protected)
    zone.kill(authority.root)
    elsewhere = zone.deployment.zone().agent().authority()
    elsewhere.agent.zone.kill(elsewhere.root)
    with httpx.Client(trust_env=False, timeout=10) as http:
        lines = lines_of(http, url, operator, lambda line: line == "event: alive")
        assert any(authority.root in line for line in lines)
        assert not any(elsewhere.root in line for line in lines)
        last = [line for line in lines if line.startswith("id: ")][-1].removeprefix("id: ")
        rest = lines_of(http, url, operator | {"last-event-id": last}, lambda line: "data" in line)
        assert rest[0] == "event: alive"
        assert f'"position":{last}' in rest[1]
        refused = http.get(url, headers=operator | {"last-event-id": "x"})
        assert refused.status_code == 400
        assert http.head(url, headers=operator).status_code == 200


def test_an_answer_that_is_no_feed_is_refused(protected):
    with httpx.Client(trust_env=False, timeout=10) as http:
        feed = SseFeed(address_of(protected), a_view(), token=lambda: "nobody")
        with pytest.raises(FeedRefused, match="401"):
            feed.read(http, threading.Event())
        elsewhere = FeedAddress(protected.url, "zone")
        feed = SseFeed(elsewhere, a_view(), token=lambda: "nobody")
        with pytest.raises(FeedRefused):
            feed.read(http, threading.Event())
    for wrong in (("http://caracal.example", "zone"), ("https://caracal.example", "")):
        with pytest.raises(ValueError, match="needed"):
            FeedAddress(*wrong)
