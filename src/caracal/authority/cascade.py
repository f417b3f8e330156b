"""What falls with a session or a delegation. Rules K1 to K6 are written down in `docs/delegation.md`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from caracal.authority.delegation import Delegation
from caracal.authority.graph_index import GraphIndex
from caracal.authority.identifiers import DelegationId, SessionId
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.session_rules import PARENT_SUSPENDED, ttl_passed
from caracal.authority.sessions import Session, Status


@dataclass(frozen=True, slots=True)
class Impact:
    """What would end: sessions with those above before those below, and delegations."""

    sessions: tuple[Session, ...] = ()
    delegations: tuple[Delegation, ...] = ()


def descend(
    index: GraphIndex, roots: Iterable[Session], enter: Callable[[Session], bool]
) -> tuple[Session, ...]:
    """The roots and all below them, not going past a session that `enter` turns down."""
    found: dict[SessionId, Session] = {}
    queue = list(roots)
    for session in queue:  # grows while it is walked
        if session.id not in found and enter(session):
            found[session.id] = session
            queue.extend(index.children(session.id))
    return tuple(found.values())


def downstream(index: GraphIndex, first: Iterable[Delegation]) -> dict[DelegationId, Delegation]:
    """The given delegations and all that were narrowed from them, at any distance."""
    found: dict[DelegationId, Delegation] = {}
    queue = list(first)
    for delegation in queue:  # grows while it is walked
        if delegation.id not in found:
            found[delegation.id] = delegation
            queue.extend(index.narrowed(delegation.id))
    return found


def _touching(index: GraphIndex, sessions: Iterable[Session]) -> Iterable[Delegation]:
    for session in sessions:
        yield from index.inbound(session.id)
        yield from index.outbound(session.id)


def under_session(index: GraphIndex, root: Session, *, spare: set[str]) -> Impact:
    """What ends with a session (K1, K2), leaving out the rows named in `spare`."""
    sessions = descend(index, (root,), lambda session: session.id not in spare)
    reached = downstream(index, _touching(index, sessions))
    return Impact(sessions, tuple(row for row in reached.values() if row.id not in spare))


def under_delegation(index: GraphIndex, root: Delegation) -> tuple[frozenset[SessionId], Impact]:
    """What ends with a delegation (K3), and which of those sessions end as its targets.

    Sessions of applications other than the issuer live on: whoever hands authority over unasked must
    not be able to end a session by taking it back.
    """
    lineage = downstream(index, (root,))
    targets = dict.fromkeys(
        index.sessions[row.target]
        for row in lineage.values()
        if row.target in index.sessions and row.receiver == root.issuer
    )
    sessions = descend(index, targets, lambda _: True)
    reached = downstream(index, (*lineage.values(), *_touching(index, sessions)))
    return frozenset(row.id for row in targets), Impact(sessions, tuple(reached.values()))


def suspends_with(index: GraphIndex, root: Session, *, spare: set[str]) -> tuple[Session, ...]:
    """The active sessions that a suspension of `root` reaches (K5)."""
    return descend(index, (root,), lambda row: row.status is Status.ACTIVE and row.id not in spare)


def resumes_with(index: GraphIndex, root: Session, now: datetime) -> tuple[Session, ...]:
    """The sessions that were suspended because `root` was; not those suspended for themselves."""

    def enter(session: Session) -> bool:
        return session is root or (
            session.end_reason == PARENT_SUSPENDED and not ttl_passed(session, now)
        )

    return descend(index, (root,), enter)


def end_anchors(impact: Impact, *, at: datetime, reason: str) -> tuple[Revocation, ...]:
    """The fewest revocations that cover every mandate of what ended (K4).

    A mandate names the sessions from its root down, the source sessions and the delegations of its
    chain. So the topmost ended sessions cover all sessions below them, and a delegation needs its own
    anchor only when it led out of them and nothing before it on its path has one.
    """
    gone = {session.id for session in impact.sessions}
    roots = {session.id for session in impact.sessions if session.parent_id not in gone}
    anchored: set[DelegationId] = set()
    for row in sorted(impact.delegations, key=lambda row: len(row.path)):
        sources = {hop.session_id for hop in row.chain}
        if row.target not in gone and roots.isdisjoint(sources) and anchored.isdisjoint(row.path):
            anchored.add(row.id)
    tops = (session.id for session in impact.sessions if session.id in roots)
    return (
        *(Revocation(AnchorKind.SESSION, session, at, reason) for session in tops),
        *(Revocation(AnchorKind.DELEGATION, row, at, reason) for row in sorted(anchored)),
    )


def suspension_anchors(
    index: GraphIndex, sessions: tuple[Session, ...], *, at: datetime, reason: str
) -> tuple[Revocation, ...]:
    """The topmost suspended session, and each that handed authority on, maybe out of the tree (K5)."""
    top = sessions[0]
    return tuple(
        Revocation(AnchorKind.SESSION, row.id, at, reason)
        for row in sessions
        if row is top or next(index.outbound(row.id), None) is not None
    )
