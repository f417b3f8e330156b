"""Whatever an upstream sends, the caller gets a response or a typed error, and soon."""

import asyncio

import pytest

from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.ports.upstream import UpstreamError
from tests.adapters_http.raw_upstream import (
    answering,
    client,
    forever,
    get,
    read,
    read_into,
    upstream,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode()


UNACCEPTABLE_HEADS = {
    "not HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "another protocol version": head("Content-Length: 1", version="2.0") + b"x",
    "both length and chunked": head("Content-Length: 3", "Transfer-Encoding: chunked"),
    "both chunked and length": head("Transfer-Encoding: chunked", "Content-Length: 3"),
    "two different lengths": head("Content-Length: 3", "Content-Length: 4") + b"abcd",
    "a list of lengths": head("Content-Length: 3, 4") + b"abcd",
    "a signed length": head("Content-Length: +3") + b"abc",
    "a negative length": head("Content-Length: -1"),
    "an empty length": head("Content-Length:"),
    "a length beyond 64 bits": head("Content-Length: 99999999999999999999"),
    "an unknown transfer coding": head("Transfer-Encoding: gzip") + b"abc",
    "chunked is not the only coding": head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunked twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "nearly chunked": head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "chunked in HTTP/1.0": head("Transfer-Encoding: chunked", version="1.0") + b"0\r\n\r\n",
    "a bare carriage return in a value": b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
    "a NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a folded field": head("X: a", " b", "Content-Length: 0"),
    "a space before the colon": head("X : a", "Content-Length: 0"),
    "a name that is no token": head("X(y): a", "Content-Length: 0"),
    "a switch nobody asked for": head("Upgrade: websocket", status="101 Switching Protocols"),
    "a status below 100": head("Content-Length: 0", status="99 Low"),
    "a status above 599": head("Content-Length: 0", status="600 High"),
    "204 with a body": head("Content-Length: 4", status="204 No Content") + b"evil",
    "100 with a body": head("Content-Length: 4", status="100 Continue") + b"evil",
}


@pytest.mark.parametrize("answer", UNACCEPTABLE_HEADS.values(), ids=UNACCEPTABLE_HEADS)
async def test_an_ambiguous_or_malformed_head_is_a_protocol_error(answer):
    async with upstream(forever(answer)) as there, client() as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "protocol_error"
    assert caught.value.request_sent


UNACCEPTABLE_BODIES = {
    "a chunk size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "chunks on bare line feeds": b"3\nabc\n0\n\n",
    "an endless chunk extension": b"3;" + b"x" * 70_000,
    "a malformed trailer": b"3\r\nabc\r\n0\r\nX y\r\n\r\n",
}


@pytest.mark.parametrize("answer", UNACCEPTABLE_BODIES.values(), ids=UNACCEPTABLE_BODIES)
async def test_malformed_chunking_is_a_protocol_error_for_the_reader(answer):
    async with upstream(forever(CHUNKED + answer)) as there, client() as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await read(await upstreams.send(get(there.url)))
    assert caught.value.kind == "protocol_error"


async def test_endless_trailers_are_refused():
    trailers = b"0\r\n" + b"X-Trailer: more\r\n" * 8192
    async with upstream(forever(CHUNKED + trailers)) as there, client() as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await read(await upstreams.send(get(there.url)))
    assert caught.value.kind in ("header_too_large", "protocol_error")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Field: value\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000,
        b"HTTP/1.1 200 " + b"reason" * 1000,
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 200,
    ],
    ids=["many fields", "one long field", "a long reason", "interim responses without end"],
)
async def test_a_head_beyond_the_limit_is_refused(answer):
    limits = PoolLimits(head_bytes=4096)
    async with upstream(forever(answer)) as there, client(limits=limits) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "header_too_large"


