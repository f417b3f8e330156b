"""Ending and pausing authority, with all that rests on it. Rules K1 to K7 of `docs/delegation.md`."""

from datetime import datetime

from caracal.authority import cascade
from caracal.authority.cascade import Impact
from caracal.authority.delegation import Delegation
from caracal.authority.delegation_rules import DELEGATION_REVOKED, revoked
from caracal.authority.graph_index import GraphChange, GraphIndex
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.session_rules import (
    HEARTBEAT_LOST,
    PARENT_SUSPENDED,
    PARENT_TERMINATED,
    TTL_PASSED,
    ended,
    resumed,
    suspended,
    ttl_passed,
)
from caracal.authority.sessions import Event, Lifecycle, Session
from caracal.authority.subjects import User


def end(
    index: GraphIndex,
    root: Session,
    *,
    event: Event,
    reason: str,
    now: datetime,
    epoch: int,
    spare: set[str],
) -> GraphChange:
    """End a session: the root with `event` and `reason`, those below it because of it (K1)."""
    impact = cascade.under_session(index, root, spare=spare)
    sessions = tuple(
        ended(row, event, reason=reason, now=now)
        if row is root
        else ended(row, Event.TERMINATE, reason=PARENT_TERMINATED, now=now)
        for row in impact.sessions
    )
    anchors = cascade.end_anchors(impact, at=now, reason=reason)
    return _fallen(sessions, impact, anchors, now=now, epoch=epoch)


def end_of_user(
    index: GraphIndex, user: User, *, reason: str, now: datetime, epoch: int
) -> GraphChange:
    """Revoke a user, and end every session that works for them with all that rests on it (K7)."""
    mine = sorted(
        (row for row in index.sessions.values() if row.user == user), key=lambda row: row.depth
    )
    sessions: dict[str, Session] = {}
    delegations: dict[str, Delegation] = {}
    anchors: dict[Revocation, None] = {
        Revocation(AnchorKind.SUBJECT, user.anchor, now, reason): None
    }
    for row in mine:
        if row.id not in sessions:
            change = end(
                index,
                row,
                event=Event.TERMINATE,
                reason=reason,
                now=now,
                epoch=epoch,
                spare=set(sessions),
            )
            sessions.update((one.id, one) for one in change.sessions)
            delegations.update((one.id, one) for one in change.delegations)
            anchors.update(dict.fromkeys(change.revocations))
    return GraphChange(
        tuple(sessions.values()),
        tuple(delegations.values()),
        tuple(anchors),
        epoch=epoch + 1 if delegations else epoch,
    )


def revoke(
    index: GraphIndex, root: Delegation, *, reason: str, now: datetime, epoch: int
) -> GraphChange:
    """Revoke a delegation: all narrowed from it go, and the sessions that received them end (K3)."""
    targets, impact = cascade.under_delegation(index, root)
    sessions = tuple(
        ended(
            row,
            Event.TERMINATE,
            reason=DELEGATION_REVOKED if row.id in targets else PARENT_TERMINATED,
            now=now,
        )
        for row in impact.sessions
    )
    anchors = cascade.end_anchors(impact, at=now, reason=reason)
    named = Revocation(AnchorKind.DELEGATION, root.id, now, reason)
    return _fallen(sessions, impact, (named, *anchors), now=now, epoch=epoch)


def _fallen(
    sessions: tuple[Session, ...],
    impact: Impact,
    anchors: tuple[Revocation, ...],
    *,
    now: datetime,
    epoch: int,
) -> GraphChange:
    delegations = tuple(revoked(row, now) for row in impact.delegations)
    return GraphChange(sessions, delegations, anchors, epoch=epoch + 1 if delegations else epoch)


def suspend(
    index: GraphIndex,
    root: Session,
    *,
    reason: str,
    now: datetime,
    epoch: int,
    spare: set[str],
) -> GraphChange:
    """Suspend a session and the active ones below it (K5)."""
    reached = cascade.suspends_with(index, root, spare=spare)
    sessions = tuple(
        suspended(row, reason=reason if row is root else PARENT_SUSPENDED) for row in reached
    )
    anchors = cascade.suspension_anchors(index, reached, at=now, reason=reason)
    return GraphChange(sessions, revocations=anchors, epoch=epoch)


def resume(index: GraphIndex, root: Session, *, now: datetime, epoch: int) -> GraphChange:
    """Resume a session and those that were suspended because of it, lifting their anchors (K5)."""
    reached = cascade.resumes_with(index, root, now)
    return GraphChange(
        tuple(resumed(row, now) for row in reached),
        lifted=tuple((AnchorKind.SESSION, row.id) for row in reached),
        epoch=epoch,
    )


def sweep(index: GraphIndex, *, now: datetime, limit: int, epoch: int) -> tuple[GraphChange, ...]:
    """What time itself ended, the changes touching different rows each (K6).

    Tasks go first: one under a lapsed service expires, and is not suspended on its way.
    """
    due = [index.sessions[session_id] for session_id in index.session_ends.due(now, limit)]
    changes: list[GraphChange] = []
    changed: set[str] = set()
    for row in sorted(due, key=lambda row: (row.lifecycle is Lifecycle.SERVICE, row.depth)):
        if row.id in changed:
            continue
        if ttl_passed(row, now):
            change = end(
                index,
                row,
                event=Event.EXPIRE,
                reason=TTL_PASSED,
                now=now,
                epoch=epoch,
                spare=changed,
            )
        else:
            change = suspend(index, row, reason=HEARTBEAT_LOST, now=now, epoch=epoch, spare=changed)
        epoch = change.epoch
        changed.update(session.id for session in change.sessions)
        changed.update(delegation.id for delegation in change.delegations)
        changes.append(change)
    return tuple(changes)
