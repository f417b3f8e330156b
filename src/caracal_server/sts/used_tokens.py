"""ID tokens and assertions that were presented: each once, as far as this process remembers."""

from datetime import datetime
from heapq import heappop, heappush
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable

CAPACITY: Final = 200_000


class UsedTokens:
    """Fingerprints of tokens in use, forgotten once the tokens have expired."""

    __slots__ = ("_capacity", "_ends", "_used")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._used: set[tuple[ZoneId, bytes]] = set()
        self._ends: list[tuple[datetime, ZoneId, bytes]] = []

    def claim(self, zone_id: ZoneId, fingerprint: bytes, *, until: datetime, now: datetime) -> bool:
        """Use a token in a zone: of any number of attempts, the first gets `True`.

        Args:
            zone_id: where; zones know nothing of each other.
            fingerprint: of the token.
            until: nobody accepts the token any more from then on.
            now: UTC.

        Raises:
            Unavailable: too many are in use at once.
        """
        while self._ends and self._ends[0][0] <= now:
            _, zone, forgotten = heappop(self._ends)
            self._used.discard((zone, forgotten))
        if (zone_id, fingerprint) in self._used:
            return False
        if len(self._ends) >= self._capacity:
            raise Unavailable(Reason.OVERLOADED, "too many tokens are in use at once")
        self._used.add((zone_id, fingerprint))
        heappush(self._ends, (until, zone_id, fingerprint))
        return True

    def release(self, zone_id: ZoneId, fingerprint: bytes) -> None:
        """Take a claim back: nothing came of it."""
        self._used.discard((zone_id, fingerprint))
