"""Revocations: what has ended, and which of them covers a mandate."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from caracal.authority.mandates import MAX_LIFETIME, Mandate
from caracal.authority.subjects import User

RETENTION = MAX_LIFETIME + timedelta(minutes=5)
"""After this, every mandate minted before the revocation has expired by itself."""


class AnchorKind(StrEnum):
    ZONE = "zone"
    APPLICATION = "application"
    SUBJECT = "subject"
    RECORD = "record"
    SESSION = "session"
    DELEGATION = "delegation"


@dataclass(frozen=True, slots=True)
class Revocation:
    """The end of everything that descends from one anchor, as of `at` (UTC)."""

    kind: AnchorKind
    anchor: str
    at: datetime
    reason: str


class Revocations:
    """The revocations of one zone, indexed by anchor.

    A mandate carries its whole ancestry, so coverage is a few look-ups and no walk of a graph.
    """

    __slots__ = ("_by_anchor",)

    def __init__(self) -> None:
        self._by_anchor: dict[tuple[AnchorKind, str], Revocation] = {}

    def __len__(self) -> int:
        return len(self._by_anchor)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._by_anchor.values())

    def add(self, revocation: Revocation) -> None:
        self._by_anchor[revocation.kind, revocation.anchor] = revocation

    def lift(self, kind: AnchorKind, anchor: str) -> None:
        """Forget one: a suspended session that resumed. Lifting what is not there changes nothing."""
        self._by_anchor.pop((kind, anchor), None)

    def prune(self, now: datetime) -> None:
        """Forget those whose every mandate has expired; the state of the session still refuses."""
        cutoff = now - RETENTION
        kept = {key: entry for key, entry in self._by_anchor.items() if entry.at > cutoff}
        self._by_anchor = kept

    def covering(self, mandate: Mandate) -> Revocation | None:
        """The first revocation that ends `mandate`, if any does."""
        index = self._by_anchor
        if not index:
            return None
        for session in mandate.session_path:
            found = index.get((AnchorKind.SESSION, session))
            if found is not None:
                return found
        for hop in mandate.chain:
            if hop.session_id is not None:
                found = index.get((AnchorKind.SESSION, hop.session_id))
                if found is not None:
                    return found
        for delegation in mandate.delegation_path:
            found = index.get((AnchorKind.DELEGATION, delegation))
            if found is not None:
                return found
        return (
            index.get((AnchorKind.RECORD, mandate.record))
            or index.get((AnchorKind.RECORD, mandate.root_record))
            or index.get((AnchorKind.APPLICATION, mandate.application_id))
            or self._of_subject(mandate)
            or index.get((AnchorKind.ZONE, mandate.zone_id))
        )

    def of_user(self, user: User) -> Revocation | None:
        """The last revocation of a user: what was proven until then counts no more."""
        return self._by_anchor.get((AnchorKind.SUBJECT, user.anchor))

    def _of_subject(self, mandate: Mandate) -> Revocation | None:
        user = mandate.user
        if user is None:
            return self._by_anchor.get((AnchorKind.SUBJECT, mandate.subject))
        found = self.of_user(user)
        # A user may sign in again; what is issued after the revocation is not covered by it.
        return found if found is not None and mandate.issued_at <= found.at else None
