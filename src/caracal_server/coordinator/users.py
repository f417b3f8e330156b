"""The kill switch of a user: all that works for them ends, and what they proved counts no more."""

from dataclasses import dataclass

from caracal.authority.subjects import User
from caracal.wire.subjects import render_revoked_subject
from caracal_server.coordinator import entries
from caracal_server.coordinator.coordination import Coordination
from caracal_server.coordinator.entries import Act
from caracal_server.coordinator.idempotency import Answered

_OK = 200


@dataclass(frozen=True, slots=True)
class RevokeUser:
    """An operator revokes a user. A second time is as once, and covers what came in between."""

    coordination: Coordination

    async def __call__(self, act: Act, user: User, reason: str) -> Answered:
        """Revoke; whether the zone has seen the user makes no difference.

        Raises:
            Unavailable: it is in force, and not recorded or not stored yet.
        """
        graph = self.coordination.graph(act.zone_id)
        change = graph.plan_end_of_user(user, reason=reason, now=act.at)
        entry = entries.revoked_user(act, user, change, reason=reason)
        recorded = await self.coordination.commitment.take(act.zone_id, change, entry)
        ended = len(change.sessions), len(change.delegations)
        body = render_revoked_subject(user, *ended)
        return Answered(_OK, body, receipt=recorded.reference)
