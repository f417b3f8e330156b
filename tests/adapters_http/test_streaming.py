"""Bodies of any length pass through in bounded memory, no faster than they are taken."""

import asyncio
import tracemalloc

import pytest

from caracal_server.adapters.http.request_body import SLICE_BYTES, framed
from caracal_server.adapters.http.response import HIGH_WATER_BYTES
from caracal_server.ports.upstream import UpstreamRequest
from tests.adapters_http.raw_upstream import client, eventually, get, ok, pieces, read, upstream

BODY_BYTES = 64 * 1024 * 1024
BLOCK = bytes(range(256)) * 256  # 64 KiB
MEMORY_BYTES = 8 * 1024 * 1024


@pytest.fixture
def peak():
    """Measure how much memory Python allocates at most above what it holds now."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_long_download_takes_bounded_memory(framing, peak):
    async def speaks(conversation):
        await conversation.request()
        if framing == "length":
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
            for _ in range(BODY_BYTES // len(BLOCK)):
                await conversation.say(BLOCK)
        else:
            await conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"10000\r\n" + BLOCK + b"\r\n"
            for _ in range(BODY_BYTES // len(BLOCK)):
                await conversation.say(chunk)
            await conversation.say(b"0\r\n\r\n")

    received = 0
    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(get(there.url))
        async for chunk in response.body():
            assert chunk[:1] == BLOCK[received % len(BLOCK) :][:1]
            received += len(chunk)
    assert received == BODY_BYTES
    assert peak() < MEMORY_BYTES


@pytest.mark.parametrize("length", [BODY_BYTES, None])
async def test_a_long_upload_takes_bounded_memory(length, peak):
    received = 0

    async def speaks(conversation):
        nonlocal received
        await conversation.request()
        if length is None:
            while size := int(await conversation.reader.readline(), 16):
                received += len((await conversation.reader.readexactly(size + 2))[:-2])
            await conversation.reader.readline()
        while received < BODY_BYTES:
            received += len(await conversation.reader.read(1 << 18))
        await conversation.say(ok(b"thanks"))

    async def body():
        for _ in range(BODY_BYTES // len(BLOCK)):
            yield BLOCK

    async with upstream(speaks) as there, client() as upstreams:
        response = await upstreams.send(UpstreamRequest("PUT", there.url, b"/", (), body(), length))
        assert await read(response) == b"thanks"
    assert received == BODY_BYTES
    assert peak() < MEMORY_BYTES


@pytest.mark.parametrize("length", [5 * len(BLOCK) + 1, None])
async def test_one_huge_chunk_is_framed_in_slices(length):
    huge = BLOCK * 5 + b"!"
    sent = [bytes(piece) async for piece in framed(huge, pieces(), length)]
    assert len(sent) >= 6
    assert max(map(len, sent)) <= SLICE_BYTES + 16
    if length is not None:
        assert b"".join(sent) == huge


async def test_one_huge_chunk_arrives_whole():
    huge = BLOCK * 256
    received = bytearray()

    async def speaks(conversation):
        await conversation.request()
        while len(received) < len(huge):
            received.extend(await conversation.reader.read(1 << 18))
        await conversation.say(ok(b"thanks"))

    async def body():
        yield huge

    async with upstream(speaks) as there, client() as upstreams:
        request = UpstreamRequest("PUT", there.url, b"/", (), body(), len(huge))
        assert await read(await upstreams.send(request)) == b"thanks"
    assert received == huge


async def test_a_reader_that_does_not_read_pauses_the_upstream():
    said = 0

    async def speaks(conversation):
        nonlocal said
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
        for _ in range(BODY_BYTES // len(BLOCK)):
            await conversation.say(BLOCK)
            said += len(BLOCK)

    async with upstream(speaks) as there, client(idle=0.2) as upstreams:
        response = await upstreams.send(get(there.url))
        await eventually(lambda: response.unread_bytes > HIGH_WATER_BYTES)
        # A paused upstream is not an idle one: wait for longer than the idle timeout.
        loop = asyncio.get_running_loop()
        paused_at = loop.time()
        await eventually(lambda: loop.time() > paused_at + 0.3)
        assert response.unread_bytes < HIGH_WATER_BYTES + 512 * 1024
        assert said < BODY_BYTES // 2
        assert len(await read(response)) == BODY_BYTES


async def test_reading_an_old_response_does_not_wake_the_next_one_on_its_connection():
    async def speaks(conversation):
        await conversation.request()
        await conversation.say(ok(b"old"))
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
        for _ in range(BODY_BYTES // len(BLOCK)):
            await conversation.say(BLOCK)

    async with upstream(speaks) as there, client() as upstreams:
        old = await upstreams.send(get(there.url))
        new = await upstreams.send(get(there.url))
        await eventually(lambda: new.unread_bytes > HIGH_WATER_BYTES)
        held_back = new.unread_bytes
        assert await read(old) == b"old"
        loop = asyncio.get_running_loop()
        since = loop.time()
        await eventually(lambda: loop.time() > since + 0.03)
        assert new.unread_bytes == held_back
        await new.aclose()


async def test_an_upstream_that_does_not_read_pauses_the_caller_and_runs_into_the_idle_timeout():
    sent = 0

    async def speaks(conversation):
        await conversation.request()
        conversation.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async def body():
        nonlocal sent
        while sent < BODY_BYTES:
            sent += len(BLOCK)
            yield BLOCK

    async with upstream(speaks) as there, client(idle=0.2) as upstreams:
        with pytest.raises(Exception, match="idle_timeout"):
            await upstreams.send(UpstreamRequest("PUT", there.url, b"/", (), body(), BODY_BYTES))
    assert sent < BODY_BYTES // 2


async def test_a_caller_that_uploads_slowly_is_not_mistaken_for_an_idle_upstream():
    async def speaks(conversation):
        await conversation.request()
        await conversation.reader.readuntil(b"0\r\n\r\n")
        await conversation.say(ok(b"x"))

    async def body():
        loop = asyncio.get_running_loop()
        for _ in range(2):
            yield b"some"
            since = loop.time()
            await eventually(lambda since=since: loop.time() > since + 0.15)

    async with upstream(speaks) as there, client(idle=0.1, first_byte=0.1) as upstreams:
        response = await upstreams.send(UpstreamRequest("POST", there.url, b"/", (), body()))
        assert await read(response) == b"x"
