"""Starting sessions."""

from dataclasses import dataclass, replace

from caracal.authority.events import Kind
from caracal.authority.graph import GraphChange, StartSession, ZoneGraph
from caracal.authority.identifiers import DelegationId, SessionId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import Session
from caracal.evidence.canonical import JsonValue
from caracal.wire.sessions import StartSessionBody, render_started_session
from caracal_server.coordinator import entries
from caracal_server.coordinator.callers import ApplicationCaller
from caracal_server.coordinator.commitment import Undo
from caracal_server.coordinator.coordination import Coordination
from caracal_server.coordinator.entries import Act, Asked
from caracal_server.coordinator.idempotency import (
    Answered,
    Draft,
    IdempotencyKey,
    IdempotencyReceipts,
    Operation,
)
from caracal_server.coordinator.subjects import Bound, SubjectProofs
from caracal_server.web.problems import Problem

NOT_STORED = "start_not_stored"
"""Why a session ended whose start could not be recorded and stored."""

_OPERATION = "session.start.v2"
_CREATED = 201


@dataclass(frozen=True, slots=True)
class Start:
    """An application starts a session of its own."""

    coordination: Coordination
    receipts: IdempotencyReceipts
    subjects: SubjectProofs

    async def __call__(
        self,
        act: Act,
        caller: ApplicationCaller,
        body: StartSessionBody,
        key: IdempotencyKey | None,
    ) -> Answered | Problem:
        """Start it, or answer as the first time the key was used.

        Raises:
            Unavailable: it could not be recorded or stored; no session was started.
        """
        bound = _foreign(caller, body) or self.subjects(act, caller, body)
        outcome: Answered | Refused = (
            bound
            if isinstance(bound, Refused)
            else await self.receipts.once(
                Operation(act.zone_id, _OPERATION, caller.application.id),
                key,
                lambda: _request(caller, body),
                now=act.at,
                live=lambda session_id: self._is_live(act, SessionId(session_id)),
                make=lambda draft: self._start(act, bound, body, draft),
            )
        )
        if isinstance(outcome, Answered):
            return outcome
        asked = Asked(
            session=body.parent_id or "",
            delegations=tuple(filter(None, (body.inherit_parent_edge_id,))),
            target=body.application_id,
        )
        return await self.coordination.refuse(act, Kind.SESSION_START, outcome, asked)

    async def _start(
        self, act: Act, bound: Bound, body: StartSessionBody, draft: Draft | None
    ) -> Answered | Refused:
        parts = self.coordination
        parts.commitment.require_settled()
        graph = parts.graph(act.zone_id)
        act = replace(act, at=parts.clock.now())
        change = bound.revoked(graph) or graph.plan_start(self._wanted(bound, body), now=act.at)
        if isinstance(change, Refused):
            return change
        session = change.sessions[0]
        inherited = change.delegations[0] if change.delegations else None
        answer = Answered(
            _CREATED, render_started_session(session, None if inherited is None else inherited.id)
        )
        recorded = await parts.commitment.give(
            act.zone_id,
            change,
            entries.started(act, session, inherited),
            lambda: self._undo(act, graph, session),
            None if draft is None else draft.receipt(answer, session.id),
        )
        return replace(answer, receipt=recorded.reference)

    def _wanted(self, bound: Bound, body: StartSessionBody) -> StartSession:
        entropy = self.coordination.entropy
        return StartSession(
            id=SessionId(entropy.new_id()),
            delegation_id=DelegationId(entropy.new_id()),
            application_id=body.application_id,
            record=bound.record,
            proven=bound.proven,
            parent_id=body.parent_id,
            lifecycle=body.lifecycle,
            labels=body.labels,
            ttl=body.ttl,
            parent_authority=body.parent_authority,
            inherit_delegation=body.inherit_parent_edge_id,
            metadata=body.metadata,
        )

    def _undo(self, act: Act, graph: ZoneGraph, session: Session) -> Undo:
        at = self.coordination.clock.now()
        ended = graph.plan_end(session.id, reason=NOT_STORED, now=at)
        # Something else may have ended it meanwhile, and stores that.
        change = GraphChange() if isinstance(ended, Refused) else ended
        told = change if change.sessions else GraphChange((session,))
        act = replace(act, at=at)
        return Undo(change, entries.changed(act, Kind.SESSION_END, told, reason=NOT_STORED))

    def _is_live(self, act: Act, session_id: SessionId) -> bool:
        session = self.coordination.graph(act.zone_id).session(session_id)
        return session is not None and session.live(self.coordination.clock.now())


def _foreign(caller: ApplicationCaller, body: StartSessionBody) -> Refused | None:
    if body.application_id != caller.application.id:
        return Refused(
            Reason.SESSION_FOREIGN, "application_id is not the application of the mandate"
        )
    return None


def _request(caller: ApplicationCaller, body: StartSessionBody) -> JsonValue:
    """What makes two requests the same; not the mandates, which a repeated one may have renewed."""
    named = body.subject_session_id
    return ({} if named in {None, caller.mandate.record} else {"record": named}) | {
        "caller": caller.application.id,
        "subject": caller.mandate.subject,
        "application_id": body.application_id,
        "parent_id": body.parent_id,
        "lifecycle": body.lifecycle.value,
        "labels": body.labels,
        "ttl_seconds": None if body.ttl is None else int(body.ttl.total_seconds()),
        "parent_authority": body.parent_authority.value,
        "inherit_parent_edge_id": body.inherit_parent_edge_id,
        "metadata": body.metadata,
    }
