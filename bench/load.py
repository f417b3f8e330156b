"""A closed-loop load: clients that each wait for an answer before they ask again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection that sends prepared bytes and reads framed answers."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cls, "127.0.0.1", port)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiter is None:
            return
        head = bytes(buffer[:end]).lower()
        body = buffer[end + 4 :]
        at = head.find(b"content-length:")
        if head[9:12] == b"204":
            answer = b""
        elif at >= 0:
            length = int(head[at + 15 :].partition(b"\r\n")[0])
            if len(body) < length:
                return
            answer = bytes(body[:length])
        else:
            if not body.endswith(b"0\r\n\r\n"):
                return
            answer = bytes(body)
        buffer.clear()
        waiter, self._waiter = self._waiter, None
        waiter.set_result((int(head[9:12]), answer))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._waiter = asyncio.get_running_loop().create_future()
        if self._transport is None:
            raise ConnectionError("not connected")
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


Turn = Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class Tally:
    """What a run of a load came to; latencies in milliseconds."""

    seconds: float = 0.0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        if not self.latencies:
            return 0.0
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def closed_loop(turns: list[Turn], seconds: float) -> Tally:
    """Let every client take its turns until the time is over."""
    tally = Tally()
    started = time.perf_counter()
    deadline = started + seconds

    async def client(turn: Turn) -> None:
        while (begun := time.perf_counter()) < deadline:
            if await turn():
                tally.latencies.append((time.perf_counter() - begun) * 1000)
            else:
                tally.errors += 1

    await asyncio.gather(*map(client, turns))
    tally.seconds = time.perf_counter() - started
    return tally
