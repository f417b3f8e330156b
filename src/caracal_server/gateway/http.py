"""The Gateway's edge: a raw ASGI application, because every call of every agent passes here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.wire.headers import returnable_response_headers, traceparent_or
from caracal_server.gateway.enforcement import Admission, Enforcement, IncomingCall
from caracal_server.gateway.forwarding import CallResult, Forwarding
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.upstream import UpstreamResponse
from caracal_server.web.asgi import Receive, Scope, Send, send_reply
from caracal_server.web.problems import Problem, problem_of, render_oauth
from caracal_server.web.requests import request_id

_OWN_PATHS = frozenset({"/health", "/ready", "/metrics"})
_WATCH_ABOVE_BYTES = 64 * 1024


class BodyTooLarge(Exception):
    """The caller's body passed the limit while it streamed."""


class CallerGone(Exception):
    """The caller went away before its body was whole."""


@dataclass(slots=True)
class GatewayApp:
    """ASGI: own paths without `X-Caracal-Resource` are the Gateway's, everything else is proxied."""

    settings: GatewaySettings
    enforcement: Enforcement
    forwarding: Forwarding
    clock: Clock
    entropy: Entropy
    own: Callable[[Scope, Receive, Send], Awaitable[None]]
    in_flight: int = field(default=0, init=False)
    draining: bool = field(default=False, init=False)

    def begin_draining(self) -> None:
        """Take no more calls; those under way go on."""
        self.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = scope["headers"]
        if scope["path"] in _OWN_PATHS and not any(
            name == b"x-caracal-resource" for name, _ in headers
        ):
            await self.own(scope, receive, send)
            return
        incoming = IncomingCall(
            method=scope["method"],
            raw_path=scope["raw_path"],
            query=scope["query_string"],
            headers=headers,
            request_id=request_id(headers, self.entropy),
        )
        busy = self._busy(headers)
        if busy is not None:
            await self._answer(send, incoming, busy)
            return
        self.in_flight += 1
        try:
            await self._serve(scope, incoming, receive, send)
        finally:
            self.in_flight -= 1

    def _busy(self, headers: list[tuple[bytes, bytes]]) -> Refused | None:
        if self.draining:
            return Refused(Reason.DRAINING, "this Gateway is shutting down")
        if self.in_flight >= self.settings.max_in_flight:
            return Refused(Reason.OVERLOADED, "too many calls at once")
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if size > self.settings.max_header_bytes:
            return Refused(
                Reason.HEADERS_TOO_LARGE,
                f"the headers have {size} bytes, at most {self.settings.max_header_bytes} pass",
            )
        return None

    async def _serve(
        self, scope: Scope, incoming: IncomingCall, receive: Receive, send: Send
    ) -> None:
        started = self.clock.monotonic()
        try:
            admission = await self.enforcement.admit(incoming)
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            problem = problem_of(fault, incoming.request_id)
            await send_reply(send, render_oauth(problem, incoming.request_id))
            return
        if isinstance(admission, Refused):
            await self._answer(send, incoming, admission)
            return
        result = CallResult()
        try:
            await self._carry(scope, incoming, admission, result, receive, send)
        finally:
            self.forwarding.record(incoming, admission.admitted, result, started)

    async def _carry(
        self,
        scope: Scope,
        incoming: IncomingCall,
        admission: Admission,
        result: CallResult,
        receive: Receive,
        send: Send,
    ) -> None:
        body = self._body(admission, result, receive)
        if isinstance(body, Refused):
            await self._fail(send, incoming, result, body)
            return
        try:
            response = await self.forwarding.send(
                incoming, admission, self._added(scope, incoming), body
            )
        except BodyTooLarge:
            limit = self.settings.max_request_bytes
            response = Refused(Reason.BODY_TOO_LARGE, f"a body has at most {limit} bytes")
        except CallerGone:
            result.reason = Reason.CLIENT_GONE
            return
        except Unavailable as error:
            response = Refused(error.reason, error.detail)
        if isinstance(response, Refused):
            await self._fail(send, incoming, result, response)
            return
        await self._return(incoming, admission, response, result, receive, send)

    async def _return(
        self,
        incoming: IncomingCall,
        admission: Admission,
        response: UpstreamResponse,
        result: CallResult,
        receive: Receive,
        send: Send,
    ) -> None:
        result.status = response.status
        mandate = admission.admitted.mandate
        remaining = int((mandate.expires_at - self.clock.now()).total_seconds())
        headers = [
            *returnable_response_headers(response.headers),
            (b"x-request-id", incoming.request_id.encode()),
            (b"x-caracal-token-expires-in", str(max(0, remaining)).encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        watcher = self._watch(admission, response, result, receive)
        try:
            whole = await self.forwarding.relay(
                admission.admitted, response, result, lambda chunk: _write(send, chunk)
            )
        finally:
            if watcher is not None:
                watcher.cancel()
        # A body that did not come whole is left unfinished: the server then cuts the connection, and
        # nobody can take what arrived for all there is.
        if whole:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _watch(
        self,
        admission: Admission,
        response: UpstreamResponse,
        result: CallResult,
        receive: Receive,
    ) -> asyncio.Task[None] | None:
        """Notice a caller that leaves while a long response is under way."""
        if admission.arrival.has_body and not result.body_read:
            return None
        length = _first(response.headers, b"content-length")
        if length is not None and length.isdigit() and int(length) <= _WATCH_ABOVE_BYTES:
            return None
        return asyncio.create_task(_abandon(receive, _current_task()))

    def _added(self, scope: Scope, incoming: IncomingCall) -> tuple[tuple[bytes, bytes], ...]:
        headers = incoming.headers
        peer = scope.get("client")
        address = peer[0] if peer else "unknown"
        scheme = scope.get("scheme", "http")
        if self.settings.trust_forwarded:
            forwarded = _first(headers, b"x-forwarded-for")
            address = forwarded.decode("latin-1").split(",")[0].strip() if forwarded else address
            claimed = _first(headers, b"x-forwarded-proto")
            scheme = claimed.decode("latin-1") if claimed in {b"http", b"https"} else scheme
        host = _first(headers, b"host") or b""
        trace = traceparent_or(_first(headers, b"traceparent"), self.entropy.token_bytes)
        return (
            (b"x-request-id", incoming.request_id.encode()),
            (b"traceparent", trace),
            (b"x-forwarded-for", address.encode("latin-1", "replace")),
            (b"x-forwarded-proto", scheme.encode()),
            (b"x-forwarded-host", host),
        )

    def _body(
        self, admission: Admission, result: CallResult, receive: Receive
    ) -> AsyncIterator[bytes] | Refused | None:
        arrival = admission.arrival
        if not arrival.has_body:
            return None
        limit = self.settings.max_request_bytes
        if arrival.content_length is not None and arrival.content_length > limit:
            return Refused(Reason.BODY_TOO_LARGE, f"a body has at most {limit} bytes")
        return _read(receive, result, limit)

    async def _fail(
        self, send: Send, incoming: IncomingCall, result: CallResult, refused: Refused
    ) -> None:
        result.reason, result.detail = refused.reason, refused.detail
        await self._answer(send, incoming, refused)

    async def _answer(self, send: Send, incoming: IncomingCall, refused: Refused) -> None:
        await send_reply(send, render_oauth(Problem.of(refused), incoming.request_id))


async def _read(receive: Receive, result: CallResult, limit: int) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerGone
        chunk = message.get("body", b"")
        if chunk:
            result.sent_bytes += len(chunk)
            if result.sent_bytes > limit:
                raise BodyTooLarge
            yield chunk
        if not message.get("more_body", False):
            result.body_read = True
            return


async def _write(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _abandon(receive: Receive, task: asyncio.Task[object]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call is served inside a task")
    return task


def _first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    for name, value in headers:
        if name == wanted:
            return value
    return None
