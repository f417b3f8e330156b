"""An ordered index of what lapses when, so that a sweep costs what is due and not what exists."""

from collections.abc import Hashable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SLACK = 64


class Deadlines(Generic[K]):
    """Each key with one instant, the earliest first; keys due at the same instant come in key order.

    A replaced or dropped instant stays in the heap as a husk until it surfaces, or until husks are
    the larger part and the heap is built anew: every operation is O(log n) amortized.
    """

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[K, datetime] = {}
        self._heap: list[tuple[datetime, K]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, key: K, at: datetime) -> None:
        if self._at.get(key) == at:
            return
        self._at[key] = at
        heappush(self._heap, (at, key))
        self._shed()

    def drop(self, key: K) -> None:
        """Forget a key; one that is not there changes nothing."""
        if self._at.pop(key, None) is not None:
            self._shed()

    def due(self, now: datetime, limit: int | None = None) -> tuple[K, ...]:
        """The keys whose instant is not after `now`, at most `limit` of them; they stay in the index."""
        found: dict[K, datetime] = {}
        while self._heap and self._heap[0][0] <= now and (limit is None or len(found) < limit):
            at, key = heappop(self._heap)
            if self._at.get(key) == at:
                found[key] = at
        for key, at in found.items():
            heappush(self._heap, (at, key))
        return tuple(found)

    def _shed(self) -> None:
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapify(self._heap)
