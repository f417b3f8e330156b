"""The proxy: one program's HTTP/1.1 on loopback, read by h11 and answered request by request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

import h11
import httpx

from caracal.run.answers import Answer, refused, refused_by_caracal, unproven, wants_json
from caracal.run.exchange import Exchange, Outgoing
from caracal.run.neighbours import is_from
from caracal.run.routes import Directory, Refusal, ToHost, ToResource, Tunnel, Unproven
from caracal.run.tunnels import Streams, open_tunnel, relay
from caracal.wire.calls.refusals import CaracalError

MAX_CONNECTIONS: Final = 256
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 120.0
_LINGER_SECONDS: Final = 1.0
_LINGER_CHUNKS: Final = 16
_READ: Final = 64 * 1024
_HTTP_1_1: Final = b"1.1"
_AMBIGUOUS: Final = Refusal(400, "framing_ambiguous", "length and chunks do not go together")
_MALFORMED: Final = Refusal(400, "request_malformed", "this is no HTTP/1.1 request")
_UNANSWERED: Final = Refusal(502, "no_answer", "no answer came")


class _Over(Exception):
    """The connection ends here, and there is nobody to answer."""


@dataclass(slots=True)
class Proxy:
    """Serves the connections of one run.

    Attributes:
        user: the only one who may connect; `None` for any on this machine.
    """

    directory: Directory
    exchange: Exchange
    user: int | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MAX_CONNECTIONS or not self._is_ours(writer):
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            await Connection(self.directory, self.exchange, reader, writer).run()
        except asyncio.CancelledError:
            # The program went away, or the run is over: either is the end of this connection only.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    def _is_ours(self, writer: asyncio.StreamWriter) -> bool:
        far = writer.get_extra_info("peername")
        if self.user is None:
            return True
        return far is not None and is_from(self.user, self.directory.port, far[1])

    async def end(self) -> None:
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(set(self._connections))


class Connection:
    """One connection of the program's; requests on it are answered one after the other."""

    def __init__(
        self,
        directory: Directory,
        exchange: Exchange,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._directory = directory
        self._exchange = exchange
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._watch: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            wait = HEAD_SECONDS
            while await self._one(wait):
                wait = IDLE_SECONDS
        except h11.RemoteProtocolError:
            await self._malformed()
        except (_Over, OSError, TimeoutError, h11.LocalProtocolError):
            self._writer.transport.abort()
        finally:
            await self._unwatch()

    async def _one(self, wait: float) -> bool:
        """Answer one request; whether another one may follow."""
        async with asyncio.timeout(wait):
            request = await self._next()
        if not isinstance(request, h11.Request):
            return False
        far = await self._answer(request)
        await self._unwatch()
        if far is not None:
            await relay(Streams(self._reader, self._writer), far, self._http.trailing_data[0])
            return False
        states = (self._http.our_state, self._http.their_state)
        if states != (h11.DONE, h11.DONE):
            await self._linger()
            return False
        self._http.start_next_cycle()
        return True

    async def _answer(self, request: h11.Request) -> Streams | None:
        json = wants_json(request.headers)
        if _ambiguous(request):
            await self._refuse(refused(_AMBIGUOUS, json=json))
            return None
        asked = self._directory.read(
            request.method.decode("ascii"),
            request.target.decode("ascii", "replace"),
            _one_header(request, b"proxy-authorization"),
        )
        if isinstance(asked, Unproven):
            await self._refuse(unproven())
        elif isinstance(asked, Refusal):
            self._exchange.tell(asked.message)
            await self._refuse(refused(asked, json=json))
        elif isinstance(asked, Tunnel):
            return await self._tunnel(asked, json=json)
        else:
            await self._forward(request, asked, json=json)
        return None

    async def _forward(
        self, request: h11.Request, asked: ToResource | ToHost, *, json: bool
    ) -> None:
        kept = (each for each in request.headers if not self._directory.reveals_run(each[1]))
        outgoing = Outgoing(request.method, tuple(kept), self._body())
        try:
            response = await self._exchange.send(asked, outgoing)
        except CaracalError as error:
            self._exchange.tell_refusal(error)
            await self._refuse(refused_by_caracal(error, json=json))
            return
        except httpx.TransportError as fault:
            self._exchange.tell(f"{_UNANSWERED.message}: {type(fault).__name__}")
            await self._refuse(refused(_UNANSWERED, json=json))
            return
        try:
            await self._send(
                h11.Response(status_code=response.status, headers=list(response.headers))
            )
            async for chunk in response.chunks:
                await self._send(h11.Data(data=chunk))
            await self._send(h11.EndOfMessage())
        except httpx.TransportError as fault:
            # What has begun can only be broken off, so that nobody takes it for whole.
            raise _Over from fault
        finally:
            await response.close()

    async def _tunnel(self, asked: Tunnel, *, json: bool) -> Streams | None:
        try:
            far = await open_tunnel(asked)
        except (OSError, TimeoutError):
            unreached = Refusal(502, "host_unreachable", f"{asked.host} can not be reached")
            await self._refuse(refused(unreached, json=json))
            return None
        await self._send(h11.Response(status_code=200, headers=[], reason=b"OK"))
        return far

    async def _body(self) -> AsyncIterator[bytes]:
        """The request's body as it arrives; from its end on, the program's going away ends all of it."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._watch = asyncio.create_task(self._until_gone(asyncio.current_task()))
                return
            else:
                raise _Over

    async def _until_gone(self, answering: asyncio.Task[None] | None) -> None:
        data = await self._reader.read(_READ)
        if data:
            self._http.receive_data(data)
        elif answering is not None:
            answering.cancel()

    async def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait({watch})

    async def _next(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(_READ))

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _refuse(self, answer: Answer) -> None:
        """Answer without the rest of the request, after which nothing on this connection is believed."""
        headers: Iterable[tuple[str, str]] = (*answer.headers, ("Connection", "close"))
        await self._send(h11.Response(status_code=answer.status, headers=list(headers)))
        await self._send(h11.Data(data=answer.body))
        await self._send(h11.EndOfMessage())

    async def _malformed(self) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(OSError, h11.LocalProtocolError):
                await self._refuse(refused(_MALFORMED, json=False))
                await self._linger()

    async def _linger(self) -> None:
        """Let the program read the answer: closing with bytes unread would take it away."""
        with contextlib.suppress(OSError, TimeoutError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(_LINGER_SECONDS):
                for _ in range(_LINGER_CHUNKS):
                    if not await self._reader.read(_READ):
                        return


def _ambiguous(request: h11.Request) -> bool:
    """Framing that another reader might take otherwise (RFC 9112 section 6.1)."""
    names = [name for name, _ in request.headers]
    chunked = names.count(b"transfer-encoding")
    return chunked > 0 and (b"content-length" in names or request.http_version != _HTTP_1_1)


def _one_header(request: h11.Request, wanted: bytes) -> str | None:
    found = [value for name, value in request.headers if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else None
