"""A call as it arrived: what the denial order looks at before any key is touched."""

from collections.abc import Sequence
from dataclasses import dataclass

from caracal.authority.outcomes import Reason, Refused

Headers = Sequence[tuple[bytes, bytes]]

MAX_BEARER_BYTES = 8192
_SINGLE = frozenset(
    {b"authorization", b"content-length", b"host", b"transfer-encoding", b"x-caracal-resource"}
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the headers say, each read once.

    Attributes:
        content_length: `None` when the body is chunked or absent; `has_body` tells which.
    """

    bearer: bytes | None
    resource: str
    names_client: bool
    content_length: int | None
    has_body: bool


def read_arrival(headers: Headers) -> Arrival | Refused:
    """Read what routes and frames a call (RFC 9112 section 6.3: no ambiguous framing).

    Returns:
        `Refused` for a repeated singular header or framing that two parsers could read differently.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _SINGLE:
            if name in found:
                return Refused(
                    Reason.HEADER_DUPLICATE, f"the header {name.decode()} may stand only once"
                )
            found[name] = value
    framing = _framing(found)
    if isinstance(framing, Refused):
        return framing
    content_length, has_body = framing
    resource = found.get(b"x-caracal-resource", b"").strip()
    return Arrival(
        bearer=_bearer(found.get(b"authorization")),
        resource=resource.decode("latin-1"),
        names_client=any(name == b"x-caracal-client-id" for name, _ in headers),
        content_length=content_length,
        has_body=has_body,
    )


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
    if not length.isdigit() or len(length) > 18:  # noqa: PLR2004 (more digits than any body)
        return Refused(Reason.FRAMING_INVALID, "Content-Length must be a decimal number")
    return int(length), int(length) > 0


def _bearer(authorization: bytes | None) -> bytes | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        return None
    return token
