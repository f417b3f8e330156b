"""The Gateway's edge: a raw ASGI application, because every call of every agent passes here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from typing import Final

from msgspec.structs import replace as replace_in

from caracal.authority.outcomes import Reason, Refused
from caracal.wire.headers import Headers, returnable_response_headers, traceparent_or
from caracal_server.gateway.addressing import NOTHING, Address, Addressing, challenged
from caracal_server.gateway.arrival import ALLOW, Arrival, first, read_arrival
from caracal_server.gateway.caller import Body, Watch, too_large
from caracal_server.gateway.enforcement import Admission, Enforcement, IncomingCall
from caracal_server.gateway.forwarding import Forwarding, refusal_of
from caracal_server.gateway.listing import Listing, asks_for_list, uncoded
from caracal_server.gateway.mcp_answers import render_refusal, variant_for
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.passages import CallFailed, Passage
from caracal_server.gateway.placement import Placement
from caracal_server.gateway.results import UPSTREAM_CLASSES
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.upstream import UpstreamError, UpstreamResponse
from caracal_server.web.asgi import Header, Receive, Reply, Scope, Send, send_reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, problem_of, render_oauth
from caracal_server.web.receipts import RecordedRefusal, receipt_headers, receipted
from caracal_server.web.requests import request_id

_OWN_PATHS: Final = frozenset({"/health", "/ready", "/metrics"})
_CLOSE: Final = (b"connection", b"close")
_BODILESS: Final = frozenset({204, 304})
_ALLOW_HEADERS: Final = ((b"allow", ALLOW),)
_BEHIND: Final = frozenset(
    {
        Reason.CREDENTIAL_HOST_REFUSED,
        Reason.CREDENTIAL_UNAVAILABLE,
        Reason.EGRESS_REFUSED,
        Reason.UPSTREAM_CLOSED_EARLY,
        Reason.UPSTREAM_PROTOCOL,
        Reason.UPSTREAM_TIMEOUT,
        Reason.UPSTREAM_UNREACHABLE,
    }
)
"""What lies behind the Gateway: its addresses and names are for the evidence, not for the caller."""


@dataclass(slots=True)
class GatewayApp:
    """ASGI: own paths without `X-Caracal-Resource` are the Gateway's, everything else is proxied.

    Attributes:
        addressing: finds MCP servers by URL, where no header names a resource.
    """

    settings: GatewaySettings
    enforcement: Enforcement
    forwarding: Forwarding
    clock: Clock
    entropy: Entropy
    own: Callable[[Scope, Receive, Send], Awaitable[None]]
    metrics: GatewayMetrics
    addressing: Addressing | None = None
    in_flight: int = field(default=0, init=False)
    draining: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.metrics.in_flight.set_function(lambda: self.in_flight)

    def begin_draining(self) -> None:
        """Take no more calls; those under way go on."""
        self.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = scope["headers"]
        if scope["path"] in _OWN_PATHS and first(headers, b"x-caracal-resource") is None:
            await self.own(scope, receive, send)
            return
        started = self.clock.monotonic()
        identity = request_id(headers, self.entropy)
        address, path = None, scope["raw_path"]
        if self.addressing is not None and self.addressing.concerns(scope["path"], headers):
            # A mandate that is used often does not tell calls apart, so their ids have to.
            identity = self.entropy.new_id()
            found = self._addressed(scope, identity)
            if isinstance(found, Reply):
                await _reply(send, found, unread=_announces_body(headers))
                return
            address, path = found, b"/"
        arrival = self._arrive(scope, headers)
        if isinstance(arrival, Refused):
            self.metrics.count(arrival.reason)
            unread = _announces_body(headers)
            await _answer(send, identity, _problem(arrival), unread=unread)
            return
        if address is not None:
            arrival = replace_in(arrival, resource=address.resource.identifier)
        incoming = IncomingCall(
            scope["method"], path, scope["query_string"], headers, identity, arrival, address
        )
        self.in_flight += 1
        try:
            await self._serve(scope, incoming, started, receive, send)
        finally:
            self.in_flight -= 1

    def _addressed(self, scope: Scope, identity: str) -> Address | Reply:
        """The MCP server that the URL names, or the answer where it names none."""
        addressing = self.addressing
        try:
            found = (
                None if addressing is None else addressing.find(scope["raw_path"].decode("latin-1"))
            )
            if addressing is None or found is None:
                return render_oauth(NOTHING, identity)
            address, named = found
            described = (
                addressing.describe(address, scope["method"]) if named.describes else address
            )
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            described = problem_of(fault, identity)
        if isinstance(described, Problem):
            return render_oauth(described, identity)
        return described

    def _arrive(self, scope: Scope, headers: list[Header]) -> Arrival | Refused:
        if self.draining:
            return Refused(Reason.DRAINING, "this Gateway is shutting down")
        if self.in_flight >= self.settings.max_in_flight:
            return Refused(Reason.OVERLOADED, "too many calls at once")
        arrival = read_arrival(
            scope["method"],
            scope["http_version"],
            headers,
            max_header_bytes=self.settings.max_header_bytes,
        )
        if isinstance(arrival, Arrival):
            limit = self.settings.max_request_bytes
            if arrival.content_length is not None and arrival.content_length > limit:
                return too_large(limit)
        return arrival

    async def _serve(
        self, scope: Scope, incoming: IncomingCall, started: float, receive: Receive, send: Send
    ) -> None:
        body = self._body(incoming, receive)
        try:
            admission = await self.enforcement.admit(incoming, body)
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            problem = problem_of(fault, incoming.request_id)
            self.metrics.count(problem.reason)
            await _answer(send, incoming.request_id, problem, unread=_unread(body))
            return
        if not isinstance(admission, Admission):
            await self._refuse(send, incoming, admission, body)
            return
        self.metrics.admission.observe(self.clock.monotonic() - started)
        await self._carry(scope, incoming, admission, started, receive, send, body)

    def _body(self, incoming: IncomingCall, receive: Receive) -> Body | None:
        if not incoming.arrival.has_body:
            return None
        return Body(
            receive,
            self.settings.max_request_bytes,
            self.settings.caller_idle.total_seconds(),
            digests=self.settings.body_digests,
        )

    async def _carry(
        self,
        scope: Scope,
        incoming: IncomingCall,
        admission: Admission,
        started: float,
        receive: Receive,
        send: Send,
        body: Body | None,
    ) -> None:
        """Carry an admitted call to its end: one result for it, whichever way it ends."""
        digests = self.settings.body_digests
        passage = self.forwarding.open(admission, _current_task(), started, digests=digests)
        watch = Watch(receive, body, passage)
        try:
            await self._exchange(scope, incoming, admission, passage, body, send)
        except asyncio.CancelledError:
            if not passage.stopped():
                passage.failure = Refused(Reason.DRAINING, "the server gave the call up")
                raise
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the call has failed)
            passage.failure = _failure(fault, incoming.request_id)
            if isinstance(fault, UpstreamError):
                passage.error = UPSTREAM_CLASSES[fault.kind]
        finally:
            watch.close()
            self.forwarding.close(passage, body)
        # A response that has begun and is not whole is left unfinished: the server then cuts the
        # connection, and nobody can take what arrived for all there is.
        if passage.failure is not None and not passage.began:
            problem = _problem(passage.failure)
            if body is not None and body.late:
                problem = Problem.of(passage.failure, Variant.BODY_LATE)
            problem = receipted(problem, admission.receipt)
            await _answer(send, incoming.request_id, problem, unread=_unread(body))

    async def _exchange(
        self,
        scope: Scope,
        incoming: IncomingCall,
        admission: Admission,
        passage: Passage,
        body: Body | None,
        send: Send,
    ) -> None:
        added = self._added(scope, incoming)
        if asks_for_list(admission):
            incoming = uncoded(incoming)
        response, placement = await self.forwarding.send(incoming, admission, added, body)
        try:
            passage.status = response.status
            self.enforcement.answered(admission, response)
            listing = Listing(
                admission,
                response,
                partial(self.enforcement.would_admit, admission),
                partial(self.enforcement.saw, admission),
                self.settings.max_inspected_bytes,
            )
            passage.began = True
            headers = self._returned(response, placement, incoming, passage)
            headers += receipt_headers(admission.receipt)
            if listing.filters:
                headers = [header for header in headers if header[0].lower() != b"content-length"]
            await send(
                {"type": "http.response.start", "status": response.status, "headers": headers}
            )
            more = True
            announced = _announced(headers)
            async for chunk in response.body():
                self.forwarding.received(passage, chunk)
                # The chunk that completes the announced length ends the answer: one send fewer.
                more = passage.received_bytes != announced
                chunk = listing.feed(chunk)  # noqa: PLW2901 (what is left of it)
                if chunk or not more:
                    await send({"type": "http.response.body", "body": chunk, "more_body": more})
            if more:
                rest = listing.finish()
                await send({"type": "http.response.body", "body": rest, "more_body": False})
        finally:
            await response.aclose()

    def _returned(
        self,
        response: UpstreamResponse,
        placement: Placement,
        incoming: IncomingCall,
        passage: Passage,
    ) -> list[Header]:
        headers = [
            header
            for header in placement.returnable(returnable_response_headers(response.headers))
            # The listener dates every response itself.
            if header[0] != b"date"
        ]
        if response.status in _BODILESS:
            # A length that announces no body would make the listener wait for one.
            headers = [header for header in headers if header[0] != b"content-length"]
        remaining = int((passage.mandate.expires_at - self.clock.now()).total_seconds())
        headers.append((b"x-request-id", incoming.request_id.encode()))
        headers.append((b"x-caracal-token-expires-in", b"%d" % max(0, remaining)))
        return headers

    def _added(self, scope: Scope, incoming: IncomingCall) -> Headers:
        headers = incoming.headers
        peer = scope.get("client")
        address = peer[0] if peer else "unknown"
        scheme = scope.get("scheme", "http")
        if self.settings.trust_forwarded:
            address = _forwarded_address(headers) or address
            claimed = first(headers, b"x-forwarded-proto")
            scheme = claimed.decode() if claimed in {b"http", b"https"} else scheme
        return (
            (b"x-request-id", incoming.request_id.encode()),
            (
                b"traceparent",
                traceparent_or(first(headers, b"traceparent"), self.entropy.token_bytes),
            ),
            (b"x-forwarded-for", address.encode()),
            (b"x-forwarded-proto", scheme.encode()),
            (b"x-forwarded-host", first(headers, b"host") or b""),
        )

    async def _refuse(
        self,
        send: Send,
        incoming: IncomingCall,
        outcome: Refused | RecordedRefusal,
        body: Body | None,
    ) -> None:
        receipt = ""
        if isinstance(outcome, RecordedRefusal):
            receipt, outcome = outcome.receipt, outcome.refused
        self.metrics.count(outcome.reason)
        problem = receipted(_problem(outcome), receipt)
        if body is not None and body.late:
            problem = replace(problem, variant=Variant.BODY_LATE)
        message = b"" if body is None else body.taken()
        if (
            problem.variant is None
            and (variant := variant_for(outcome, incoming.headers, message)) is not None
        ):
            problem = replace(problem, variant=variant)
        reply = render_refusal(problem, incoming.request_id, incoming.headers, message)
        if incoming.address is not None:
            reply = challenged(reply, incoming.address, outcome)
        await _reply(send, reply, unread=_unread(body))


def _unread(body: Body | None) -> bool:
    return body is not None and not body.whole


async def _answer(send: Send, identity: str, problem: Problem, *, unread: bool) -> None:
    await _reply(send, render_oauth(problem, identity), unread=unread)


async def _reply(send: Send, reply: Reply, *, unread: bool) -> None:
    """Answer; end the connection where the body is `unread`: nobody waits for the rest of it."""
    if unread:
        reply = replace(reply, headers=(*reply.headers, _CLOSE))
    await send_reply(send, reply)


def _problem(refused: Refused) -> Problem:
    if refused.reason in _BEHIND:
        return Problem(refused.reason)
    if refused.reason is Reason.METHOD_UNSUPPORTED:
        return Problem(refused.reason, refused.detail, headers=_ALLOW_HEADERS)
    return Problem.of(refused)


def _announces_body(headers: Sequence[Header]) -> bool:
    """Whether a request that may be framed badly can have a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


def _announced(headers: Sequence[Header]) -> int | None:
    length = first(headers, b"content-length")
    return int(length) if length is not None and length.isdigit() else None


def _failure(fault: Exception, identity: str) -> Refused:
    if isinstance(fault, CallFailed):
        return fault.refused
    if isinstance(fault, UpstreamError):
        return refusal_of(fault)
    return Refused(problem_of(fault, identity).reason)


def _forwarded_address(headers: Sequence[Header]) -> str | None:
    """The first address that the proxy in front names, if it is one."""
    forwarded = first(headers, b"x-forwarded-for") or b""
    for entry in forwarded.decode("latin-1").split(","):
        try:
            return str(ip_address(entry.strip()))
        except ValueError:
            continue
    return None


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call is served inside a task")
    return task
