"""The rows of one zone's graph in memory, and every way a decision reaches them."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from caracal.authority.deadlines import Deadlines
from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.identifiers import ApplicationId, DelegationId, SessionId
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.sessions import Lifecycle, Session, Status

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

REMEMBERED = 50_000
"""How many rows that left are remembered, so that a late write does not bring one back."""


@dataclass(frozen=True, slots=True)
class GraphChange:
    """New versions of rows, and what they mean for mandates already out.

    Attributes:
        lifted: anchors of revocations that end, by kind and anchor.
        epoch: the zone's delegation epoch after the change.
    """

    sessions: tuple[Session, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    lifted: tuple[tuple[AnchorKind, str], ...] = ()
    epoch: int = 0


class Links(Generic[K, V]):
    """Many values for a key, in the order they came."""

    __slots__ = ("_links",)

    def __init__(self) -> None:
        self._links: dict[K, dict[V, None]] = {}

    def add(self, key: K, value: V) -> None:
        self._links.setdefault(key, {})[value] = None

    def drop(self, key: K, value: V) -> None:
        values = self._links.get(key)
        if values is not None:
            values.pop(value, None)
            if not values:
                del self._links[key]

    def of(self, key: K) -> tuple[V, ...]:
        return tuple(self._links.get(key, ()))

    def count(self, key: K) -> int:
        return len(self._links.get(key, ()))


class GraphIndex:
    """Sessions that have not ended and delegations that are active.

    `put_session` and `put_delegation` are the only ways in. They keep the newer of two versions of a
    row, and take a row that ended out of memory: it lives on in the store alone.
    """

    __slots__ = (
        "_applications",
        "_children",
        "_inbound",
        "_left",
        "_narrowed",
        "_outbound",
        "_received",
        "delegation_ends",
        "delegations",
        "session_ends",
        "sessions",
    )

    def __init__(self) -> None:
        self.sessions: dict[SessionId, Session] = {}
        self.delegations: dict[DelegationId, Delegation] = {}
        self.session_ends: Deadlines[SessionId] = Deadlines()
        """Tasks, and services that are not suspended: what is due here holds no capacity."""
        self.delegation_ends: Deadlines[DelegationId] = Deadlines()
        self._children: Links[SessionId, SessionId] = Links()
        self._inbound: Links[SessionId, DelegationId] = Links()
        self._outbound: Links[SessionId, DelegationId] = Links()
        self._narrowed: Links[DelegationId, DelegationId] = Links()
        self._applications: Links[ApplicationId, SessionId] = Links()
        self._received: set[SessionId] = set()
        self._left: dict[str, int] = {}

    def version(self, row: str) -> int:
        """The newest version seen of a session or delegation, 0 for one never seen."""
        session = self.sessions.get(SessionId(row))
        if session is not None:
            return session.version
        delegation = self.delegations.get(DelegationId(row))
        return self._left.get(row, 0) if delegation is None else delegation.version

    def put_session(self, session: Session) -> None:
        if session.version <= self.version(session.id):
            return
        if session.ended:
            self._evict_session(session)
            return
        self.sessions[session.id] = session
        self._applications.add(session.application_id, session.id)
        if session.parent_id is not None:
            self._children.add(session.parent_id, session.id)
        waits = session.lifecycle is Lifecycle.SERVICE and session.status is Status.SUSPENDED
        ends = session.ends_by if waits else session.expires_at
        if ends is None:
            self.session_ends.drop(session.id)
        else:
            self.session_ends.put(session.id, ends)

    def _evict_session(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        self._applications.drop(session.application_id, session.id)
        if session.parent_id is not None:
            self._children.drop(session.parent_id, session.id)
        self.session_ends.drop(session.id)
        self._received.discard(session.id)
        self._remember(session.id, session.version)

    def put_delegation(self, delegation: Delegation) -> None:
        if delegation.target in self.sessions:
            self._received.add(delegation.target)
        if delegation.version <= self.version(delegation.id):
            return
        if delegation.status is not DelegationStatus.ACTIVE:
            self.forget_delegation(delegation)
            return
        self.delegations[delegation.id] = delegation
        self._outbound.add(delegation.source, delegation.id)
        self._inbound.add(delegation.target, delegation.id)
        if delegation.parent_id is not None:
            self._narrowed.add(delegation.parent_id, delegation.id)
        self.delegation_ends.put(delegation.id, delegation.grant.expires_at)

    def forget_delegation(self, delegation: Delegation) -> None:
        """Take one out that was revoked, or that has expired and allows nothing any more."""
        self.delegations.pop(delegation.id, None)
        self._outbound.drop(delegation.source, delegation.id)
        self._inbound.drop(delegation.target, delegation.id)
        if delegation.parent_id is not None:
            self._narrowed.drop(delegation.parent_id, delegation.id)
        self.delegation_ends.drop(delegation.id)
        self._remember(delegation.id, delegation.version)

    def _remember(self, row: str, version: int) -> None:
        self._left[row] = version
        if len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]

    def children(self, session_id: SessionId) -> Iterator[Session]:
        return (self.sessions[child] for child in self._children.of(session_id))

    def inbound(self, session_id: SessionId) -> Iterator[Delegation]:
        return (self.delegations[entry] for entry in self._inbound.of(session_id))

    def outbound(self, session_id: SessionId) -> Iterator[Delegation]:
        return (self.delegations[entry] for entry in self._outbound.of(session_id))

    def narrowed(self, delegation_id: DelegationId) -> Iterator[Delegation]:
        """The delegations that were narrowed from this one."""
        return (self.delegations[entry] for entry in self._narrowed.of(delegation_id))

    def received(self, session_id: SessionId) -> bool:
        """Whether anything was ever handed to this session, still in force or not."""
        return session_id in self._received

    def live(self, session: Session, now: datetime) -> bool:
        """Whether it and every session above it are live (S3)."""
        for step in session.path:
            row = self.sessions.get(step)
            if row is None or not row.live(now):
                return False
        return True

    def leads(self, start: SessionId, goal: SessionId, now: datetime) -> bool:
        """Whether live delegations lead from one session to another, over any others."""
        seen = {start}
        queue = [start]
        for step in queue:  # grows while it is walked
            for delegation in self.outbound(step):
                if delegation.target not in seen and delegation.live(now):
                    seen.add(delegation.target)
                    queue.append(delegation.target)
        return goal in seen

    def in_zone(self, now: datetime, *, at_least: int) -> int:
        """Sessions that hold capacity; exact from `at_least` on, where the lapsed are counted out."""
        total = len(self.sessions)
        return total if total < at_least else total - len(self.session_ends.due(now))

    def in_application(self, application_id: ApplicationId, now: datetime, *, at_least: int) -> int:
        """The same for one application."""
        total = self._applications.count(application_id)
        if total < at_least:
            return total
        lapsed = (self.sessions[entry] for entry in self.session_ends.due(now))
        return total - sum(entry.application_id == application_id for entry in lapsed)

    def under(self, parent_id: SessionId, now: datetime, *, at_least: int) -> int:
        """The same for the direct children of one session."""
        total = self._children.count(parent_id)
        if total < at_least:
            return total
        return sum(child.holds_capacity(now) for child in self.children(parent_id))
