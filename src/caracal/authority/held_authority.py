"""What a session holds at an instant: the facts a mandate rests on."""

from datetime import datetime

import msgspec

from caracal.authority.delegation import Delegation
from caracal.authority.graph_index import GraphIndex
from caracal.authority.identifiers import ApplicationId, DelegationId, SessionId
from caracal.authority.mandates import MAX_LIFETIME, Hop
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import Lifecycle, Session

UNKNOWN_SESSION = Refused(Reason.SESSION_UNKNOWN, "no such session, or it has ended")
UNKNOWN_DELEGATION = Refused(Reason.DELEGATION_UNKNOWN, "no such delegation, or it was revoked")


class HeldAuthority(msgspec.Struct, frozen=True):
    """The session, and the delegation if one was named, that a mandate would be minted from.

    Attributes:
        session_path: sessions from the root down to this one.
        chain: the hops of the delegation and its receiver; empty without a delegation.
        expires_at: past this instant no mandate that rests on it may live. A service bounds nothing:
            its lease is renewed, and when it lapses its mandates are revoked.
    """

    session: Session
    delegation: Delegation | None
    session_path: tuple[SessionId, ...]
    chain: tuple[Hop, ...]
    expires_at: datetime


def hold(
    index: GraphIndex,
    *,
    application_id: ApplicationId,
    session_id: SessionId,
    delegation_id: DelegationId | None,
    now: datetime,
) -> HeldAuthority | Refused:
    """What the application holds in that session, under that delegation (S3, D9)."""
    session = index.sessions.get(session_id)
    if session is None:
        return UNKNOWN_SESSION
    if session.application_id != application_id:
        return Refused(Reason.SESSION_FOREIGN, "the session belongs to another application")
    if not index.live(session, now):
        return Refused(Reason.SESSION_NOT_LIVE, "the session or one above it is not live")
    ends = now + MAX_LIFETIME
    if session.lifecycle is Lifecycle.TASK:
        ends = min(ends, session.expires_at)
    if delegation_id is None:
        return HeldAuthority(session, None, session.path, (), ends)
    delegation = index.delegations.get(delegation_id)
    if delegation is None:
        return UNKNOWN_DELEGATION
    if delegation.target != session_id or delegation.receiver != application_id:
        return Refused(Reason.DELEGATION_FOREIGN, "the delegation was made to another session")
    lineage = _lineage_end(index, delegation, now)
    if isinstance(lineage, Refused):
        return lineage
    return HeldAuthority(session, delegation, session.path, delegation.hops(), min(ends, lineage))


def whole(index: GraphIndex, delegation: Delegation, now: datetime) -> bool:
    """Whether it, every delegation before it and every session that made one is live."""
    return not isinstance(_lineage_end(index, delegation, now), Refused)


def _lineage_end(index: GraphIndex, delegation: Delegation, now: datetime) -> datetime | Refused:
    """When the first of the delegations and source tasks on the path ends, if all are live."""
    ends = delegation.grant.expires_at
    for step in delegation.path:
        row = index.delegations.get(step)
        if row is None or not row.live(now):
            return Refused(Reason.DELEGATION_NOT_LIVE, f"delegation {step} is not live")
        ends = min(ends, row.grant.expires_at)
        source = index.sessions.get(row.source)
        if source is None or not index.live(source, now):
            return Refused(
                Reason.DELEGATION_NOT_LIVE,
                f"session {row.source}, which made delegation {step}, is not live",
            )
        if source.lifecycle is Lifecycle.TASK:
            ends = min(ends, source.expires_at)
    return ends
