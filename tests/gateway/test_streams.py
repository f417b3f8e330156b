"""Bodies both ways, as they come: over the real listener, on real connections."""

import asyncio
import contextlib
import tracemalloc
from datetime import timedelta

import pytest

from caracal.authority.outcomes import Reason, Refused
from caracal_server.gateway.caller import Watch
from caracal_server.gateway.passages import Passage
from tests.adapters_http.raw_upstream import Conversation, answering, eventually, ok
from tests.gateway.raw_client import caller_of, connected, request
from tests.gateway.world import gateway, listening, remembering
from tests.support.asgi import Client

MiB = 1024 * 1024
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Told:
    """An upstream that streams the events it is told, on each connection."""

    def __init__(self, head: bytes = CHUNKED) -> None:
        self.head = head
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, conversation: Conversation) -> None:
        await conversation.request()
        self.asked.set()
        if self.head:
            await conversation.say(self.head)
        leaving = asyncio.ensure_future(conversation.gone())
        leaving.add_done_callback(lambda _: self.left.set())
        try:
            while not leaving.done():
                told = asyncio.ensure_future(self.events.get())
                await asyncio.wait({told, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    await conversation.say(told.result())
                told.cancel()
        finally:
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await leaving


async def test_events_come_one_by_one():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        status, fields = await caller.head()
        assert (status, fields["content-type"]) == (200, "text/event-stream")
        for number in range(5):
            event = b"data: %d\n\n" % number
            told.events.put_nowait(chunk(event))
            assert await caller.chunk() == event
        told.events.put_nowait(b"0\r\n\r\n")
        assert await caller.chunk() == b""
        await eventually(lambda: world.results)
        _, result = world.pair()
        assert (result.status, result.received_bytes, result.reason) == (200, 45, "")


async def test_a_revocation_cuts_a_stream_that_carries_nothing():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        told.events.put_nowait(chunk(b"first"))
        await caller.chunk()
        world.zone.end(world.session)
        await caller.cut()
        await asyncio.wait_for(told.left.wait(), 5)
        _, result = world.pair()
        assert (result.status, result.reason) == (200, "mandate_revoked")
        assert "killed" in result.detail
        assert result.received_bytes == 5
        assert world.count("mandate_revoked") == 1


async def test_a_revocation_ends_a_call_whose_upstream_has_not_answered():
    told = Told(head=b"")
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await told.asked.wait()
        world.zone.end(world.session)
        status, _, body = await caller.response()
        assert status == 401
        assert b"mandate_revoked" in body
        await asyncio.wait_for(told.left.wait(), 5)
        assert world.pair()[1].reason == "mandate_revoked"


async def test_a_revocation_of_something_else_cuts_nothing():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        world.zone.end(world.zone.start())
        told.events.put_nowait(chunk(b"still here") + b"0\r\n\r\n")
        assert await caller.chunk() == b"still here"
        assert await caller.chunk() == b""


async def test_each_chunk_is_held_against_the_revocations_even_unannounced():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        world.zone.graphs._listeners.clear()
        world.zone.end(world.session)
        told.events.put_nowait(chunk(b"too late"))
        with pytest.raises(asyncio.IncompleteReadError):
            await caller.chunk()
        assert world.pair()[1].reason == "mandate_revoked"
        assert world.results[0].received_bytes == 0


async def test_a_stream_is_cut_when_nobody_knows_what_has_been_revoked():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        world.zone.graphs._graphs.clear()
        told.events.put_nowait(chunk(b"too late"))
        await caller.cut()
        assert world.pair()[1].reason == "revocations_stale"


async def test_authority_that_ended_unannounced_while_the_upstream_thought_is_told_nothing():
    told = Told(head=b"")
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await told.asked.wait()
        world.zone.graphs._listeners.clear()
        world.zone.end(world.session)
        told.events.put_nowait(ok(b"the secret row"))
        status, _, body = await caller.response()
        assert status == 401
        assert b"secret row" not in body
        _, result = world.pair()
        assert (result.status, result.received_bytes) == (0, 0)


async def test_a_caller_who_leaves_an_idle_stream_ends_the_upstreams_work():
    told = Told()
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        caller.leave()
        await asyncio.wait_for(told.left.wait(), 5)
        await eventually(lambda: world.results)
        _, result = world.pair()
        assert (result.status, result.reason) == (200, "client_gone")


async def test_a_caller_who_leaves_before_the_answer_ends_the_upstreams_work():
    told = Told(head=b"")
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await told.asked.wait()
        caller.leave()
        await asyncio.wait_for(told.left.wait(), 5)
        await eventually(lambda: world.results)
        assert world.pair()[1].reason == "client_gone"


async def test_a_caller_who_leaves_in_the_middle_of_its_body_ends_the_call():
    told = Told(head=b"")
    async with gateway(told) as world, caller_of(world) as caller:
        await caller.say(request(world, "POST /items HTTP/1.1", "Content-Length: 10", body=b"half"))
        await told.asked.wait()
        caller.leave()
        await asyncio.wait_for(told.left.wait(), 5)
        await eventually(lambda: world.results)
        _, result = world.pair()
        assert (result.reason, result.sent_bytes) == ("client_gone", 4)


async def test_the_watch_leaves_the_body_to_its_reader_and_begins_when_it_is_whole():
    class SlowBody:
        looked = 0

        @property
        def whole(self) -> bool:
            self.looked += 1
            return self.looked > 2

    client, body = Client(()), SlowBody()
    waiting = asyncio.create_task(asyncio.Event().wait())
    passage = Passage(None, None, waiting, 0.0)
    watch = Watch(client.receive, body, passage, after_seconds=0.001)
    try:
        await eventually(lambda: client.received)
        assert body.looked == 3
        client.gone.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 5)
        assert passage.stopped()
        assert passage.failure.reason == "client_gone"
    finally:
        watch.close()


def test_a_call_that_is_over_can_not_be_ended_any_more():
    class Task:
        def cancel(self) -> None:
            raise AssertionError("it is over")

    passage = Passage(None, None, Task(), 0.0)
    passage.finish()
    passage.stop(Refused(Reason.CLIENT_GONE))
    assert not passage.stopped()


async def test_an_early_response_passes_while_the_body_is_still_being_sent():
    early = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
    async with (
        gateway(answering(early)) as world,
        listening(world) as port,
        connected(port) as caller,
    ):
        await caller.say(request(world, "POST /items HTTP/1.1", "Content-Length: 10", body=b"h"))
        status, _, body = await caller.response()
        assert (status, body) == (413, b"no")
        await eventually(lambda: world.results)
        assert (world.pair()[1].status, world.pair()[1].reason) == (413, "")


async def test_a_response_goes_on_while_the_body_is_still_being_sent():
    async def echo(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(CHUNKED)
        while data := await conversation.reader.readuntil(b"\r\n"):
            size = int(data, 16)
            piece = (await conversation.reader.readexactly(size + 2))[:-2]
            await conversation.say(chunk(piece) if piece else b"0\r\n\r\n")

    async with gateway(echo) as world, caller_of(world) as caller:
        await caller.say(request(world, "POST /items HTTP/1.1", "Transfer-Encoding: chunked"))
        await caller.say(chunk(b"one"))
        await caller.head()
        assert await caller.chunk() == b"one"
        await caller.say(chunk(b"two"))
        assert await caller.chunk() == b"two"
        await caller.say(b"0\r\n\r\n")
        assert await caller.chunk() == b""
        await eventually(lambda: world.results)
        assert world.pair()[1].sent_bytes == 6


async def test_a_chunked_body_over_the_limit_is_stopped_on_its_way():
    told = Told(head=b"")
    async with (
        gateway(told, settings={"max_request_bytes": 10}) as world,
        caller_of(world) as caller,
    ):
        await caller.say(request(world, "POST /items HTTP/1.1", "Transfer-Encoding: chunked"))
        await caller.say(chunk(b"12345"))
        await told.asked.wait()
        await caller.say(chunk(b"678901"))
        status, _, body = await caller.response()
        assert status == 413
        assert b"payload_too_large" in body
        await asyncio.wait_for(told.left.wait(), 5)
        assert world.pair()[1].reason == "body_too_large"


async def test_a_body_over_the_limit_after_the_response_began_leaves_it_unfinished():
    told = Told()
    async with (
        gateway(told, settings={"max_request_bytes": 10}) as world,
        caller_of(world) as caller,
    ):
        await caller.say(request(world, "POST /items HTTP/1.1", "Transfer-Encoding: chunked"))
        await caller.say(chunk(b"12345"))
        await caller.head()
        await caller.say(chunk(b"678901"))
        await caller.cut()
        assert world.pair()[1].reason == "body_too_large"


async def test_an_announced_body_over_the_limit_spends_no_mandate():
    async with gateway(answering(ok(b"")), settings={"max_request_bytes": 10}) as world:
        token = world.token()
        async with caller_of(world) as caller:
            line = "POST /items HTTP/1.1"
            expecting = ("Content-Length: 11", "Expect: 100-continue")
            await caller.say(request(world, line, *expecting, token=token))
            assert (await caller.response())[0] == 413
            assert world.log.entries == []
        async with caller_of(world) as caller:
            await caller.say(request(world, line, "Content-Length: 1", body=b"x", token=token))
            assert (await caller.response())[0] == 200


async def test_a_caller_who_expects_to_be_told_is_told_once_the_call_is_admitted():
    seen: list[bytes] = []
    async with gateway(remembering(seen, ok(b"done"))) as world, caller_of(world) as caller:
        expecting = ("Content-Length: 4", "Expect: 100-continue")
        await caller.say(request(world, "POST /items HTTP/1.1", *expecting))
        assert (await caller.head())[0] == 100
        await caller.say(b"body")
        assert (await caller.response())[2] == b"done"
        assert seen[0].endswith(b"body")
        assert b"xpect" not in seen[0]
        await caller.say(request(world, "PATCH /items/7 HTTP/1.1", *expecting))
        assert (await caller.head())[0] == 403, "a refused caller was asked for its body"


@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
async def test_a_large_body_goes_up_in_bounded_memory(framing):
    size, piece = 24 * MiB, b"u" * 65536
    counted = 0

    async def counts(conversation: Conversation) -> None:
        nonlocal counted
        await conversation.request()
        while counted < size:
            counted += (await conversation.reader.read(65536)).count(b"u")
        await conversation.say(ok(b"done"))

    async with gateway(counts) as world, caller_of(world) as caller:
        await caller.say(request(world, "PUT /files/big HTTP/1.1", framing.format(size)))
        tracemalloc.start()
        try:
            for _ in range(size // len(piece)):
                await caller.say(chunk(piece) if "chunked" in framing else piece)
            if "chunked" in framing:
                await caller.say(b"0\r\n\r\n")
            assert (await caller.response())[0] == 200
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert counted == size
        await eventually(lambda: world.results)
        assert world.pair()[1].sent_bytes == size
        assert peak < 4 * MiB


async def test_a_large_body_comes_down_in_bounded_memory_to_a_slow_caller():
    size, piece = 24 * MiB, b"d" * 65536

    async def pours(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            await conversation.say(piece)

    async with gateway(pours) as world, caller_of(world) as caller:
        tracemalloc.start()
        try:
            await caller.say(request(world, "GET /files/big HTTP/1.1"))
            await caller.head()
            got = 0
            while got < size:
                got += len(await caller.reader.read(65536))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await eventually(lambda: world.results)
        assert world.pair()[1].received_bytes == size
        assert peak < 6 * MiB


BODILESS = [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n", 200, "42"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, None),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\nETag: x\r\n\r\n", 304, None),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "0"),
]


@pytest.mark.parametrize(("method", "response", "status", "length"), BODILESS)
async def test_responses_without_a_body_leave_the_connection_usable(
    method, response, status, length
):
    async with gateway(answering(response)) as world, caller_of(world) as caller:
        await caller.say(request(world, f"{method} /items/7 HTTP/1.1"))
        got, fields = await caller.head()
        assert (got, fields.get("content-length")) == (status, length)
        # Anything of a body would stand before the next response.
        await caller.say(request(world, "PATCH /items/7 HTTP/1.1"))
        assert (await caller.response())[0] == 403
        assert [entry.reason for entry in world.results] == [""]


async def test_a_response_that_ends_with_its_connection_is_framed_anew():
    async with (
        gateway(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as world,
        caller_of(world) as caller,
    ):
        await caller.say(request(world))
        status, fields, body = await caller.response()
        assert (status, fields["transfer-encoding"], body) == (200, "chunked", b"until the end")
        assert "date" in fields


async def test_the_drain_cuts_a_stream_that_does_not_end():
    told = Told()
    async with gateway(told) as world, contextlib.AsyncExitStack() as stack:
        listener = contextlib.AsyncExitStack()
        port = await listener.enter_async_context(listening(world))
        caller = await stack.enter_async_context(connected(port))
        await caller.say(request(world))
        await caller.head()
        await listener.aclose()
        assert world.pair()[1].reason == "draining"
        assert told.left.is_set() or await asyncio.wait_for(told.left.wait(), 5)


STALLS = {"caller_idle": timedelta(milliseconds=100)}


async def test_a_caller_that_stops_in_its_body_is_told_and_gives_its_place_back():
    async with gateway(Told(head=b""), settings=STALLS) as world, caller_of(world) as caller:
        await caller.say(request(world, "POST /items HTTP/1.1", "Content-Length: 9", body=b"hold"))
        status, fields, body = await caller.response()
        assert (status, fields["connection"]) == (408, "close")
        assert b"client_gone" in body
        await caller.cut()
        assert world.app.in_flight == 0
        _, result = world.pair()
        assert (result.reason, result.sent_bytes) == ("client_gone", 4)
        assert "nothing of the body" in result.detail


async def test_a_caller_that_stops_in_its_body_is_cut_off_once_its_answer_has_begun():
    async with gateway(Told(), settings=STALLS) as world, caller_of(world) as caller:
        await caller.say(request(world, "POST /items HTTP/1.1", "Content-Length: 9", body=b"hold"))
        assert (await caller.head())[0] == 200
        await caller.cut()
        assert world.app.in_flight == 0
        _, result = world.pair()
        assert (result.reason, result.status, result.sent_bytes) == ("client_gone", 200, 4)


async def test_a_caller_that_does_not_read_its_answer_is_cut_off_and_gives_its_place_back():
    left = asyncio.Event()

    async def pours(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await conversation.say(b"d" * 65536)
        except OSError:
            left.set()

    async with gateway(pours, settings=STALLS) as world, caller_of(world) as caller:
        await caller.say(request(world))
        await caller.head()
        await asyncio.wait_for(left.wait(), 20)
        await eventually(lambda: world.results)
        assert world.app.in_flight == 0
        _, result = world.pair()
        assert (result.reason, result.status) == ("client_gone", 200)


@pytest.mark.parametrize("framing", ["Content-Length: 9", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("line", "status"), [("POST /items HTTP/1.1", 401), ("TRACE /items HTTP/1.1", 405)]
)
async def test_a_refusal_before_the_body_was_read_ends_the_connection(line, status, framing):
    async with gateway(answering(ok(b""))) as world, caller_of(world) as caller:
        await caller.say(request(world, line, framing, token="forged"))
        answered, headers, _ = await caller.response()
        assert (answered, headers["connection"]) == (status, "close")
        await caller.cut()


async def test_a_refusal_of_a_call_without_a_body_leaves_the_connection_open():
    async with gateway(answering(ok(b""))) as world, caller_of(world) as caller:
        for line, field in (
            ("GET /items HTTP/1.1", "X-A: b"),
            ("POST /items HTTP/1.1", "Content-Length: 0"),
        ):
            await caller.say(request(world, line, field, token="forged"))
            status, headers, _ = await caller.response()
            assert status == 401
            assert "connection" not in headers
