"""Calls that leave the Gateway: one request to one upstream, one response back."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, Self

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

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<host>[a-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?"
    r"(?:\?(?P<query>[^#]*))?",
    re.ASCII | re.IGNORECASE,
)
_FORBIDDEN_IN_URL = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOOKS_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


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


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """Where an upstream listens, parsed once.

    `host` is lower case and an IPv6 literal carries no brackets. `path` starts with a
    slash and keeps its percent-encoding; `query` is empty when absent.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute http or https URL.

        Refused: userinfo, fragments, non-ASCII, dot segments, and hosts that resolvers read
        as numbers in more than one way (`2130706433`, `0x7f.1`, `010.0.0.1`).

        Raises:
            ValueError: the text is not such a URL.
        """
        if _FORBIDDEN_IN_URL.search(text):
            raise ValueError("an upstream URL is made of visible ASCII characters only")
        matched = _URL.fullmatch(text)
        if matched is None:
            raise ValueError(
                "an upstream URL is http(s)://host[:port][/path][?query] without user or fragment"
            )
        scheme = matched["scheme"].lower()
        port = int(matched["port"]) if matched["port"] else (443 if scheme == "https" else 80)
        if not 0 < port < 65536:  # noqa: PLR2004 - the range of a TCP port
            raise ValueError(f"{port} is not a TCP port")
        path = matched["path"] or "/"
        if _DOT_SEGMENT.search(path):
            raise ValueError("an upstream URL holds no dot segments")
        return cls(scheme, _parse_host(matched), port, path, matched["query"] or "")

    @property
    def authority(self) -> str:
        """Host and port as the Host field spells them; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


def _parse_host(matched: re.Match[str]) -> str:
    host = (matched["literal"] or matched["host"]).lower()
    labels = host.split(".")
    try:
        if matched["literal"] is not None:
            return str(IPv6Address(host))
        if _LOOKS_NUMERIC.fullmatch(labels[-1]):
            return str(IPv4Address(host))
    except ValueError as error:
        raise ValueError(f"{host!r} is not an IP address as everyone spells it") from error
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):  # noqa: PLR2004 - RFC 1035
        raise ValueError(f"{host!r} is not a host name")
    return host


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
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
