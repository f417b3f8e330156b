"""Single use of gateway mandates, remembered in this process."""

import re
from datetime import datetime, timedelta

from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.ports.single_use import Claim

GENERATION = timedelta(minutes=5)
GRACE = timedelta(minutes=2)
"""How long after its expiry a mandate is still remembered, for clocks that do not agree."""
CAPACITY = 4_000_000

_TIMED_ID = re.compile(r"([0-7][0-9a-hjkmnp-tv-z]{9})[0-9a-hjkmnp-tv-z]{16}")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TO_BASE32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


class SingleUseInMemory:
    """Mandates spent since this process started; those minted before it are refused.

    Ids are held in two generations. The older one is dropped once every mandate in it has expired, so
    an id is held until then for certain, at the cost of holding some for longer.
    """

    def __init__(self, *, started_at: datetime, capacity: int = CAPACITY) -> None:
        """Begin to remember.

        Args:
            started_at: mandates minted before this instant are refused.
            capacity: the most ids to hold; beyond it nothing can be claimed until some expire.
        """
        self._started_at = started_at
        self._started_us = _microseconds(started_at)
        self._capacity = capacity
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._young_until = started_at
        self._old_until = started_at
        self._turn_at = started_at + GENERATION

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    async def claim(self, mandate: Mandate, *, now: datetime) -> Claim:
        # Without an await in between: of two tasks that claim one mandate, one sees the other's.
        if self._predates_start(mandate):
            return Claim.PREDATES_START
        held_until = mandate.expires_at + GRACE
        if mandate.id in self._young or mandate.id in self._old or held_until <= now:
            return Claim.REPLAYED
        self._forget_expired(now)
        if len(self) >= self._capacity:
            raise Unavailable(Reason.OVERLOADED, "too many mandates are in use at once")
        self._young.add(mandate.id)
        self._young_until = max(self._young_until, held_until)
        return Claim.FIRST

    def _predates_start(self, mandate: Mandate) -> bool:
        # A holder may narrow at any time, and a link's id tells none: what was minted does.
        minted = mandate.origins[0].id if mandate.origins else mandate.id
        timed = _TIMED_ID.fullmatch(minted)
        if timed is not None:
            minted_us = int(timed[1].translate(_TO_BASE32), 32) * 1_000
            return minted_us < self._started_us
        # Whole seconds do not tell a mandate of this start from one just before it.
        return mandate.issued_at <= self._started_at.replace(microsecond=0)

    def _forget_expired(self, now: datetime) -> None:
        if self._old_until <= now:
            self._old = set()
        if not self._old and self._turn_at <= now:
            if now < self._young_until:
                self._old, self._old_until = self._young, self._young_until
            self._young, self._young_until = set(), now
            self._turn_at = now + GENERATION


class SingleUseSince:
    """Single use that begins at an instant of the minting clock, which is asked for first."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: SingleUseInMemory | None = None

    def begin(self, at: datetime) -> None:
        """Refuse what was minted before `at`; only the first one counts."""
        if self._since is None:
            self._since = SingleUseInMemory(started_at=at)

    async def claim(self, mandate: Mandate, *, now: datetime) -> Claim:
        if self._since is None:
            raise Unavailable(Reason.PEER_UNAVAILABLE, "the STS has not been heard of yet")
        return await self._since.claim(mandate, now=now)


def _microseconds(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond
