"""Connections are reused while that is safe, bounded always, and a request is sent once."""

import asyncio
from datetime import timedelta
from ipaddress import ip_address

import pytest

from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.ports.upstream import UpstreamError, UpstreamRequest, UpstreamUrl
from tests.adapters_http.raw_upstream import (
    client,
    eventually,
    forever,
    get,
    ok,
    pieces,
    read,
    upstream,
)


def counting(seen: list[bytes], gate: asyncio.Event | None = None):
    """Answer every request, the first of all once the gate opens."""

    async def speaks(conversation):
        while True:
            seen.append(await conversation.request())
            if gate is not None:
                await gate.wait()
            await conversation.say(ok(b"x"))

    return speaks


async def test_calls_in_turn_share_one_connection():
    async with upstream(forever(ok(b"x"))) as there, client() as upstreams:
        for _ in range(20):
            assert await read(await upstreams.send(get(there.url))) == b"x"
    assert there.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_an_upstream_that_announces_its_close_is_dialled_anew(answer):
    async with upstream(forever(answer)) as there, client() as upstreams:
        for _ in range(3):
            assert await read(await upstreams.send(get(there.url))) == b"x"
    assert there.connections == 3


async def test_no_more_connections_than_the_limit_are_open_and_all_calls_are_answered():
    limits = PoolLimits(connections=2)
    async with upstream(forever(ok(b"x"))) as there, client(limits=limits) as upstreams:

        async def call():
            return await read(await upstreams.send(get(there.url)))

        assert await asyncio.gather(*(call() for _ in range(50))) == [b"x"] * 50
    assert there.connections <= 2


async def test_a_call_that_finds_no_free_connection_in_time_is_told():
    seen, gate = [], asyncio.Event()
    limits = PoolLimits(connections=1)
    async with (
        upstream(counting(seen, gate)) as there,
        client(limits=limits, connect=0.1) as upstreams,
    ):
        first = asyncio.create_task(upstreams.send(get(there.url)))
        await eventually(lambda: len(seen) == 1)
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
        assert caught.value.kind == "connect_timeout"
        assert not caught.value.request_sent
        gate.set()
        assert await read(await first) == b"x"
        assert await read(await upstreams.send(get(there.url))) == b"x"


async def test_the_queue_for_connections_is_bounded():
    seen, gate = [], asyncio.Event()
    limits = PoolLimits(connections=1, waiting=1)
    async with upstream(counting(seen, gate)) as there, client(limits=limits) as upstreams:
        first = asyncio.create_task(upstreams.send(get(there.url)))
        await eventually(lambda: len(seen) == 1)
        second = asyncio.create_task(upstreams.send(get(there.url)))
        pool = next(iter(upstreams._pools.values()))
        await eventually(lambda: len(pool._waiters) == 1)
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
        assert caught.value.kind == "connect_failed"
        gate.set()
        assert [await read(await call) for call in (first, second)] == [b"x", b"x"]


async def test_calls_that_give_up_or_fail_leave_no_slot_taken():
    seen, gate = [], asyncio.Event()
    limits = PoolLimits(connections=1)
    async with upstream(counting(seen, gate)) as there, client(limits=limits) as upstreams:
        first = asyncio.create_task(upstreams.send(get(there.url)))
        await eventually(lambda: len(seen) == 1)
        waiting = [asyncio.create_task(upstreams.send(get(there.url))) for _ in range(5)]
        pool = next(iter(upstreams._pools.values()))
        await eventually(lambda: len(pool._waiters) == 5)
        first.cancel()
        for call in waiting[::2]:
            call.cancel()
        gate.set()
        await asyncio.gather(first, *waiting[::2], return_exceptions=True)
        for call in waiting[1::2]:
            assert await read(await call) == b"x"
        assert await read(await upstreams.send(get(there.url))) == b"x"
        assert pool._taken_slots == 1
        await upstreams.aclose()
        assert pool._taken_slots == 0


async def test_a_connection_that_becomes_free_as_its_caller_gives_up_is_passed_on():
    limits = PoolLimits(connections=1)
    async with upstream(forever(ok(b"x"))) as there, client(limits=limits) as upstreams:
        assert await read(await upstreams.send(get(there.url))) == b"x"
        pool = next(iter(upstreams._pools.values()))
        connection = pool.take()
        waiting = [asyncio.create_task(pool.open()) for _ in range(2)]
        await eventually(lambda: len(pool._waiters) == 2)
        pool.connection_free(connection)
        waiting[0].cancel()
        assert await asyncio.wait_for(waiting[1], 5) is connection
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]


