"""Upstreams on loopback that say exactly what a test tells them to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address

from caracal_server.adapters.http.client import PooledUpstreamClient
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.ports.upstream import (
    IPAddress,
    UpstreamRequest,
    UpstreamTimeouts,
    UpstreamUrl,
)

_UNTRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the system's trust is slow

Speaks = Callable[["Conversation"], Awaitable[None]]


@dataclass
class Conversation:
    """The upstream's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def request(self) -> bytes:
        """Read one request head; raises IncompleteReadError when the client is gone."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        while await self.reader.read(65536):
            pass


@dataclass
class Upstream:
    """A listening upstream and what has become of its connections."""

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> UpstreamUrl:
        return UpstreamUrl.parse(f"{self.scheme}://127.0.0.1:{self.port}/")


@asynccontextmanager
async def upstream(speaks: Speaks, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Serve `speaks` to each connection until the block ends."""
    state = Upstream(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()
    faults: list[Exception] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        state.connections += 1
        try:
            await speaks(Conversation(reader, writer, state.connections))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        except Exception as error:  # noqa: BLE001 - told at the end of the test
            faults.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        assert not faults, faults


def answering(*responses: bytes) -> Speaks:
    """Answer the requests of every connection with these responses in turn, then close."""

    async def speaks(conversation: Conversation) -> None:
        for response in responses:
            await conversation.request()
            await conversation.say(response)

    return speaks


def forever(response: bytes) -> Speaks:
    """Answer every request the same way, on connections that stay open."""

    async def speaks(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.say(response)

    return speaks


def ok(body: bytes, *fields: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (*fields, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def client(
    private: str = "127.0.0.1",
    *,
    limits: PoolLimits | None = None,
    tls: ssl.SSLContext | None = None,
    resolver: object = None,
    **seconds: float,
) -> AsyncIterator[PooledUpstreamClient]:
    """Open a client whose timeouts are `seconds`; those not named are 5 s."""
    durations = dict.fromkeys(("connect", "first_byte", "idle"), 5.0) | seconds
    made = PooledUpstreamClient(
        EgressGuard(PrivateEgress.parse(private)),
        timeouts=UpstreamTimeouts(**{k: timedelta(seconds=v) for k, v in durations.items()}),
        limits=limits,
        tls=tls or _UNTRUSTING,
        resolver=resolver,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(made.aclose)
        yield made


def get(url: UpstreamUrl, target: bytes = b"/", method: str = "GET") -> UpstreamRequest:
    return UpstreamRequest(method, url, target)


async def read(response: object) -> bytes:
    return b"".join([chunk async for chunk in response.body()])


async def read_into(got: bytearray, response: object) -> None:
    """Keep what arrived even when the rest does not."""
    async for chunk in response.body():
        got += chunk


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    """Return once `holds`; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.001)


class ScriptedResolver:
    """Gives its answers in turn, then the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> Sequence[IPAddress]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [ip_address(text) for text in answer]
