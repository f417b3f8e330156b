"""Requests and responses pass through whole, in order, and at once."""

import asyncio

import pytest

from caracal_server.ports.upstream import UpstreamError, UpstreamRequest
from tests.adapters_http.raw_upstream import (
    answering,
    client,
    forever,
    get,
    ok,
    pieces,
    read,
    upstream,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(there, body, length=None, method="POST"):
    return UpstreamRequest(method, there.url, b"/", (), body, length)


async def test_status_fields_and_body_arrive_as_sent():
    answer = (
        b"HTTP/1.1 418 I'm a teapot\r\nX-One: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        b"Content-Encoding: gzip\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"
    )
    async with upstream(forever(answer)) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        assert response.status == 418
        assert response.headers == [
            (b"x-one", b"1"),
            (b"set-cookie", b"a"),
            (b"set-cookie", b"b"),
            (b"content-encoding", b"gzip"),
            (b"connection", b"keep-alive"),
            (b"content-length", b"3"),
        ]
        assert await read(response) == b"\x1f\x8b\x08"


async def test_the_request_leaves_exactly_as_rendered():
    heads = []

    async def speaks(conversation):
        heads.append(await conversation.request())
        await conversation.say(ok(b""))

    async with upstream(speaks) as there, client() as upstreams:
        request = UpstreamRequest("GET", there.url, b"/a%2Fb?c", [(b"Accept", b"*/*")])
        await read(await upstreams.send(request))
    host = f"127.0.0.1:{there.port}".encode()
    assert heads == [b"GET /a%2Fb?c HTTP/1.1\r\nHost: " + host + b"\r\nAccept: */*\r\n\r\n"]


async def test_chunks_are_joined_and_trailers_dropped():
    answer = CHUNKED + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: forged\r\n\r\n"
    async with upstream(forever(answer)) as there, client() as upstreams:
        for _ in range(2):
            response = await upstreams.send(get(there.url))
            assert await read(response) == b"abcde"
            assert response.headers == [(b"transfer-encoding", b"chunked")]
    assert there.connections == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_without_framing_ends_with_its_connection(version):
    answer = f"HTTP/{version} 200 OK\r\n\r\nall of it".encode()
    async with upstream(answering(answer)) as there, client() as upstreams:
        assert await read(await upstreams.send(get(there.url))) == b"all of it"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nwrong"),
    ],
)
async def test_a_response_that_has_no_body_is_complete_with_its_head(method, answer):
    async with upstream(forever(answer)) as there, client() as upstreams:
        for _ in range(2):
            response = await upstreams.send(get(there.url, method=method))
            assert response.status in (200, 204, 304)
            assert await read(response) == b""


async def test_interim_responses_are_skipped():
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"x")
    async with upstream(forever(answer)) as there, client() as upstreams:
        for _ in range(2):
            response = await upstreams.send(get(there.url))
            assert (response.status, await read(response)) == (200, b"x")
            assert response.headers == [(b"content-length", b"1")]


async def test_a_redirect_is_an_answer_and_is_not_followed():
    answer = b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    async with upstream(forever(answer)) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        assert response.status == 307
        assert (b"location", b"http://169.254.169.254/latest") in response.headers
        assert await read(response) == b""
    assert there.connections == 1


