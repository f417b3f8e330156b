"""One request of the program's, sent on: to the Gateway with a mandate of its own, or directly."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from caracal.run.routes import ToHost, ToResource
from caracal.wire.calls.refusals import CaracalError
from caracal.wire.headers import forwardable_request_headers
from caracal.wire.upstream_url import UpstreamUrl

Header = tuple[bytes, bytes]
Tell = Callable[[str], None]

_NOT_RETURNED: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
_CREDENTIALS: Final = (b"authorization", b"cookie")
"""A host that is reached directly gets them; the Gateway decides for itself what it passes on."""
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_TIMEOUT: Final = {"connect": 10.0, "pool": 60.0, "read": None, "write": None}
"""Seconds. How long an answer may take is for the Gateway to say, and for the program."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as the program sent it; its body arrives while it is sent."""

    method: bytes
    headers: tuple[Header, ...]
    body: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Returned:
    """An answer; its body is still to come."""

    status: int
    headers: tuple[Header, ...]
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


@dataclass(slots=True)
class Exchange:
    """Where requests go.

    Attributes:
        transports: for each resource, what governs its calls.
        direct: for the hosts that are let go directly.
        say: tells whoever started the program; each line once.
    """

    gateway: UpstreamUrl
    transports: Mapping[str, httpx.AsyncBaseTransport]
    direct: httpx.AsyncBaseTransport
    say: Tell
    _said: set[str] = field(default_factory=set)

    async def send(self, asked: ToResource | ToHost, outgoing: Outgoing) -> Returned:
        """Send it, once.

        Raises:
            CaracalError: it was refused.
            httpx.TransportError: no answer came.
        """
        if isinstance(asked, ToResource):
            url = _url(self.gateway, self.gateway.path.rstrip("/") + asked.rest)
            transport, headers = self.transports[asked.route.resource], _governed(outgoing.headers)
            base = asked.base
        else:
            query = f"?{asked.url.query}" if asked.url.query else ""
            url, base = _url(asked.url, asked.url.path + query), ""
            transport, headers = self.direct, _direct(outgoing.headers, asked.url)
        request = httpx.Request(
            outgoing.method.decode("ascii"),
            url,
            headers=[*headers, *(each for each in outgoing.headers if each[0] in _FRAMING)],
            stream=_Body(outgoing.body),
            extensions={"timeout": _TIMEOUT},
        )
        response = await transport.handle_async_request(request)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport answers with an asynchronous stream")
        kept = _returned(response.headers.raw, base)
        return Returned(response.status_code, kept, aiter(response.stream), response.aclose)

    def tell(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def tell_refusal(self, error: CaracalError) -> None:
        """Say why; many programs show their user no more than a number."""
        self.tell(f"{error.description} [{error.code}]; {error.fix}")


def _url(where: UpstreamUrl, target: str) -> httpx.URL:
    return httpx.URL(
        scheme=where.scheme, host=where.host, port=where.port, raw_path=target.encode("ascii")
    )


def _governed(headers: tuple[Header, ...]) -> tuple[Header, ...]:
    traced = tuple(each for each in headers if each[0] == b"traceparent")
    return (*forwardable_request_headers(headers), *(traced if len(traced) == 1 else ()))


def _direct(headers: tuple[Header, ...], url: UpstreamUrl) -> tuple[Header, ...]:
    own = tuple(each for each in headers if each[0] in _CREDENTIALS)
    without = frozenset(_CREDENTIALS)
    kept = forwardable_request_headers(headers, without=without)
    # httpx adds no Host to a request that comes with its stream.
    return ((b"host", url.authority.encode()), *kept, *own)


def _returned(headers: list[Header], base: str) -> tuple[Header, ...]:
    named = [
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    ]
    dropped = _NOT_RETURNED.union(named)
    return tuple(
        (name, _below(value, base) if name.lower() == b"location" else value)
        for name, value in headers
        if name.lower() not in dropped
    )


def _below(location: bytes, base: str) -> bytes:
    """A path in an answer, under the base URL that the program asked below."""
    return base.encode() + location if base and location.startswith(b"/") else location
