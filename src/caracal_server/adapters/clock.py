"""The system's clock."""

import time
from datetime import UTC, datetime
from typing import Final

_WITH_SLEEP: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts on while the machine is suspended, so that what was learned before is old afterwards."""


class SystemClock:
    """The `Clock` of a running process."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.clock_gettime(_WITH_SLEEP)