async def test_a_head_within_the_limit_passes_however_it_is_cut():
    async def speaks(conversation):
        await conversation.request()
        for byte in b"HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Name: a b \r\nContent-Length: 2\r\n\r\nhi":
            await conversation.say(bytes([byte]))
        await conversation.gone()

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        assert await read(response) == b"hi"
    assert response.headers == [(b"x-empty", b""), (b"x-name", b"a b"), (b"content-length", b"2")]


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 10") + b"short",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        CHUNKED + b"ff\r\nabc",
    ],
    ids=["within a length", "between chunks", "before the last line", "within a chunk"],
)
async def test_a_body_that_is_cut_short_never_looks_like_a_whole_one(answer):
    async with upstream(answering(answer)) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        got = bytearray()
        with pytest.raises(UpstreamError) as caught:
            await read_into(got, response)
    assert caught.value.kind == "closed_early"
    assert bytes(got) in (b"short", b"abc")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_a_close_before_the_end_of_the_head_is_closed_early(answer):
    async with upstream(answering(answer)) as there, client() as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "closed_early"
    assert there.connections == 1  # a fresh connection is no reason to send again


async def test_a_reset_is_closed_early():
    has_read = asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(head("Content-Length: 10") + b"short")
        await has_read.wait()
        conversation.writer.transport.abort()

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        body = response.body()
        assert await anext(body) == b"short"
        has_read.set()
        with pytest.raises(UpstreamError) as caught:
            await anext(body)
    assert caught.value.kind == "closed_early"


async def test_an_upstream_that_never_answers_runs_into_the_first_byte_timeout():
    async def speaks(conversation):
        await conversation.gone()

    async with upstream(speaks) as there, client(first_byte=0.05) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "first_byte_timeout"


async def test_a_head_that_drips_in_gains_no_time():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await conversation.say(b"X: y\r\n")
            await asyncio.sleep(0.01)

    async with upstream(speaks) as there, client(first_byte=0.1) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "first_byte_timeout"


async def test_a_body_that_stalls_runs_into_the_idle_timeout():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(head("Content-Length: 10") + b"some")
        await conversation.gone()

    async with upstream(speaks) as there, client(idle=0.05) as upstreams:
        response = await upstreams.send(get(there.url))
        body = response.body()
        assert await anext(body) == b"some"
        with pytest.raises(UpstreamError) as caught:
            await anext(body)
    assert caught.value.kind == "idle_timeout"


async def test_a_body_that_never_ends_runs_into_the_total_timeout():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(CHUNKED)
        while True:
            await conversation.say(b"3\r\nabc\r\n")
            await asyncio.sleep(0.01)

    async with upstream(speaks) as there, client(total=0.15) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await read(await upstreams.send(get(there.url)))
    assert caught.value.kind == "total_timeout"


@pytest.mark.parametrize("seconds", [{"total": 0.05}, {"total": 0.05, "first_byte": 0.2}])
async def test_the_total_timeout_covers_the_wait_for_the_head(seconds):
    async def speaks(conversation):
        await conversation.gone()

    async with upstream(speaks) as there, client(**seconds) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(there.url))
    assert caught.value.kind == "total_timeout"
    assert caught.value.request_sent


async def test_what_follows_a_whole_response_is_never_taken_for_the_next_one():
    forged = head("Content-Length: 6") + b"forged"

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(head("Content-Length: 4") + b"real" + forged)
        await conversation.gone()

    async with upstream(speaks) as there, client() as upstreams:
        for _ in range(2):
            assert await read(await upstreams.send(get(there.url))) == b"real"
    assert there.connections == 2


async def test_a_response_pushed_to_an_idle_connection_is_never_taken_for_an_answer():
    pushed = asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(head("Content-Length: 4") + b"real")
        if conversation.number == 1:
            await pushed.wait()
            await conversation.say(head("Content-Length: 6") + b"forged")
        await conversation.gone()

    async with upstream(speaks) as there, client() as upstreams:
        assert await read(await upstreams.send(get(there.url))) == b"real"
        connection = next(iter(upstreams._pools.values()))._idle[0]
        pushed.set()
        await asyncio.wait_for(connection.closed, 5)
        assert await read(await upstreams.send(get(there.url))) == b"real"
    assert there.connections == 2
