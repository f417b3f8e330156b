"""Calls that leave the Gateway: one request to one upstream, one response back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import msgspec

from caracal.wire.upstream_url import UpstreamUrl

__all__ = [
    "CLIENT_OWNED_HEADERS",
    "IPAddress",
    "Resolver",
    "UpstreamClient",
    "UpstreamError",
    "UpstreamErrorKind",
    "UpstreamRequest",
    "UpstreamResponse",
    "UpstreamTimeouts",
    "UpstreamUrl",
]

IPAddress = IPv4Address | IPv6Address

CLIENT_OWNED_HEADERS = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that frame or steer a connection; only the upstream client may write them."""


class UpstreamErrorKind(StrEnum):
    """Why a call to an upstream did not yield a whole response. Values are never reused."""

    REFUSED_BY_EGRESS = "refused_by_egress"
    UNRESOLVABLE = "unresolvable"
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_FAILED = "tls_failed"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    PROTOCOL_ERROR = "protocol_error"
    CLOSED_EARLY = "closed_early"
    HEADER_TOO_LARGE = "header_too_large"


class UpstreamError(Exception):
    """The upstream could not be reached, misbehaved, or took too long."""

    def __init__(self, kind: UpstreamErrorKind, detail: str, *, request_sent: bool = False) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.request_sent = request_sent
        """True when bytes of the request may have reached the upstream and taken effect."""


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long to wait for an upstream, at most."""

    connect: timedelta = timedelta(seconds=5)
    """For a free connection, and again for name resolution, TCP and TLS together."""
    first_byte: timedelta = timedelta(seconds=30)
    """From the last byte of the request to a complete response head."""
    idle: timedelta = timedelta(seconds=60)
    """Without progress while a body is under way, in either direction."""
    total: timedelta | None = None
    """From `send` to the last byte of the response; `None` lets a stream run."""

    def __post_init__(self) -> None:
        for name in ("connect", "first_byte", "idle", "total"):
            value = getattr(self, name)
            if value is not None and value <= timedelta(0):
                raise ValueError(f"the {name} timeout must be longer than zero")


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One request, ready to leave. Names in `CLIENT_OWNED_HEADERS` are not allowed in it."""

    method: str
    url: UpstreamUrl
    target: bytes
    """The exact origin-form request target: path and query."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: AsyncIterator[bytes] | None = None
    content_length: int | None = None
    """Bytes in `body`; `None` with a body sends it chunked."""


class UpstreamResponse(Protocol):
    """A response whose head has arrived; the body may still be on its way."""

    @property
    def status(self) -> int:
        """The final status, 200 to 599."""
        ...

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """As received, in order, names in lower case, hop-by-hop fields included."""
        ...

    def body(self) -> AsyncIterator[bytes]:
        """The body without its framing, as it arrives; content codings stay.

        The upstream is paused while the reader does not read.

        Raises:
            UpstreamError: the body did not arrive whole. It never just ends.
        """
        ...

    async def aclose(self) -> None:
        """Give up what has not arrived. To be called unless `body` was read to its end."""
        ...


class UpstreamClient(Protocol):
    """Sends requests to upstreams that the operator's egress rules permit.

    Safe for any number of concurrent calls on one event loop. Follows no redirects, keeps
    no cookies, and sends a request at most once, except a GET, HEAD or OPTIONS without a
    body whose kept-alive connection turns out to be closed before any byte of a response:
    that one is sent again, once.
    """

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send one request and return as soon as the head of its response is here.

        Cancelling the call ends the connection.

        Raises:
            ValueError: the request cannot be sent as it stands; nothing was written.
            UpstreamError: no response head arrived.
        """
        ...

    async def aclose(self) -> None:
        """End every connection, in use or not."""
        ...


class Resolver(Protocol):
    """Turns host names into addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[IPAddress]:
        """Return the addresses of `host`, best first.

        Raises:
            OSError: the name does not resolve.
        """
        ...
