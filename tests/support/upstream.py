"""A real upstream for tests: HTTP/1.1 on a loopback port, in a thread of its own, that keeps what it got.

Endpoints: `/json`, `/echo`, `/events` (SSE, an event for each `push`), `/drip` (never ends), `/bytes/N`,
`/sink`, `/redirect`, `/hold` (answers once released), `/hang`, `/close`, and `/raw/NAME` for any bytes.
"""

import asyncio
import contextlib
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import pytest

METADATA_URL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
CHUNK = bytes(range(256)) * 1024
LIMIT = 256 * 1024


@dataclass(slots=True)
class Received:
    """One request as it arrived; `body_bytes` grows while the body does."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body_bytes: int = 0
    digest: str = ""
    gone: bool = False

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} stands {len(found)} times"
        return found[0] if found else None


@dataclass(slots=True)
class RecordingUpstream:
    """Everything about the requests it got is kept in `received`, in the order of arrival."""

    received: list[Received] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)
    port: int = 0
    on_arrival: Callable[[Received], None] | None = None
    """Is called in the upstream's thread when a head has arrived, before anything is answered."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _queues: dict[str, asyncio.Queue[str]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    def by_request(self, request_id: str) -> list[Received]:
        """The requests that carried this id."""
        return [one for one in list(self.received) if one.header("x-request-id") == request_id]

    def to(self, path: str) -> list[Received]:
        """The requests whose target begins so."""
        return [one for one in list(self.received) if one.target.startswith(path)]

    def push(self, channel: str, event: str) -> None:
        """Send one event on `/events?CHANNEL`, or release `/hold?CHANNEL`."""
        self._loop.call_soon_threadsafe(lambda: self._queue(channel).put_nowait(event))

    def start(self) -> None:
        begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name="upstream")
        self._thread.start()
        assert begun.wait(10)

    def stop(self) -> None:
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self, begun: threading.Event) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)

        async def listen() -> None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=LIMIT)
            self.port = self._server.sockets[0].getsockname()[1]

        loop.run_until_complete(listen())
        loop.call_soon(begun.set)
        loop.run_forever()
        loop.run_until_complete(self._end())
        loop.close()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _queue(self, channel: str) -> "asyncio.Queue[str]":
        return self._queues.setdefault(channel, asyncio.Queue())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = request_line.split(" ")
        pairs = (line.partition(":") for line in lines)
        received = Received(
            method, target, [(key.lower(), value.strip()) for key, _, value in pairs]
        )
        self.received.append(received)
        if self.on_arrival is not None:
            self.on_arrival(received)
        path, _, channel = target.partition("?")
        name = path.split("/")[1]
        answer = _ENDPOINTS.get(name)
        if answer is None:
            await _take_body(reader, received)
            _write(writer, 404, b"{}")
        else:
            try:
                keep = await answer(self, received, _Exchange(reader, writer, path, channel))
            except (OSError, asyncio.IncompleteReadError):
                received.gone = True
                return False
            if not keep:
                return False
        await writer.drain()
        return True


@dataclass(frozen=True, slots=True)
class _Exchange:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    path: str
    channel: str


def _write(
    writer: asyncio.StreamWriter, status: int, body: bytes, *headers: tuple[str, str]
) -> None:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n{more}"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


async def _body(reader: asyncio.StreamReader, received: Received) -> AsyncIterator[bytes]:
    if received.header("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return
    left = int(received.header("content-length") or 0)
    while left:
        chunk = await reader.read(min(left, LIMIT))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(chunk)
        yield chunk


async def _take_body(reader: asyncio.StreamReader, received: Received) -> bytes:
    digest, kept = hashlib.sha256(), bytearray()
    async for chunk in _body(reader, received):
        received.body_bytes += len(chunk)
        digest.update(chunk)
        if len(kept) < LIMIT:
            kept += chunk
    received.digest = digest.hexdigest()
    return bytes(kept)


async def _json(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    await _take_body(on.reader, received)
    _write(on.writer, 200, b'{"rows": [1, 2, 3]}')
    return True


async def _echo(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    body = await _take_body(on.reader, received)
    seen = {
        "method": received.method,
        "target": received.target,
        "headers": received.headers,
        "body": body.decode("latin-1"),
    }
    _write(on.writer, 200, json.dumps(seen).encode(), ("x-caracal-forged", "yes"), ("server", "x"))
    return True


async def _events(upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    on.writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    queue = upstream._queue(on.channel)
    gone = asyncio.ensure_future(on.reader.read(1))
    try:
        while True:
            event = asyncio.ensure_future(queue.get())
            done, _ = await asyncio.wait((event, gone), return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                event.cancel()
                received.gone = True
                return False
            data = f"data: {event.result()}\n\n".encode()
            on.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await on.writer.drain()
    finally:
        gone.cancel()


async def _drip(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    on.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        on.writer.write(b"%x\r\n%s\r\n" % (1024, CHUNK[:1024]))
        await on.writer.drain()
        await asyncio.sleep(0.01)
        if on.reader.at_eof() or on.writer.transport.is_closing():
            received.gone = True
            return False


async def _bytes(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    left = int(on.path.split("/")[2])
    on.writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n".encode())
    while left:
        piece = CHUNK if left >= len(CHUNK) else CHUNK[:left]
        on.writer.write(piece)
        left -= len(piece)
        await on.writer.drain()
    return True


async def _sink(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    async for chunk in _body(on.reader, received):
        received.body_bytes += len(chunk)
    _write(on.writer, 200, json.dumps({"bytes": received.body_bytes}).encode())
    return True


async def _redirect(_upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    await _take_body(on.reader, received)
    _write(on.writer, 302, b"", ("location", METADATA_URL))
    return True


async def _hold(upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    await _take_body(on.reader, received)
    await upstream._queue(on.channel).get()
    _write(on.writer, 200, b'{"held": true}')
    return True


async def _hang(upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    if received.method == "GET":
        await on.reader.read(1)
        received.gone = True
        return False
    # A body that is not read hides the end of the connection; `push` breaks it off.
    await upstream._queue(on.channel).get()
    return False


async def _close(_upstream: RecordingUpstream, _received: Received, on: _Exchange) -> bool:
    on.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly the beginning")
    await on.writer.drain()
    return False


async def _raw(upstream: RecordingUpstream, received: Received, on: _Exchange) -> bool:
    await _take_body(on.reader, received)
    on.writer.write(upstream.raw[on.path.split("/")[2]])
    await on.writer.drain()
    on.writer.write_eof()
    await on.reader.read(1)
    return False


_ENDPOINTS: dict[str, Callable] = {
    "json": _json,
    "echo": _echo,
    "events": _events,
    "drip": _drip,
    "bytes": _bytes,
    "sink": _sink,
    "redirect": _redirect,
    "hold": _hold,
    "hang": _hang,
    "close": _close,
    "raw": _raw,
}


@contextlib.contextmanager
def recording_upstream() -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream()
    upstream.start()
    try:
        yield upstream
    finally:
        upstream.stop()


@pytest.fixture(scope="session")
def upstream() -> Iterator[RecordingUpstream]:
    """One for the whole run; tests tell their requests apart by request id or path."""
    with recording_upstream() as running:
        yield running
