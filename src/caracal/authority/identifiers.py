"""Identifiers: distinct types, parsed once at the edge."""

import re
from collections.abc import Callable
from typing import NewType, TypeVar

ZoneId = NewType("ZoneId", str)
ApplicationId = NewType("ApplicationId", str)
ProviderId = NewType("ProviderId", str)
ResourceId = NewType("ResourceId", str)
SessionId = NewType("SessionId", str)
DelegationId = NewType("DelegationId", str)
MandateId = NewType("MandateId", str)
RecordId = NewType("RecordId", str)
RequestId = NewType("RequestId", str)
SubjectId = NewType("SubjectId", str)

Id = TypeVar("Id", bound=str)

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.\-:]{1,128}")


class InvalidIdentifier(ValueError):
    """The text is not 1 to 128 characters of letters, digits and `_ . - :`."""


def is_id(text: str) -> bool:
    """Whether a text is 1 to 128 of `A-Z a-z 0-9 _ . - :`."""
    return _IDENTIFIER.fullmatch(text) is not None


def parse_id(kind: Callable[[str], Id], text: str) -> Id:
    """Read an identifier that came from outside.

    Raises:
        InvalidIdentifier: when `text` is not 1 to 128 of `A-Z a-z 0-9 _ . - :`.
    """
    if _IDENTIFIER.fullmatch(text) is None:
        shown = text if len(text) <= 40 else text[:40] + "..."  # noqa: PLR2004 (only for display)
        raise InvalidIdentifier(f"{shown!r} is not an identifier: 1 to 128 of A-Z a-z 0-9 _ . - :")
    return kind(text)
