"""Time, as an argument."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Never goes back by more than the system's own corrections."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""
        ...

    def now_us(self) -> int:
        """The instant in microseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only moves forward, for durations."""
        ...
