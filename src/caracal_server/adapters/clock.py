"""The system's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The `Clock` of a running process."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()
