"""Bounds on what one process takes on: requests in flight, and failures of one client."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import TypeVar

from caracal.authority.outcomes import Reason
from caracal_server.ports.clock import Clock
from caracal_server.web.problems import Problem, RequestRefused

_Kept = TypeVar("_Kept")


class InFlight:
    """At most `limit` requests at once: a context manager that refuses the one too many."""

    def __init__(self, limit: int) -> None:
        """Take the bound, at least 1.

        Raises:
            ValueError: the bound is smaller.
        """
        if limit < 1:
            raise ValueError("at least one request must be allowed in flight")
        self._limit = limit
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            RequestRefused: none is free.
        """
        if self._count >= self._limit:
            raise RequestRefused(Problem(Reason.OVERLOADED))
        self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._count -= 1


@dataclass(slots=True)
class _Failures:
    since: float
    count: int


class FailureThrottle:
    """Blocks a key for `block_s` after more than `failures` of them within `window_s`.

    Windows are fixed: the first failure opens one. At most `max_keys` keys are remembered in either
    state; the least recently failing are forgotten first, so a flood of made-up keys costs no memory.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        failures: int = 60,
        window_s: float = 60.0,
        block_s: float = 60.0,
        max_keys: int = 10_000,
    ) -> None:
        """Take the bounds.

        Raises:
            ValueError: one of them is not positive.
        """
        if min(failures, window_s, block_s, max_keys) <= 0:
            raise ValueError("a throttle's bounds are positive")
        self._clock = clock
        self._failures = failures
        self._window_s = window_s
        self._block_s = block_s
        self._max_keys = max_keys
        self._counted: OrderedDict[str, _Failures] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def blocked_for(self, key: str) -> int:
        """Return for how many whole seconds a key is still blocked, rounded up; 0 when it is not."""
        until = self._blocked.get(key)
        if until is None:
            return 0
        left = until - self._clock.monotonic()
        if left > 0:
            return ceil(left)
        del self._blocked[key]
        return 0

    def record_failure(self, key: str) -> int:
        """Count a failure; return as `blocked_for` does, so that the one too many is told at once."""
        now = self._clock.monotonic()
        seen = self._counted.pop(key, None)
        if seen is None or now - seen.since >= self._window_s:
            seen = _Failures(now, 0)
        seen.count += 1
        if seen.count > self._failures:
            self._remember(self._blocked, key, now + self._block_s)
            return self.blocked_for(key)
        self._remember(self._counted, key, seen)
        return self.blocked_for(key)

    def _remember(self, kept: OrderedDict[str, _Kept], key: str, value: _Kept) -> None:
        kept.pop(key, None)
        if len(kept) >= self._max_keys:
            kept.popitem(last=False)
        kept[key] = value
