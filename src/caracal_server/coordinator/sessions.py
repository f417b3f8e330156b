"""The life of a session that was started: suspended, resumed, ended, its lease taken and renewed."""

from collections.abc import Callable
from dataclasses import dataclass

from caracal.authority.events import Kind
from caracal.authority.graph import GraphChange, ZoneGraph
from caracal.authority.identifiers import SessionId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import Session, Status
from caracal.wire.sessions import (
    HeartbeatBody,
    render_heartbeat,
    render_lease,
    render_resumed,
    render_suspended,
)
from caracal_server.coordinator import entries
from caracal_server.coordinator.callers import OperatorCaller, owns
from caracal_server.coordinator.commitment import Undo
from caracal_server.coordinator.coordination import REQUESTED, Coordination
from caracal_server.coordinator.entries import Act, Asked
from caracal_server.coordinator.idempotency import Answered
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem

RESUME_NOT_STORED = "resume_not_stored"

_OK = 200
_NO_CONTENT = 204

_FOREIGN = Refused(Reason.SESSION_FOREIGN, "the session belongs to another application")
_UNKNOWN = Refused(Reason.SESSION_UNKNOWN, "no such session, or it has ended")
_ENDED = Refused(Reason.SESSION_NOT_LIVE, "the session has ended")


@dataclass(frozen=True, slots=True)
class Step:
    """A session found, the change planned for it."""

    graph: ZoneGraph
    before: Session
    change: GraphChange

    @property
    def after(self) -> Session:
        return self.change.sessions[0]


Plan = Callable[[ZoneGraph, Session], GraphChange | Refused]


@dataclass(frozen=True, slots=True)
class Steps:
    """Finds the session of a step and plans it; nothing is awaited once it is planned."""

    coordination: Coordination

    def plan(self, act: Act, session_id: SessionId, plan: Plan) -> Step | Refused | None:
        """Plan a step for the owner of a session in memory; `None` when it is not there."""
        graph = self.coordination.graph(act.zone_id)
        session = graph.session(session_id)
        if session is None:
            return None
        if not _may(act, session):
            return _FOREIGN
        change = plan(graph, session)
        return change if isinstance(change, Refused) else Step(graph, session, change)

    async def gone(self, act: Act, session_id: SessionId, ended: Refused) -> Refused:
        """Why there is no step for a session that is not in memory: `ended` when it once was."""
        session = await self.coordination.session(act.zone_id, session_id)
        if session is None:
            return _UNKNOWN
        return ended if _may(act, session) else _FOREIGN

    async def owed(self, act: Act, kind: Kind, session_id: SessionId) -> GraphChange | None:
        """What an earlier request changed that could not be stored then, and now is.

        Raises:
            Unavailable: it still can not be stored.
        """
        commitment = self.coordination.commitment
        owed = commitment.owes(act.zone_id, kind, session_id)
        if owed is None or not owed.change.sessions or not _may(act, owed.change.sessions[0]):
            return None
        await commitment.settle_everywhere()
        return owed.change

    async def refuse(
        self,
        act: Act,
        kind: Kind,
        session_id: SessionId,
        refused: Refused,
        variant: Variant | None = None,
    ) -> Problem:
        asked = Asked(session=session_id, target=session_id)
        return await self.coordination.refuse(act, kind, refused, asked, variant)


@dataclass(frozen=True, slots=True)
class Suspend:
    """Pause a session and all below it."""

    steps: Steps

    async def __call__(self, act: Act, session_id: SessionId) -> Answered | Problem:
        kind = Kind.SESSION_SUSPEND
        owed = await self.steps.owed(act, kind, session_id)
        if owed is not None:
            return Answered(_OK, render_suspended(len(owed.sessions)))
        step = self.steps.plan(
            act,
            session_id,
            lambda graph, _: graph.plan_suspend(session_id, reason=REQUESTED, now=act.at),
        )
        if step is None:
            step = await self.steps.gone(act, session_id, _ENDED)
        if isinstance(step, Refused):
            inactive = step.reason is Reason.SESSION_NOT_LIVE
            variant = Variant.SESSION_NOT_FOUND_OR_NOT_ACTIVE if inactive else None
            return await self.steps.refuse(act, kind, session_id, step, variant)
        entry = entries.changed(act, kind, step.change, reason=REQUESTED)
        recorded = await self.steps.coordination.commitment.take(act.zone_id, step.change, entry)
        body = render_suspended(len(step.change.sessions))
        return Answered(_OK, body, receipt=recorded.reference)