@pytest.mark.parametrize(
    ("chunks", "length", "wire"),
    [
        ((b"hello",), 5, b"hello"),
        ((b"he", b"", b"llo"), 5, b"hello"),
        ((b"", b"hello"), 5, b"hello"),
        ((b"he", b"", b"llo"), None, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        ((), None, b"0\r\n\r\n"),
        ((), 0, b""),
    ],
)
async def test_a_request_body_is_framed_as_announced(chunks, length, wire):
    seen = []

    async def speaks(conversation):
        await conversation.request()
        seen.append(await conversation.reader.readexactly(len(wire)))
        await conversation.say(ok(b"done"))
        seen.append(await conversation.request())
        await conversation.say(ok(b"next"))

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(post(there, pieces(*chunks), length))
        assert await read(response) == b"done"
        assert await read(await upstreams.send(get(there.url))) == b"next"
    assert seen[0] == wire
    assert seen[1].startswith(b"GET / ")
    assert there.connections == 1


@pytest.mark.parametrize(
    ("chunks", "length"), [((b"abc",), 5), ((b"abc", b"def"), 5), ((b"abcdef",), 5), ((), 5)]
)
async def test_a_body_that_is_not_as_long_as_announced_is_never_passed_off_as_whole(chunks, length):
    async def speaks(conversation):
        await conversation.request()
        await conversation.gone()

    async with upstream(speaks) as there, client() as upstreams:
        with pytest.raises(ValueError, match="content length"):
            await upstreams.send(post(there, pieces(*chunks), length))


async def test_what_the_callers_body_raises_reaches_the_caller_and_cuts_the_upload():
    cut = asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        with pytest.raises(asyncio.IncompleteReadError):
            await conversation.reader.readuntil(b"0\r\n\r\n")
        cut.set()

    async def body():
        yield b"some"
        raise ConnectionAbortedError("the agent left")

    async with upstream(speaks) as there, client() as upstreams:
        with pytest.raises(ConnectionAbortedError, match="the agent left"):
            await upstreams.send(post(there, body()))
        await asyncio.wait_for(cut.wait(), 5)


async def test_an_early_answer_is_delivered_and_the_upload_ends():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await conversation.gone()

    sent = 0
    ended = asyncio.Event()

    async def body():
        nonlocal sent
        try:
            while True:
                sent += 1
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(post(there, body()))
        assert (response.status, await read(response)) == (413, b"big")
        await asyncio.wait_for(ended.wait(), 5)
        assert await upstreams.send(get(there.url))
    assert there.connections == 2


async def test_an_early_answer_does_not_wait_for_a_caller_that_sends_nothing_more():
    async def body():
        yield b"some"
        await asyncio.Event().wait()

    async with upstream(answering(ok(b"no thanks"))) as there, client() as upstreams:
        response = await upstreams.send(post(there, body()))
        assert await read(response) == b"no thanks"


async def test_events_are_passed_on_one_by_one_as_they_come():
    heard = asyncio.Queue()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(5):
            event = b"data: %d\n\n" % number
            await conversation.say(b"%x\r\n%b\r\n" % (len(event), event))
            assert await heard.get() == event  # the next one is not sent before
        await conversation.say(b"0\r\n\r\n")

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        async for event in response.body():
            heard.put_nowait(event)
    assert heard.empty()


async def test_a_conversation_may_go_both_ways_at_once():
    """The upstream echoes each chunk before the next one is sent."""
    echoed = asyncio.Queue()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(CHUNKED)
        while size := int(await conversation.reader.readline(), 16):
            chunk = await conversation.reader.readexactly(size + 2)
            await conversation.say(b"%x\r\n%b" % (size, chunk))
        await conversation.reader.readline()
        await conversation.say(b"0\r\n\r\n")

    async def body():
        for number in range(5):
            chunk = b"chunk %d" % number
            yield chunk
            assert await echoed.get() == chunk

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(post(there, body()))
        async for chunk in response.body():
            echoed.put_nowait(chunk)
    assert there.connections == 1


async def test_an_abandoned_body_ends_its_connection_at_once():
    gone = asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        await conversation.say(CHUNKED + b"3\r\nabc\r\n")
        await conversation.gone()
        gone.set()

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        await response.aclose()
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(UpstreamError, match="closed_early"):
            await read(response)


async def test_a_cancelled_call_ends_its_connection():
    asked, gone = asyncio.Event(), asyncio.Event()

    async def speaks(conversation):
        await conversation.request()
        asked.set()
        await conversation.gone()
        gone.set()

    async with upstream(speaks) as there, client() as upstreams:
        call = asyncio.create_task(upstreams.send(get(there.url)))
        await asyncio.wait_for(asked.wait(), 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(gone.wait(), 5)


async def test_closing_the_client_ends_what_is_under_way():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(CHUNKED + b"3\r\nabc\r\n")
        await conversation.gone()

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        await upstreams.aclose()
        with pytest.raises(UpstreamError) as caught:
            await read(response)
        assert caught.value.kind == "closed_early"
        with pytest.raises(UpstreamError, match="the client is closed"):
            await upstreams.send(get(there.url))
