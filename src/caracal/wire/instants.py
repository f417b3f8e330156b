"""Instants as text: ISO 8601 in UTC with milliseconds."""

import re
from datetime import UTC, datetime

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


def render_instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def render_instant_or_null(at: datetime | None) -> str | None:
    return None if at is None else render_instant(at)


def parse_instant(text: str) -> datetime:
    """Read an instant with a time zone (RFC 3339 section 5.6).

    Raises:
        ValueError: when it is not one, or has no time zone.
    """
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("an instant looks like 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the instant is outside the calendar") from error