@dataclass(frozen=True, slots=True)
class Resume:
    """End the pause of a session, and of what was paused with it."""

    steps: Steps

    async def __call__(self, act: Act, session_id: SessionId) -> Answered | Problem:
        commitment = self.steps.coordination.commitment
        commitment.require_settled()
        step = self.steps.plan(
            act, session_id, lambda graph, _: graph.plan_resume(session_id, now=act.at)
        )
        if step is None:
            ended = Refused(Reason.SESSION_NOT_SUSPENDED, "the session has ended")
            step = await self.steps.gone(act, session_id, ended)
        if isinstance(step, Refused):
            return await self.steps.refuse(act, Kind.SESSION_RESUME, session_id, step)
        entry = entries.changed(act, Kind.SESSION_RESUME, step.change, reason=REQUESTED)
        resumed = step
        recorded = await commitment.give(
            act.zone_id, step.change, entry, lambda: self._undo(act, resumed)
        )
        body = render_resumed(len(step.change.sessions))
        return Answered(_OK, body, receipt=recorded.reference)

    def _undo(self, act: Act, step: Step) -> Undo:
        at = self.steps.coordination.clock.now()
        before = step.before
        back = step.graph.plan_suspend(before.id, reason=before.end_reason, now=at)
        if isinstance(back, Refused):
            # Something else has paused or ended it meanwhile, and stores that.
            back = GraphChange()
        entry = entries.changed(act, Kind.SESSION_SUSPEND, step.change, reason=RESUME_NOT_STORED)
        return Undo(back, entry)


@dataclass(frozen=True, slots=True)
class End:
    """Kill a session and everything below it. Who holds a service's lease names its generation."""

    steps: Steps

    async def __call__(
        self, act: Act, session_id: SessionId, generation: int | None, reason: str
    ) -> Answered | Problem:
        kind = Kind.SESSION_END
        if await self.steps.owed(act, kind, session_id) is not None:
            return Answered(_NO_CONTENT, b"")

        def plan(graph: ZoneGraph, _session: Session) -> GraphChange | Refused:
            fenced = graph.fence(session_id, generation)
            if fenced is not None and not isinstance(act.caller, OperatorCaller):
                return fenced
            return graph.plan_end(session_id, reason=reason, now=act.at)

        step = self.steps.plan(act, session_id, plan)
        if step is None:
            step = _UNKNOWN
        if isinstance(step, Refused):
            return await self.steps.refuse(act, kind, session_id, step)
        entry = entries.changed(act, kind, step.change, reason=reason)
        recorded = await self.steps.coordination.commitment.take(act.zone_id, step.change, entry)
        return Answered(_NO_CONTENT, b"", receipt=recorded.reference)


@dataclass(frozen=True, slots=True)
class TakeLease:
    """Take a service over from whoever held it."""

    steps: Steps

    async def __call__(self, act: Act, session_id: SessionId) -> Answered | Problem:
        commitment = self.steps.coordination.commitment
        commitment.require_settled()
        step = self.steps.plan(
            act, session_id, lambda graph, _: graph.plan_lease(session_id, now=act.at)
        )
        if step is None:
            step = await self.steps.gone(act, session_id, _ENDED)
        if isinstance(step, Refused):
            variant = Variant.SESSION_SUSPENDED if self._suspended(act, session_id, step) else None
            return await self.steps.refuse(act, Kind.SESSION_LEASE, session_id, step, variant)
        # It takes the lease from its holder: should it not be stored, the holder stays fenced off.
        entry = entries.leased(act, step.after)
        recorded = await commitment.take(act.zone_id, step.change, entry)
        return Answered(_OK, render_lease(step.after), receipt=recorded.reference)

    def _suspended(self, act: Act, session_id: SessionId, refused: Refused) -> bool:
        session = self.steps.coordination.graph(act.zone_id).session(session_id)
        return (
            refused.reason is Reason.SESSION_NOT_LIVE
            and session is not None
            and session.status is Status.SUSPENDED
        )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Renew a service's lease. Stored, and no evidence: it gives and takes nothing."""

    steps: Steps

    async def __call__(
        self, act: Act, session_id: SessionId, body: HeartbeatBody
    ) -> Answered | Problem:
        step = self.steps.plan(
            act,
            session_id,
            lambda graph, _: graph.plan_heartbeat(
                session_id,
                generation=body.lease_generation,
                health=body.health.value,
                now=act.at,
            ),
        )
        if step is None:
            step = await self.steps.gone(act, session_id, _ENDED)
        if isinstance(step, Refused):
            return await self.steps.refuse(act, Kind.SESSION_LEASE, session_id, step)
        await self.steps.coordination.commitment.renew(act.zone_id, step.change)
        return Answered(_OK, render_heartbeat(step.after, body.active_invocations))


def _may(act: Act, session: Session) -> bool:
    return act.caller is not None and owns(act.caller, session.application_id)
