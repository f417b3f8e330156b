"""JSON from outside, read strictly: what does not fit its type is refused, whatever is wrong with it."""

from typing import TypeVar

import msgspec

from caracal_server.release.findings import Reason, ReleaseRefused

_Document = TypeVar("_Document", bound=msgspec.Struct)


def decode(
    raw: bytes,
    kind: type[_Document],
    subject: str,
    reason: Reason = Reason.MALFORMED,
    *,
    strict: bool = True,
) -> _Document:
    """Decode a document.

    Args:
        raw: JSON in UTF-8.
        kind: what it must be.
        subject: what to call it in a refusal.
        reason: why it is refused when it does not fit.
        strict: whether numbers may not be written as strings.

    Raises:
        ReleaseRefused: it does not fit.
    """
    try:
        return msgspec.json.decode(raw, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise ReleaseRefused(reason, subject, str(fault)) from None
