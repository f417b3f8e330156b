"""Where an upstream listens: an absolute URL that can be read in one way only."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

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
