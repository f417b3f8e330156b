"""The bearer token of a request (RFC 6750 section 2.1), and no second opinion about it."""

import re
from collections.abc import Iterable
from typing import Final

from caracal.authority.outcomes import Reason, Refused
from caracal_server.web.asgi import Header

MAX_BEARER_BYTES: Final = 8192

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
_SCHEME = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr](?: |$)")


def bearer_token(headers: Iterable[Header]) -> str | Refused:
    """Take the token out of the one Authorization header.

    Args:
        headers: as in an ASGI scope, names in lower case.

    Returns:
        The token, at most 8,192 bytes of the characters that RFC 6750 allows; or why there is none.
    """
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            if found is not None:
                return Refused(Reason.HEADER_DUPLICATE, "send one Authorization header")
            found = value
    if found is None:
        return Refused(Reason.MANDATE_MISSING, "missing bearer token")
    parts = _BEARER.fullmatch(found)
    if parts is None:
        return _refusal(found)
    if len(parts[1]) > MAX_BEARER_BYTES:
        return _too_large()
    return parts[1].decode("ascii")


def _refusal(value: bytes) -> Refused:
    if not _SCHEME.match(value):
        return Refused(Reason.MANDATE_MISSING, "the Authorization header is not of scheme Bearer")
    if len(value) > MAX_BEARER_BYTES + len(b"Bearer "):
        return _too_large()
    return Refused(Reason.MANDATE_MALFORMED, "malformed bearer token")


def _too_large() -> Refused:
    return Refused(Reason.MANDATE_TOO_LARGE, f"a bearer token has at most {MAX_BEARER_BYTES} bytes")
