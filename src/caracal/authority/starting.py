"""Whether a zone has room for one more session, and what that session takes along."""

from dataclasses import dataclass
from datetime import datetime

from caracal.authority.delegation import Delegation
from caracal.authority.graph_index import GraphIndex
from caracal.authority.held_authority import whole
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.session_rules import ParentAuthority, StartSession
from caracal.authority.sessions import MAX_DEPTH, Session


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """How large a zone's graph may grow. `depth` counts the levels below a root session, at most 10."""

    sessions_per_zone: int = 10_000
    sessions_per_application: int = 1_000
    children_per_session: int = 100
    depth: int = MAX_DEPTH

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: when one is not positive, or the depth is over 10.
        """
        limits = (
            self.sessions_per_zone,
            self.sessions_per_application,
            self.children_per_session,
            self.depth,
        )
        if min(limits) < 1:
            raise ValueError("every limit of the graph is at least 1")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"depth is at most {MAX_DEPTH}")


def full(
    index: GraphIndex, limits: GraphLimits, request: StartSession, now: datetime
) -> Refused | None:
    """Why neither zone nor application may have one more (S5)."""
    most = limits.sessions_per_zone
    if index.in_zone(now, at_least=most) >= most:
        return Refused(Reason.SESSION_LIMIT_ZONE, f"the zone has {most} sessions")
    most = limits.sessions_per_application
    if index.in_application(request.application_id, now, at_least=most) >= most:
        return Refused(Reason.SESSION_LIMIT_APPLICATION, f"the application has {most} sessions")
    return None


def crowded(
    index: GraphIndex, limits: GraphLimits, parent: Session, now: datetime
) -> Refused | None:
    """Why the parent may not have one more child (S5)."""
    most = limits.children_per_session
    if index.under(parent.id, now, at_least=most) >= most:
        return Refused(Reason.SESSION_LIMIT_CHILDREN, f"the parent has {most} children")
    if parent.depth >= limits.depth:
        return Refused(Reason.SESSION_LIMIT_DEPTH, f"at most {limits.depth} levels below a root")
    return None


def inheritable(
    index: GraphIndex, request: StartSession, parent: Session, now: datetime
) -> Delegation | Refused | None:
    """The delegation a child takes along; `None` when nothing was ever handed to its parent (S7)."""
    if request.parent_authority is ParentAuthority.NONE:
        return None
    wanted = request.inherit_delegation
    live = [
        row
        for row in index.inbound(parent.id)
        if wanted in {None, row.id} and whole(index, row, now)
    ]
    if len(live) > 1:
        return Refused(
            Reason.SESSION_INHERIT_AMBIGUOUS,
            f"the parent session holds {len(live)} delegations: name the one to inherit",
        )
    if live:
        return live[0]
    if wanted is None and not index.received(parent.id):
        return None
    return Refused(
        Reason.SESSION_INHERIT_INACTIVE, "what the parent session received is no longer live"
    )
