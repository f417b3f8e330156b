"""The live sessions and delegations of one zone: who may act now, and what an act would change."""

from collections.abc import Callable, Iterable
from datetime import datetime

from caracal.authority import (
    cascade,
    delegation_rules,
    held_authority,
    kill_switch,
    session_rules,
    starting,
)
from caracal.authority.cascade import Impact
from caracal.authority.delegation import Delegation
from caracal.authority.delegation_rules import CreateDelegation
from caracal.authority.grants import Grant
from caracal.authority.graph_index import GraphChange, GraphIndex
from caracal.authority.held_authority import UNKNOWN_DELEGATION, UNKNOWN_SESSION, HeldAuthority
from caracal.authority.identifiers import ApplicationId, DelegationId, SessionId, ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.revocation import Revocation, Revocations
from caracal.authority.session_rules import ParentAuthority, StartSession
from caracal.authority.sessions import Event, Session, Status
from caracal.authority.starting import GraphLimits
from caracal.authority.subjects import User

__all__ = [
    "CreateDelegation",
    "GraphChange",
    "GraphLimits",
    "HeldAuthority",
    "Impact",
    "ParentAuthority",
    "StartSession",
    "ZoneGraph",
]


class ZoneGraph:
    """One zone's graph, in memory. Not for use from several threads.

    A `plan_*` method only looks: it answers the change to make, or why not. `apply` makes the change.
    Between the two nothing else may be applied.
    """

    __slots__ = ("_index", "epoch", "limits", "revocations", "zone_id")

    def __init__(self, zone_id: ZoneId, limits: GraphLimits) -> None:
        self.zone_id = zone_id
        self.limits = limits
        self.epoch = 0
        self.revocations = Revocations()
        self._index = GraphIndex()

    @classmethod
    def load(
        cls,
        zone_id: ZoneId,
        limits: GraphLimits,
        *,
        sessions: Iterable[Session],
        delegations: Iterable[Delegation],
        revocations: Iterable[Revocation],
        epoch: int,
    ) -> "ZoneGraph":
        """Build the graph from what was stored.

        Delegations that ended belong to `delegations` too while their target session has not: a
        session whose only delegation ended has nothing to pass on to its children (S7).
        """
        graph = cls(zone_id, limits)
        graph.apply(
            GraphChange(tuple(sessions), tuple(delegations), tuple(revocations), epoch=epoch)
        )
        return graph

    def apply(self, change: GraphChange) -> None:
        """Make a change. Twice is as once, and an older row never replaces a newer one."""
        index = self._index
        outdated = {row.id for row in change.sessions if row.version < index.version(row.id)}
        for session in change.sessions:
            index.put_session(session)
        for delegation in change.delegations:
            index.put_delegation(delegation)
        for revocation in change.revocations:
            if revocation.anchor not in outdated:
                self.revocations.add(revocation)
        for kind, anchor in change.lifted:
            if anchor not in outdated:
                self.revocations.lift(kind, anchor)
        self.epoch = max(self.epoch, change.epoch)

    def whole(self) -> GraphChange:
        """Everything that is live, as a change: applied to an empty graph it gives this one."""
        index = self._index
        return GraphChange(
            tuple(index.sessions.values()),
            tuple(index.delegations.values()),
            tuple(self.revocations),
            epoch=self.epoch,
        )

    @property
    def session_count(self) -> int:
        """How many sessions have not ended."""
        return len(self._index.sessions)

    @property
    def delegation_count(self) -> int:
        """How many delegations were not revoked."""
        return len(self._index.delegations)

    def session(self, session_id: SessionId) -> Session | None:
        """A session that has not ended."""
        return self._index.sessions.get(session_id)

    def delegation(self, delegation_id: DelegationId) -> Delegation | None:
        """A delegation that was not revoked; it may have expired."""
        return self._index.delegations.get(delegation_id)

    def children(self, session_id: SessionId) -> tuple[Session, ...]:
        return tuple(self._index.children(session_id))

    def inbound(self, session_id: SessionId, now: datetime) -> tuple[Delegation, ...]:
        """The live delegations that the session received."""
        return tuple(row for row in self._index.inbound(session_id) if row.live(now))

    def outbound(self, session_id: SessionId, now: datetime) -> tuple[Delegation, ...]:
        """The live delegations that the session made."""
        return tuple(row for row in self._index.outbound(session_id) if row.live(now))

    def effective_grant(self, session_id: SessionId, now: datetime) -> Grant | None:
        """What all live delegations the session received allow together, `None` without any."""
        return delegation_rules.intersect(row.grant for row in self.inbound(session_id, now))

    def impact_of_session(self, session_id: SessionId) -> Impact:
        """What would end with the session; nothing when it is unknown."""
        session = self.session(session_id)
        return (
            Impact()
            if session is None
            else cascade.under_session(self._index, session, spare=set())
        )

    def impact_of_delegation(self, delegation_id: DelegationId) -> Impact:
        """What would end with the delegation; nothing when it is unknown."""
        delegation = self.delegation(delegation_id)
        if delegation is None:
            return Impact()
        return cascade.under_delegation(self._index, delegation)[1]

    def authority(
        self,
        *,
        application_id: ApplicationId,
        session_id: SessionId,
        delegation_id: DelegationId | None,
        now: datetime,
    ) -> HeldAuthority | Refused:
        """What a mandate for this session, under this delegation, would rest on (S3, D9)."""
        return held_authority.hold(
            self._index,
            application_id=application_id,
            session_id=session_id,
            delegation_id=delegation_id,
            now=now,
        )

    def plan_start(self, request: StartSession, *, now: datetime) -> GraphChange | Refused:
        """Start a session (S4 to S7)."""
        self._fresh(request.id)
        refusal = session_rules.malformed(request, now) or starting.full(
            self._index, self.limits, request, now
        )
        if refusal is not None:
            return refusal
        if request.parent_id is None:
            root = session_rules.born(request, None, zone_id=self.zone_id, now=now)
            return GraphChange((root,), epoch=self.epoch)
        parent = self.session(request.parent_id)
        if parent is None or not self._index.live(parent, now):
            return Refused(Reason.SESSION_PARENT_UNKNOWN, "no live parent session of that name")
        refusal = session_rules.unfit_parent(request, parent, now) or starting.crowded(
            self._index, self.limits, parent, now
        )
        if refusal is not None:
            return refusal
        held = starting.inheritable(self._index, request, parent, now)
        if isinstance(held, Refused):
            return held
        session = session_rules.born(request, parent, zone_id=self.zone_id, now=now)
        if held is None:
            return GraphChange((session,), epoch=self.epoch)
        delegation = delegation_rules.inherited(held, request, now)
        if isinstance(delegation, Refused):
            return delegation
        self._fresh(delegation.id)
        return GraphChange((session,), (delegation,), epoch=self.epoch + 1)

    def _fresh(self, row: str) -> None:
        if self._index.version(row):
            raise ValueError(f"the id {row!r} has been used in this zone before")

    def fence(self, session_id: SessionId, generation: int | None) -> Refused | None:
        """Why the holder of this lease generation may not act on the session (S9)."""
        session = self.session(session_id)
        return None if session is None else session_rules.fenced(session, generation)

    def plan_lease(self, session_id: SessionId, *, now: datetime) -> GraphChange | Refused:
        """Take a service over: the lease starts anew under the next generation."""
        return self._plan_row(session_id, lambda row: session_rules.lease_taken(row, now))

    def plan_heartbeat(
        self, session_id: SessionId, *, generation: int, health: str, now: datetime
    ) -> GraphChange | Refused:
        """Renew a service's lease."""
        return self._plan_row(
            session_id,
            lambda row: session_rules.heartbeat(row, generation=generation, health=health, now=now),
        )

    def _plan_row(
        self, session_id: SessionId, step: Callable[[Session], Session | Refused]
    ) -> GraphChange | Refused:
        session = self.session(session_id)
        if session is None:
            return UNKNOWN_SESSION
        changed = step(session)
        return (
            changed if isinstance(changed, Refused) else GraphChange((changed,), epoch=self.epoch)
        )

    def plan_suspend(
        self, session_id: SessionId, *, reason: str, now: datetime
    ) -> GraphChange | Refused:
        """Suspend a session and the active ones below it (S8, K5)."""
        session = self.session(session_id)
        if session is None:
            return UNKNOWN_SESSION
        refusal = session_rules.illegal(session, Event.SUSPEND)
        if refusal is not None:
            return refusal
        return kill_switch.suspend(
            self._index, session, reason=reason, now=now, epoch=self.epoch, spare=set()
        )

    def plan_resume(self, session_id: SessionId, *, now: datetime) -> GraphChange | Refused:
        """Resume a session, and what was suspended with it (S8)."""
        session = self.session(session_id)
        if session is None:
            return UNKNOWN_SESSION
        refusal = session_rules.illegal(session, Event.RESUME)
        if refusal is not None:
            return refusal
        if session_rules.ttl_passed(session, now):
            return Refused(Reason.SESSION_NOT_LIVE, "its ttl_seconds have passed")
        if session.parent_id is not None:
            parent = self.session(session.parent_id)
            if parent is None or parent.status is not Status.ACTIVE:
                return Refused(
                    Reason.SESSION_NOT_LIVE, "the parent session is suspended; resume it first"
                )
        return kill_switch.resume(self._index, session, now=now, epoch=self.epoch)

    def plan_end(
        self, session_id: SessionId, *, reason: str, now: datetime
    ) -> GraphChange | Refused:
        """Kill a session and everything below it (K1, K2, K4)."""
        session = self.session(session_id)
        if session is None:
            return UNKNOWN_SESSION
        return kill_switch.end(
            self._index,
            session,
            event=Event.TERMINATE,
            reason=reason,
            now=now,
            epoch=self.epoch,
            spare=set(),
        )

    def plan_end_of_user(self, user: User, *, reason: str, now: datetime) -> GraphChange:
        """Revoke a user and all that works for them, now; they may sign in again (K7)."""
        return kill_switch.end_of_user(self._index, user, reason=reason, now=now, epoch=self.epoch)

    def plan_delegate(self, request: CreateDelegation, *, now: datetime) -> GraphChange | Refused:
        """Hand a grant from one session to another (D1 to D11)."""
        self._fresh(request.id)
        refusal = delegation_rules.malformed(request)
        if refusal is not None:
            return refusal
        refusal = self._endpoints(request, now)
        if refusal is not None:
            return refusal
        parent = delegation_rules.choose_parent(request, self.inbound(request.source, now))
        if isinstance(parent, Refused):
            return parent
        if parent is not None and not held_authority.whole(self._index, parent, now):
            return Refused(
                Reason.DELEGATION_PARENT_INACTIVE, "what the source session received is suspended"
            )
        delegation = delegation_rules.granted(request, parent, zone_id=self.zone_id, now=now)
        if isinstance(delegation, Refused):
            return delegation
        if self._index.leads(request.target, request.source, now):
            return Refused(
                Reason.DELEGATION_CYCLE, "the target session already delegates to the source"
            )
        return GraphChange((), (delegation,), epoch=self.epoch + 1)

    def _endpoints(self, request: CreateDelegation, now: datetime) -> Refused | None:
        source, target = self.session(request.source), self.session(request.target)
        if source is None or not self._index.live(source, now):
            return Refused(Reason.DELEGATION_ENDPOINT_UNKNOWN, "the source is no live session")
        if target is None or not self._index.live(target, now):
            return Refused(Reason.DELEGATION_ENDPOINT_UNKNOWN, "the target is no live session")
        return delegation_rules.mismatched(request, source, target)

    def plan_revoke(
        self, delegation_id: DelegationId, *, reason: str, now: datetime
    ) -> GraphChange | Refused:
        """Revoke a delegation, all narrowed from it, and the sessions that received them (K3)."""
        delegation = self.delegation(delegation_id)
        if delegation is None:
            return UNKNOWN_DELEGATION
        if not delegation.live(now):
            return Refused(Reason.DELEGATION_NOT_LIVE, "the delegation has expired")
        return kill_switch.revoke(self._index, delegation, reason=reason, now=now, epoch=self.epoch)

    def plan_sweep(self, *, now: datetime, limit: int) -> tuple[GraphChange, ...]:
        """End tasks whose TTL has passed, suspend services whose lease has lapsed (K6).

        At most `limit` sessions are looked at.
        """
        self.forget_expired(now=now, limit=limit)
        return kill_switch.sweep(self._index, now=now, limit=limit, epoch=self.epoch)

    def forget_expired(self, *, now: datetime, limit: int) -> None:
        """Take delegations that have expired out of memory, at most `limit` of them.

        Nothing they allowed is left, so there is nothing to store or to revoke.
        """
        for expired in self._index.delegation_ends.due(now, limit):
            self._index.forget_delegation(self._index.delegations[expired])
