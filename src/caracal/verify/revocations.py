"""What has ended before its mandates expired, as far as this server knows."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from caracal.authority.mandates import Mandate
from caracal.authority.revocation import RETENTION
from caracal.tokens.mandates import LEEWAY

DEFAULT_CAPACITY: Final = 100_000
DEFAULT_MAX_AGE: Final = 30.0


class Standing(StrEnum):
    LIVE = "live"
    REVOKED = "revoked"
    STALE = "stale"
    """The delegations of its zone changed since it was issued."""
    UNKNOWN = "unknown"
    """The view is too old to tell; the answer is no."""


class Revocations(Protocol):
    """A view of what was revoked. What it raises counts as `Standing.UNKNOWN`."""

    def standing(self, mandate: Mandate, now: datetime) -> Standing: ...


class UntilExpiry:
    """No view at all: a mandate counts until it expires, at most 15 minutes after it was issued."""

    def standing(self, mandate: Mandate, now: datetime) -> Standing:  # noqa: ARG002 (of the protocol)
        return Standing.LIVE


UNTIL_EXPIRY: Final = UntilExpiry()


class MemoryRevocations:
    """Revoked ids in memory, at most `capacity` of them, each kept while it could cover a mandate.

    When it is full, the oldest goes, and every mandate issued before that revocation is refused in
    its place: what was revoked gets no new mandates, so a fresh one tells the two apart. Threads may
    share it.
    """

    def __init__(
        self, *, capacity: int = DEFAULT_CAPACITY, retention: timedelta = RETENTION
    ) -> None:
        """Begin with nothing revoked.

        Raises:
            ValueError: for a capacity below 1, or a retention that mandates could outlive.
        """
        if capacity < 1 or retention < RETENTION:
            raise ValueError(f"capacity: at least 1; retention: at least {RETENTION}")
        self._capacity = capacity
        self._retention = retention
        self._lock = threading.Lock()
        self._revoked: dict[str, datetime] = {}
        self._suspended: set[str] = set()
        """Those among them that may come back."""
        self._epochs: dict[str, int] = {}
        self._floor: datetime | None = None

    def __len__(self) -> int:
        return len(self._revoked)

    def revoke(self, anchor: str, at: datetime) -> None:
        """End what descends from a session, delegation, authority record, application or mandate."""
        with self._lock:
            self._suspended.discard(anchor)
            self._put(anchor, at)

    def suspend(self, anchor: str, at: datetime) -> None:
        """The same, until `resume`; what has ended for good stays so."""
        with self._lock:
            if anchor not in self._revoked:
                self._suspended.add(anchor)
            self._put(anchor, at)

    def resume(self, anchor: str) -> None:
        """Forget a suspension; what has ended for good stays so."""
        with self._lock:
            if anchor in self._suspended:
                self._suspended.discard(anchor)
                self._revoked.pop(anchor, None)

    def lift(self, anchor: str) -> None:
        """Forget one, whichever it is."""
        with self._lock:
            self._suspended.discard(anchor)
            self._revoked.pop(anchor, None)

    def note_epoch(self, zone_id: str, epoch: int) -> None:
        """Refuse delegated mandates of the zone issued at a lower epoch. It never goes back."""
        with self._lock:
            self._epochs[zone_id] = max(epoch, self._epochs.get(zone_id, 0))

    def standing(self, mandate: Mandate, now: datetime) -> Standing:
        with self._lock:
            if self._floor is not None and mandate.issued_at <= self._floor:
                return Standing.REVOKED
            for anchor in anchors(mandate):
                at = self._revoked.get(anchor)
                if at is not None and now < at + self._retention:
                    return Standing.REVOKED
            if mandate.chain and self._epochs.get(mandate.zone_id, 0) > mandate.graph_epoch:
                return Standing.STALE
        return Standing.LIVE

    def _put(self, anchor: str, at: datetime) -> None:
        known = self._revoked.pop(anchor, None)
        self._revoked[anchor] = at if known is None else max(at, known)
        self._make_room(at)

    def _make_room(self, now: datetime) -> None:
        while len(self._revoked) > self._capacity:
            oldest = next(iter(self._revoked))
            at = self._revoked.pop(oldest)
            self._suspended.discard(oldest)
            if now < at + self._retention:
                # The issuer's clock may be ahead of the one that said when.
                self._floor = max(at + LEEWAY, self._floor or at)


class FollowedRevocations:
    """A view that counts only while a feed keeps it up to date.

    Until the feed has caught up once, and whenever that was longer ago than `max_age` seconds, every
    standing is unknown.
    """

    def __init__(
        self,
        view: MemoryRevocations,
        *,
        seconds: Callable[[], float],
        max_age: float = DEFAULT_MAX_AGE,
    ) -> None:
        self.view = view
        self.max_age = max_age
        self._seconds = seconds
        self._as_of = float("-inf")

    def as_of(self, instant: float) -> None:
        """Say that the view held all that was published until `instant`."""
        self._as_of = max(self._as_of, instant)

    @property
    def age(self) -> float:
        """Seconds since the view was up to date; infinite before it ever was."""
        return self._seconds() - self._as_of

    def standing(self, mandate: Mandate, now: datetime) -> Standing:
        if self.age > self.max_age:
            return Standing.UNKNOWN
        return self.view.standing(mandate, now)


def anchors(mandate: Mandate) -> Iterator[str]:
    """The ids whose end is the end of `mandate`: it carries its whole ancestry."""
    yield mandate.record
    yield mandate.root_record
    yield from mandate.session_path
    yield from mandate.delegation_path
    for hop in mandate.chain:
        if hop.session_id is not None:
            yield hop.session_id
    yield mandate.application_id
    yield mandate.id
    for origin in mandate.origins:
        yield origin.id
