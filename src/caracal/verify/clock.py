"""The clocks of this machine."""

import time
from datetime import UTC, datetime
from typing import Final

_WITH_SLEEP: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 (the one place in this package that asks what time it is)


def seconds() -> float:
    """Seconds that count on while the machine sleeps, where the system has such a clock."""
    return time.monotonic() if _WITH_SLEEP is None else time.clock_gettime(_WITH_SLEEP)