async def test_closing_the_client_tells_the_calls_that_wait_for_a_connection():
    seen, gate = [], asyncio.Event()
    limits = PoolLimits(connections=1)
    async with upstream(counting(seen, gate)) as there, client(limits=limits) as upstreams:
        calls = [asyncio.create_task(upstreams.send(get(there.url))) for _ in range(3)]
        await eventually(lambda: len(seen) == 1)
        await upstreams.aclose()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [answer.kind for answer in answers] == [
            "closed_early",
            "connect_failed",
            "connect_failed",
        ]


async def test_a_connection_that_is_made_while_the_client_closes_is_closed_too():
    resolving, gate = asyncio.Event(), asyncio.Event()

    class Slow:
        async def resolve(self, host, port):
            resolving.set()
            await gate.wait()
            return [ip_address("127.0.0.1")]

    async with upstream(forever(ok(b"x"))) as there, client(resolver=Slow()) as upstreams:
        url = UpstreamUrl.parse(f"http://api.example:{there.port}")
        call = asyncio.create_task(upstreams.send(get(url)))
        await asyncio.wait_for(resolving.wait(), 5)
        await upstreams.aclose()
        gate.set()
        with pytest.raises(UpstreamError, match="the client is closed"):
            await call


async def test_a_port_nobody_listens_on_is_connect_failed_and_frees_its_slot():
    async with upstream(forever(ok(b""))) as there:
        url = there.url
    async with client(limits=PoolLimits(connections=1)) as upstreams:
        for _ in range(3):
            with pytest.raises(UpstreamError) as caught:
                await upstreams.send(get(url))
            assert caught.value.kind == "connect_failed"
            assert not caught.value.request_sent


@pytest.mark.parametrize("limits", [{"kept_alive": 0.02}, {"lifetime": 0.02}])
async def test_connections_that_are_unused_or_old_are_closed(limits):
    bounds = PoolLimits(**{name: timedelta(seconds=value) for name, value in limits.items()})
    closed = asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(ok(b"x"))
        await conversation.gone()
        closed.set()

    # The timer that closes an unused connection is the one that guards the first byte.
    async with upstream(speaks) as there, client(limits=bounds, first_byte=0.2) as upstreams:
        assert await read(await upstreams.send(get(there.url))) == b"x"
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_connection_past_its_time_is_not_used_again():
    bounds = PoolLimits(kept_alive=timedelta(seconds=0.02))
    now = asyncio.get_running_loop().time
    async with upstream(forever(ok(b"x"))) as there, client(limits=bounds) as upstreams:
        assert await read(await upstreams.send(get(there.url))) == b"x"
        used_at = now()
        await eventually(lambda: now() > used_at + 0.03)
        assert await read(await upstreams.send(get(there.url))) == b"x"
    assert there.connections == 2


def closing_when_reused(seen: list[bytes]):
    """Answer once on each connection, then close on the next request without an answer."""

    async def speaks(conversation):
        seen.append(await conversation.request())
        await conversation.say(ok(b"x"))
        seen.append(await conversation.request())

    return speaks


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_repeatable_request_on_a_dead_kept_alive_connection_is_sent_once_more(method):
    seen = []
    async with upstream(closing_when_reused(seen)) as there, client() as upstreams:
        await read(await upstreams.send(get(there.url)))
        response = await upstreams.send(get(there.url, method=method))
        assert response.status == 200
        await read(response)
    assert there.connections == 2
    assert len(seen) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_with_effects_is_never_sent_twice(method):
    seen = []
    async with upstream(closing_when_reused(seen)) as there, client() as upstreams:
        await read(await upstreams.send(get(there.url)))
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url, method=method))
        assert caught.value.kind == "closed_early"
        assert caught.value.request_sent
    assert len(seen) == 2


async def test_a_request_with_a_body_is_never_sent_twice():
    seen = []
    async with upstream(closing_when_reused(seen)) as there, client() as upstreams:
        await read(await upstreams.send(get(there.url)))
        with pytest.raises(UpstreamError, match="closed_early"):
            await upstreams.send(UpstreamRequest("GET", there.url, b"/", (), pieces(b"x"), 1))
    assert len(seen) == 2


async def test_a_request_is_not_sent_again_once_the_response_has_begun():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(ok(b"x"))
        await conversation.request()
        await conversation.say(b"HTTP/1.1 2")

    async with upstream(speaks) as there, client() as upstreams:
        await read(await upstreams.send(get(there.url)))
        with pytest.raises(UpstreamError, match="closed_early"):
            await upstreams.send(get(there.url))
    assert there.connections == 1


async def test_a_second_dead_connection_is_an_error():
    async def speaks(conversation):
        await conversation.request()
        if conversation.number == 1:
            await conversation.say(ok(b"x"))
            await conversation.request()

    async with upstream(speaks) as there, client() as upstreams:
        await read(await upstreams.send(get(there.url)))
        with pytest.raises(UpstreamError, match="closed_early"):
            await upstreams.send(get(there.url))
    assert there.connections == 2
