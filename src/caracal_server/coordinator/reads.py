"""Reading sessions and delegations. What was killed a moment ago is never shown as live."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from caracal.authority.delegation import Delegation
from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    InvalidIdentifier,
    SessionId,
    ZoneId,
    parse_id,
)
from caracal.authority.outcomes import Reason
from caracal.authority.sessions import Session
from caracal.wire.delegations import (
    render_delegation_status,
    render_delegations,
    render_impact,
    render_traversal,
)
from caracal.wire.sessions import render_effective_authority, render_session, render_sessions
from caracal_server.coordinator.callers import ApplicationCaller, Caller, OperatorCaller, owns
from caracal_server.coordinator.coordination import Coordination
from caracal_server.ports.graph import DelegationQuery, SessionQuery
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem

_NO_SESSION = Problem(Reason.SESSION_UNKNOWN)
_NO_DELEGATION = Problem(Reason.DELEGATION_UNKNOWN)
_NO_CURSOR = Problem(
    Reason.REQUEST_MALFORMED,
    "the cursor is not one that a page of this list ended with",
    Variant.INVALID_CURSOR,
)
_NOT_OPERATOR = Problem(
    Reason.OPERATOR_SCOPE_MISSING,
    "only an operator may read this",
    Variant.COORDINATOR_ADMIN_REQUIRED,
)


@dataclass(frozen=True, slots=True)
class SessionReads:
    """Raises: Unavailable, when the store can not be read."""

    coordination: Coordination

    async def one(self, zone_id: ZoneId, caller: Caller, session_id: SessionId) -> bytes | Problem:
        session = await self.coordination.session(zone_id, session_id)
        return _NO_SESSION if session is None else render_session(_seen_by(caller, session))

    async def page(self, zone_id: ZoneId, caller: Caller, query: SessionQuery) -> bytes | Problem:
        """The sessions that fit, newest first; the cursor is the last one of the page before.

        By label an application finds its own sessions only: it does not see the labels of others.
        """
        if query.label is not None and isinstance(caller, ApplicationCaller):
            mine = caller.application.id
            if query.application_id not in {None, mine}:
                return render_sessions([], None)
            query = replace(query, application_id=mine)
        if query.cursor is not None and not await self._known(zone_id, query.cursor):
            return _NO_CURSOR
        rows = await self.coordination.store.sessions(zone_id, query)
        cursor = _next_cursor([row.id for row in rows], query.limit)
        newest = (self.coordination.newest(zone_id, row.id) or row for row in rows)
        fitting = [_seen_by(caller, row) for row in newest if query.status in {None, row.status}]
        return render_sessions(fitting, cursor)

    async def children(
        self, zone_id: ZoneId, caller: Caller, session_id: SessionId, query: SessionQuery
    ) -> bytes | Problem:
        if await self.coordination.session(zone_id, session_id) is None:
            return _NO_SESSION
        return await self.page(zone_id, caller, replace(query, parent_id=session_id))

    async def effective_authority(
        self, zone_id: ZoneId, caller: Caller, session_id: SessionId, now: datetime
    ) -> bytes | Problem:
        """What the session may use: what all its live delegations allow together."""
        session = await own_session(self.coordination, zone_id, caller, session_id)
        if isinstance(session, Problem):
            return session
        graph = self.coordination.graph(zone_id)
        return render_effective_authority(
            session_id, graph.inbound(session_id, now), graph.effective_grant(session_id, now)
        )

    async def _known(self, zone_id: ZoneId, cursor: str) -> bool:
        try:
            session_id = parse_id(SessionId, cursor)
        except InvalidIdentifier:
            return False
        return await self.coordination.session(zone_id, session_id) is not None


@dataclass(frozen=True, slots=True)
class DelegationReads:
    """Raises: Unavailable, when the store can not be read."""

    coordination: Coordination

    async def active(
        self, zone_id: ZoneId, caller: Caller, query: DelegationQuery, now: datetime
    ) -> bytes | Problem:
        """The live delegations that the caller's application made or received; to operators, all."""
        mine: ApplicationId | None = None
        if isinstance(caller, ApplicationCaller):
            mine = caller.application.id
        return await self._page(zone_id, replace(query, application_id=mine), now)

    async def inbound(
        self,
        zone_id: ZoneId,
        caller: Caller,
        session_id: SessionId,
        query: DelegationQuery,
        now: datetime,
    ) -> bytes | Problem:
        session = await own_session(self.coordination, zone_id, caller, session_id)
        if isinstance(session, Problem):
            return session
        return await self._page(zone_id, replace(query, target=session_id), now)

    async def outbound(
        self,
        zone_id: ZoneId,
        caller: Caller,
        session_id: SessionId,
        query: DelegationQuery,
        now: datetime,
    ) -> bytes | Problem:
        session = await own_session(self.coordination, zone_id, caller, session_id)
        if isinstance(session, Problem):
            return session
        return await self._page(zone_id, replace(query, source=session_id), now)

    def received(
        self,
        zone_id: ZoneId,
        caller: Caller,
        session_id: SessionId,
        delegation_id: DelegationId,
        now: datetime,
    ) -> bytes | Problem:
        """Whether a delegation to this session of the caller holds."""
        row = self._live(zone_id, delegation_id, now)
        if row is None or row.target != session_id or not owns(caller, row.receiver):
            return _NO_DELEGATION
        return render_delegation_status(row)

    def traversal(
        self, zone_id: ZoneId, caller: Caller, delegation_id: DelegationId, now: datetime
    ) -> bytes | Problem:
        """The delegations that would end with this one."""
        root = self._root(zone_id, caller, delegation_id, now)
        if isinstance(root, Problem):
            return root
        impact = self.coordination.graph(zone_id).impact_of_delegation(delegation_id)
        return render_traversal(root, impact.delegations)

    def impact(
        self, zone_id: ZoneId, caller: Caller, delegation_id: DelegationId, now: datetime
    ) -> bytes | Problem:
        """The same, with the sessions."""
        root = self._root(zone_id, caller, delegation_id, now)
        if isinstance(root, Problem):
            return root
        impact = self.coordination.graph(zone_id).impact_of_delegation(delegation_id)
        return render_impact(
            root,
            impact.delegations,
            sessions=[session.id for session in impact.sessions],
            records=sorted({session.record for session in impact.sessions}),
        )

    def _root(
        self, zone_id: ZoneId, caller: Caller, delegation_id: DelegationId, now: datetime
    ) -> Delegation | Problem:
        if not isinstance(caller, OperatorCaller):
            return _NOT_OPERATOR
        return self._live(zone_id, delegation_id, now) or _NO_DELEGATION

    async def _page(
        self, zone_id: ZoneId, query: DelegationQuery, now: datetime
    ) -> bytes | Problem:
        if query.cursor is not None:
            try:
                parse_id(DelegationId, query.cursor)
            except InvalidIdentifier:
                return _NO_CURSOR
        rows = await self.coordination.store.delegations(zone_id, replace(query, active_at=now))
        cursor = _next_cursor([row.id for row in rows], query.limit)
        live = (self._live(zone_id, row.id, now) for row in rows)
        return render_delegations([row for row in live if row is not None], cursor)

    def _live(
        self, zone_id: ZoneId, delegation_id: DelegationId, now: datetime
    ) -> Delegation | None:
        row = self.coordination.graph(zone_id).delegation(delegation_id)
        return row if row is not None and row.live(now) else None


async def own_session(
    coordination: Coordination, zone_id: ZoneId, caller: Caller, session_id: SessionId
) -> Session | Problem:
    """A session of the caller; another application's is as unknown as one that never was."""
    session = await coordination.session(zone_id, session_id)
    if session is None or not owns(caller, session.application_id):
        return _NO_SESSION
    return session


def _seen_by(caller: Caller, session: Session) -> Session:
    """The session, without what its application wrote about it when the caller is another one."""
    if owns(caller, session.application_id):
        return session
    return replace(session, labels=(), metadata="{}")


def _next_cursor(ids: Sequence[str], limit: int) -> str | None:
    return ids[-1] if len(ids) == limit else None
