"""One connection to one upstream, one exchange at a time."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, cast

from caracal_server.adapters.http.response import HIGH_WATER_BYTES, StreamedResponse
from caracal_server.adapters.http.response_reader import ResponseReader
from caracal_server.ports.upstream import UpstreamError, UpstreamErrorKind


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds and bytes, unpacked once for the hot path."""

    first_byte: float
    idle: float
    kept_alive: float
    lifetime: float
    head_bytes: int


@dataclass(slots=True)
class OutgoingCall:
    """What one exchange writes, and by when it must be over (event loop time)."""

    head: bytes
    for_head_request: bool
    upload: AsyncGenerator[bytes | memoryview, None] | None
    ends_at: float | None
    written: bool = False


class Owner(Protocol):
    """Whom a connection reports to, once for each event."""

    def connection_free(self, connection: "UpstreamConnection") -> None:
        """The connection is clean and may carry another exchange."""
        ...

    def connection_lost(self, connection: "UpstreamConnection") -> None:
        """The connection will carry nothing more."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """Writes a request, hands out its response, then reports itself free or lost.

    It keeps one timer at most. Moving a deadline later costs an assignment: the timer looks
    at the deadline when it fires and goes back to sleep.
    """

    __slots__ = (
        "_call",
        "_deadline",
        "_deadline_kind",
        "_head",
        "_limits",
        "_loop",
        "_owner",
        "_reader",
        "_reading_paused",
        "_response",
        "_retires_at",
        "_timer",
        "_timer_at",
        "_transport",
        "_uploading",
        "_writable",
        "_write_paused",
        "closed",
        "heard_nothing",
        "lost",
        "usable_until",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits, owner: Owner
    ) -> None:
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done once the socket is gone."""
        self.usable_until = self._retires_at = loop.time() + limits.lifetime
        """Event loop time after which the connection must not carry another exchange."""
        self.heard_nothing = True
        """No byte has arrived since the last request was written."""
        self._loop = loop
        self._limits = limits
        self._owner = owner
        self._reader = ResponseReader(limits.head_bytes)
        self._transport: asyncio.Transport | None = None
        self.lost = False
        """The connection will carry nothing more."""
        self._call: OutgoingCall | None = None
        self._head: asyncio.Future[StreamedResponse] | None = None
        self._response: StreamedResponse | None = None
        self._reading_paused = False
        self._uploading: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline: float | None = None
        self._deadline_kind = UpstreamErrorKind.FIRST_BYTE_TIMEOUT

    async def exchange(self, call: OutgoingCall) -> StreamedResponse:
        """Send `call` and return the head of its response.

        Raises:
            UpstreamError: no response head arrived; the connection is gone.
        """
        if self.lost or self._transport is None:
            detail = "the upstream closed the connection before the request"
            raise UpstreamError(UpstreamErrorKind.CLOSED_EARLY, detail, request_sent=call.written)
        self._call = call
        call.written = True
        self.heard_nothing = True
        self._reader.begin(for_head_request=call.for_head_request)
        head: asyncio.Future[StreamedResponse] = self._loop.create_future()
        self._head = head
        self._transport.write(call.head)
        if call.upload is None:
            self._watch(self._limits.first_byte, UpstreamErrorKind.FIRST_BYTE_TIMEOUT)
        else:
            self._uploading = self._loop.create_task(self._send_body(self._transport, call.upload))
        try:
            return await head
        except BaseException:
            self.close()
            raise

    async def _send_body(
        self, transport: asyncio.Transport, pieces: AsyncGenerator[bytes | memoryview, None]
    ) -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    transport.write(piece)
                    if self._write_paused:
                        self._writable = self._loop.create_future()
                        self._watch_progress()
                        await self._writable
                        self._watch_progress()
        except Exception as error:  # noqa: BLE001 - what the caller's body raises belongs to whoever awaits the response
            self._uploading = None
            self.close(error)
        else:
            self._uploading = None
            self._watch_progress()

    def resume_reading(self) -> None:
        """Let the upstream send again."""
        if self._reading_paused and not self.lost and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
            self._watch_progress()

    def abandon(self) -> None:
        """End the connection because nobody reads on."""
        self.close()

    def close(self, error: Exception | None = None) -> None:
        """End the connection at once; `error` reaches whoever still waits on it."""
        if self.lost:
            return
        self.lost = True
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._uploading is not None:
            self._uploading.cancel()
            self._uploading = None
        if self._transport is not None:
            self._transport.abort()
        head, response = self._head, self._response
        self._call = self._head = self._response = None
        if error is None:
            error = _closed_early("the connection was given up")
        if response is not None:
            response.fail(error)
        elif head is not None and not head.done():
            head.set_exception(error)
        self._owner.connection_lost(self)

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are streams without deriving from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            self.close()  # nobody asked: the next exchange could not trust what it reads
            return
        self.heard_nothing = False
        reader = self._reader
        try:
            reader.feed(data)
        except UpstreamError as error:
            self.close(error)
            return
        response = self._response
        if response is None:
            if not reader.head_complete:
                return  # the deadline stands: a head that drips in gains no time
            response = self._hand_out_head(reader)
        if reader.chunks:
            response.push(reader.chunks)
            reader.chunks = []
        if reader.complete:
            self._finish(response)
            return
        if response.unread_bytes > HIGH_WATER_BYTES and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._watch_progress()

    def eof_received(self) -> None:
        response = self._response
        try:
            self._reader.feed_eof(authentic=self._ended_authentically())
        except UpstreamError as error:
            self.close(error)
            return
        if response is not None:
            self._response = None
            response.finish()
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost:
            kind = UpstreamErrorKind.CLOSED_EARLY
            if isinstance(exc, ssl.SSLError):
                kind = UpstreamErrorKind.TLS_FAILED
            detail = "the upstream closed the connection before the end of its response"
            self.close(UpstreamError(kind, detail, request_sent=True))
        self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # Ends of an exchange.

    def _hand_out_head(self, reader: ResponseReader) -> StreamedResponse:
        response = self._response = StreamedResponse(reader.status, reader.headers, self)
        head, self._head = self._head, None
        if head is not None and not head.done():
            head.set_result(response)
        return response

    def _finish(self, response: StreamedResponse) -> None:
        self._response = self._call = None
        response.finish()
        if not self._reader.reusable or self._uploading is not None:
            self.close()
            return
        self.usable_until = min(self._loop.time() + self._limits.kept_alive, self._retires_at)
        self._deadline = self.usable_until
        if self._timer is None:
            self._set_timer(self.usable_until)
        self._owner.connection_free(self)

    def _ended_authentically(self) -> bool:
        """Say whether the peer itself ended the stream: over TLS, by close_notify."""
        tls = self._transport and self._transport.get_extra_info("ssl_object")
        if not tls:
            return True
        try:
            return bool(tls.read(1) == b"")
        except ssl.SSLZeroReturnError:
            return True
        except (OSError, ValueError):
            return False

    # Deadlines.

    def _watch_progress(self) -> None:
        """Set the deadline that fits what the exchange waits for now."""
        if self._call is None:
            return
        if self._writable is not None or (self._response is not None and not self._reading_paused):
            self._watch(self._limits.idle, UpstreamErrorKind.IDLE_TIMEOUT)
        elif self._response is None and self._uploading is None:
            self._watch(self._limits.first_byte, UpstreamErrorKind.FIRST_BYTE_TIMEOUT)
        else:  # the caller is the slow one
            self._watch(None, UpstreamErrorKind.TOTAL_TIMEOUT)

    def _watch(self, seconds: float | None, kind: UpstreamErrorKind) -> None:
        at = None if seconds is None else self._loop.time() + seconds
        ends_at = self._call.ends_at if self._call is not None else None
        if ends_at is not None and (at is None or ends_at < at):
            at, kind = ends_at, UpstreamErrorKind.TOTAL_TIMEOUT
        self._deadline, self._deadline_kind = at, kind
        if at is not None and (self._timer is None or at < self._timer_at):
            self._set_timer(at)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        at = self._deadline
        if at is None:
            return
        if self._loop.time() < at:
            self._set_timer(at)
        elif self._call is None:
            self.close()
        else:
            kind = self._deadline_kind
            self.close(UpstreamError(kind, "the upstream took too long", request_sent=True))


def _closed_early(detail: str) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.CLOSED_EARLY, detail, request_sent=True)
