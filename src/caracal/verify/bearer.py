"""The bearer token of a request (RFC 6750 section 2.1): one header, one reading."""

import re
from collections.abc import Sequence
from typing import Final

from caracal.authority.outcomes import Reason
from caracal.tokens.jws import MAX_TOKEN_BYTES, RawToken
from caracal.verify.refusals import Code, NotVerified

_BEARER: Final = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_SCHEME: Final = re.compile(rb"bearer(?: |\Z)", re.IGNORECASE)


def bearer_token(values: Sequence[bytes]) -> RawToken:
    """Take the token out of the values of all Authorization headers.

    Raises:
        NotVerified: with `missing_token` when there is no header or it is of another scheme, with
            `invalid_request` when there are several or it is malformed, with `invalid_token` when it
            is longer than any mandate.
    """
    if not values:
        raise NotVerified(Code.MISSING_TOKEN, reason=Reason.MANDATE_MISSING)
    if len(values) > 1:
        raise NotVerified(
            Code.INVALID_REQUEST, "send one Authorization header", reason=Reason.HEADER_DUPLICATE
        )
    value = values[0]
    if _SCHEME.match(value) is None:
        raise NotVerified(
            Code.MISSING_TOKEN,
            "the Authorization header is not of scheme Bearer",
            reason=Reason.MANDATE_MISSING,
        )
    found = _BEARER.fullmatch(value)
    if len(value) > MAX_TOKEN_BYTES + len(b"Bearer "):
        raise NotVerified(
            Code.INVALID_TOKEN,
            f"a mandate has at most {MAX_TOKEN_BYTES} bytes",
            reason=Reason.MANDATE_TOO_LARGE,
        )
    if found is None:
        raise NotVerified(
            Code.INVALID_REQUEST,
            "the Authorization header is not Bearer and one token",
            reason=Reason.MANDATE_MALFORMED,
        )
    return RawToken(found[1])
