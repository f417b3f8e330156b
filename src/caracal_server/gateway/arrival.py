"""A call as it arrived: what can be judged before any key is touched."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from caracal.authority.outcomes import Reason, Refused

Headers = Sequence[tuple[bytes, bytes]]

ALLOW: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_LENGTH_DIGITS: Final = 18

_SINGLE: Final = frozenset(
    {b"authorization", b"content-length", b"host", b"transfer-encoding", b"x-caracal-resource"}
)
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,19}")
# TRACE would hand the injected credential back to the caller.
_NOT_FORWARDED: Final = frozenset({"CONNECT", "TRACE", "TRACK"})


class Arrival(msgspec.Struct, frozen=True):
    """What the headers say, each read once.

    Attributes:
        resource: as named, trimmed; empty when none is.
        content_length: `None` when the body is chunked or absent; `has_body` tells which.
    """

    bearer: bytes | None
    resource: str
    names_client: bool
    content_length: int | None
    has_body: bool


def read_arrival(
    method: str, http_version: str, headers: Headers, *, max_header_bytes: int
) -> Arrival | Refused:
    """Read what routes and frames a call (RFC 9112 section 6.3: no ambiguous framing).

    The names in `headers` are in lower case.

    Returns:
        `Refused` for a method or version that is not served, headers that are too large, a repeated
        singular header, or framing that two parsers could read differently.
    """
    if _METHOD.fullmatch(method) is None or method in _NOT_FORWARDED:
        return Refused(Reason.METHOD_UNSUPPORTED, f"{method[:20]} is not passed on")
    if http_version != "1.1":
        # The parser takes 0.9, 1.0 and 2.0 as well. Before 1.1 a response can not be chunked, so one of
        # unknown length could not be told from a cut one.
        return Refused(
            Reason.FRAMING_INVALID, f"send HTTP/1.1: HTTP/{http_version} is not passed on"
        )
    found: dict[bytes, bytes] = {}
    size = 0
    names_client = False
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name in _SINGLE:
            if name in found:
                return Refused(
                    Reason.HEADER_DUPLICATE, f"the header {name.decode()} may stand only once"
                )
            found[name] = value
        elif name == b"x-caracal-client-id":
            names_client = True
    if size > max_header_bytes:
        return Refused(
            Reason.HEADERS_TOO_LARGE,
            f"the headers have {size} bytes, at most {max_header_bytes} pass",
        )
    framing = _framing(found)
    if isinstance(framing, Refused):
        return framing
    content_length, has_body = framing
    return Arrival(
        _bearer(found.get(b"authorization")),
        found.get(b"x-caracal-resource", b"").strip().decode("latin-1"),
        names_client,
        content_length,
        has_body,
    )


def first(headers: Headers, wanted: bytes) -> bytes | None:
    """The value of the first header of that name."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def _framing(found: dict[bytes, bytes]) -> tuple[int | None, bool] | Refused:
    coding = found.get(b"transfer-encoding")
    length = found.get(b"content-length")
    if coding is not None:
        if length is not None or coding.strip().lower() != b"chunked":
            return Refused(
                Reason.FRAMING_INVALID, "send either Content-Length or Transfer-Encoding: chunked"
            )
        return None, True
    if length is None:
        return None, False
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS:
        return Refused(Reason.FRAMING_INVALID, "Content-Length must be a decimal number")
    announced = int(length)
    return announced, announced > 0


def _bearer(authorization: bytes | None) -> bytes | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        return None
    return token
