"""Sessions of clients that know of none: the STS asks for them, for an application that it has proven."""

from dataclasses import dataclass

from caracal.authority.events import Kind
from caracal.authority.graph import GraphChange, StartSession, ZoneGraph
from caracal.authority.identifiers import DelegationId, SessionId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import Lifecycle, Session
from caracal.authority.subjects import ProvenUser
from caracal_server.coordinator import entries
from caracal_server.coordinator.acts import Acts
from caracal_server.coordinator.commitment import Undo
from caracal_server.coordinator.coordination import Coordination
from caracal_server.coordinator.entries import Act, Asked
from caracal_server.coordinator.starting import NOT_STORED
from caracal_server.ports.peers import OpenedSession, Person, WantedSession


@dataclass(frozen=True, slots=True)
class OpenClientSession:
    """Implements `ClientSessions`: a root task that ends by itself."""

    coordination: Coordination
    acts: Acts

    async def open(self, wanted: WantedSession) -> OpenedSession | Refused:
        return await self.acts.run(self._open(wanted))

    async def _open(self, wanted: WantedSession) -> OpenedSession | Refused:
        parts = self.coordination
        act = Act(wanted.zone_id, wanted.request_id, parts.clock.now())
        refused = self._unknown(wanted)
        if refused is None:
            parts.commitment.require_settled()
            graph = parts.graph(wanted.zone_id)
            change = _revoked(graph, wanted.person) or graph.plan_start(
                self._request(wanted), now=act.at
            )
            if not isinstance(change, Refused):
                return await self._start(act, graph, change)
            refused = change
        asked = Asked(target=wanted.application_id)
        await parts.refuse(act, Kind.SESSION_START, refused, asked)
        return refused

    async def _start(self, act: Act, graph: ZoneGraph, change: GraphChange) -> OpenedSession:
        session = change.sessions[0]
        await self.coordination.commitment.give(
            act.zone_id,
            change,
            entries.started(act, session, None),
            lambda: self._undo(act, graph, session),
        )
        return OpenedSession(session.id, session.expires_at)

    def _unknown(self, wanted: WantedSession) -> Refused | None:
        """Whoever asks is not believed about who is registered."""
        zone = self.coordination.directory.zone(wanted.zone_id)
        application = None if zone is None else zone.applications.get(wanted.application_id)
        if application is None or not application.usable(self.coordination.clock.now()):
            return Refused(Reason.CLIENT_UNKNOWN, "the application is not registered any more")
        return None

    def _request(self, wanted: WantedSession) -> StartSession:
        entropy = self.coordination.entropy
        return StartSession(
            id=SessionId(entropy.new_id()),
            delegation_id=DelegationId(entropy.new_id()),
            application_id=wanted.application_id,
            record=wanted.record,
            lifecycle=Lifecycle.TASK,
            labels=wanted.labels,
            ttl=wanted.ttl,
            proven=None
            if wanted.person is None
            else ProvenUser(wanted.person.user, wanted.person.until),
        )

    def _undo(self, act: Act, graph: ZoneGraph, session: Session) -> Undo:
        at = self.coordination.clock.now()
        ended = graph.plan_end(session.id, reason=NOT_STORED, now=at)
        # Something else may have ended it meanwhile, and stores that.
        change = GraphChange() if isinstance(ended, Refused) else ended
        told = change if change.sessions else GraphChange((session,))
        act = Act(act.zone_id, act.request_id, at)
        return Undo(change, entries.changed(act, Kind.SESSION_END, told, reason=NOT_STORED))


def _revoked(graph: ZoneGraph, person: Person | None) -> Refused | None:
    """Why the sign-in counts no more, asked in the moment in which the session starts."""
    revoked = None if person is None else graph.revocations.of_user(person.user)
    if person is None or revoked is None or person.proven_at > revoked.at:
        return None
    return Refused(
        Reason.SUBJECT_REVOKED,
        f"the user was revoked at {revoked.at.isoformat()}, after they had signed in",
    )
