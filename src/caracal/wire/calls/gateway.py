"""Calls through the Gateway: where one goes, what it carries, and who answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from caracal.tokens.secret import Secret
from caracal.wire.calls.messages import Header, bearer
from caracal.wire.upstream_url import UpstreamUrl

CALL: Final = "call"
OWN_HEADERS: Final = frozenset(
    {"authorization", "caracal-receipt", "host", "proxy-authorization", "x-caracal-resource"}
)
"""Of a caller's request, what is not passed on: this library states it, or nobody does."""

_PROXIED: Final = "x-caracal-token-expires-in"


@dataclass(frozen=True, slots=True)
class Destination:
    """One resource behind the Gateway.

    Attributes:
        prefix: URLs that begin so mean this resource as well: those of the upstream itself.
    """

    gateway: UpstreamUrl
    resource: str
    prefix: UpstreamUrl | None = None

    def target(self, scheme: str, host: str, port: int | None, raw_target: str) -> str | None:
        """Where at the Gateway a caller's URL leads; `None` for a URL that means something else.

        Args:
            scheme: of the caller's URL; empty for a relative one, which leads to the resource.
            host: likewise, without brackets.
            port: likewise; `None` for the scheme's own.
            raw_target: path and query, as they are to be sent.
        """
        if not scheme and not host:
            return self._joined(raw_target)
        asked = (scheme, host.lower(), port or _PORTS.get(scheme))
        for known in (self.gateway, self.prefix):
            if known is not None and asked == (known.scheme, known.host, known.port):
                rest = _rest(raw_target, known.path.rstrip("/"))
                if rest is not None:
                    return self._joined(rest)
        return None

    def _joined(self, rest: str) -> str:
        return self.gateway.path.rstrip("/") + (rest if rest.startswith("/") else f"/{rest}")


_PORTS: Final = {"https": 443, "http": 80}


def call_headers(
    headers: Iterable[Header], resource: str, mandate: Secret, trace: Iterable[Header]
) -> tuple[Header, ...]:
    """A caller's headers, less those that only this library states, and those; `trace` where it has none.

    A caller that carries a trace context of its own keeps all of its own.
    """
    kept = [(name, value) for name, value in headers if name.lower() not in OWN_HEADERS]
    traced = any(name.lower() == "traceparent" for name, _ in kept)
    added = () if traced else tuple(trace)
    named = {name for name, _ in added}
    kept = [header for header in kept if header[0].lower() not in named]
    return (*kept, *added, bearer(mandate), ("x-caracal-resource", resource))


def from_upstream(names: Iterable[str]) -> bool:
    """Whether an answer came from behind the Gateway, by its headers; otherwise it is the Gateway's own.

    The Gateway removes every `X-Caracal-*` of an upstream's and states this one.
    """
    return any(name.lower() == _PROXIED for name in names)


def _rest(target: str, prefix: str) -> str | None:
    """What follows the prefix, when it ends where a segment does."""
    if not target.startswith(prefix):
        return None
    rest = target[len(prefix) :]
    return rest if not rest or rest[0] in "/?" else None
