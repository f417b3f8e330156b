"""A peer listener without a network: every question arrives, unless a test takes it or its answer away."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.ports.upstream import UpstreamError, UpstreamErrorKind, UpstreamRequest
from caracal_server.web.peers.gate import Answer, PeerGate
from caracal_server.web.peers.services import Service

KEY = bytes(range(32))


@dataclass
class Replied:
    """Implements `UpstreamResponse` over what an application sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    document: bytes

    async def body(self) -> AsyncIterator[bytes]:
        yield self.document

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass
class Wire:
    """Implements `UpstreamClient`: asks `gate` directly.

    Attributes:
        cut: no question arrives.
        lose: how many answers get lost on their way; what was asked is done all the same.
        change: what is made of an answer on its way.
    """

    gate: PeerGate
    cut: bool = False
    lose: int = 0
    change: Callable[[Replied], Replied] = lambda reply: reply
    asked: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> Replied:
        self.asked.append(request)
        if self.cut:
            raise UpstreamError(UpstreamErrorKind.CONNECT_FAILED, "cut")
        body = b"".join([chunk async for chunk in request.body])
        reply = Replied(0, [], b"")

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                reply.status, reply.headers = message["status"], list(message["headers"])
            else:
                reply.document += message["body"]

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.target.decode(),
            "headers": list(request.headers),
        }
        await self.gate(scope, receive, send)
        if self.lose:
            self.lose -= 1
            raise UpstreamError(UpstreamErrorKind.CLOSED_EARLY, "lost", request_sent=True)
        return self.change(reply)

    async def aclose(self) -> None:
        """Nothing is open."""


def wire(caller: Service, peer: Service, answers: Iterable[Answer]) -> tuple[PeerChannel, Wire]:
    """A channel from one service to another that gives these answers."""
    clock, entropy = SystemClock(), SystemEntropy()
    line = Wire(PeerGate(peer, {caller: KEY}, clock, answers))
    url = UpstreamUrl.parse("http://127.0.0.1:1")
    return PeerChannel(caller, peer, KEY, url, line, clock, entropy), line
