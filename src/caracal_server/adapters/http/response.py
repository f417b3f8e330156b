"""The response side of one exchange: what has arrived, and what became of the rest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

HIGH_WATER_BYTES = 128 * 1024
"""Unread bytes at which the upstream is paused."""


class Source(Protocol):
    """The connection a response comes from."""

    def resume_reading(self) -> None:
        """Let the upstream send again."""
        ...

    def abandon(self) -> None:
        """End the connection; nobody reads on."""
        ...


class StreamedResponse:
    """Filled by its connection, read by the caller. Implements `UpstreamResponse`."""

    __slots__ = (
        "_arrived",
        "_chunks",
        "_complete",
        "_error",
        "_source",
        "headers",
        "status",
        "unread_bytes",
    )

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], source: Source) -> None:
        self.status = status
        self.headers = headers
        self.unread_bytes = 0
        self._source = source
        self._chunks: list[bytes] = []
        self._complete = False
        self._error: Exception | None = None
        self._arrived: asyncio.Future[None] | None = None

    def push(self, chunks: list[bytes]) -> None:
        """Add what arrived."""
        self._chunks += chunks
        self.unread_bytes += sum(map(len, chunks))
        self._wake()

    def finish(self) -> None:
        """Note that all of the body has been pushed."""
        self._complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Note that the rest will not come. What has been pushed is still read first."""
        if not self._complete:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def body(self) -> AsyncIterator[bytes]:
        """Yield what has arrived as soon as it has; see `UpstreamResponse.body`."""
        while True:
            if self._chunks:
                chunks, self._chunks = self._chunks, []
                self.unread_bytes = 0
                if not self._complete:  # else the connection may serve somebody else by now
                    self._source.resume_reading()
                yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
            elif self._error is not None:
                raise self._error
            elif self._complete:
                return
            else:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived

    async def aclose(self) -> None:
        """Drop what is unread and, unless all of it had arrived, the connection too."""
        self._chunks = []
        self.unread_bytes = 0
        if not self._complete and self._error is None:
            self._source.abandon()
