"""Instants as people give them: a point in time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from caracal_server.cli.failures import CommandFailed, ExitCode

_AGO = re.compile(r"(\d{1,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since_when(text: str | None, now: datetime) -> datetime | None:
    """Read `7d`, or an instant with its offset (RFC 3339); a date alone is midnight UTC.

    Raises:
        CommandFailed: it is neither.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{text!r} is neither an instant nor a length of time",
            "write it like 2026-01-31T12:00:00Z or 7d",
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
