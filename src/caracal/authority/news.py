"""What a change of the graph means for mandates already out, told one by one to whoever follows.

Where `Revocations` keeps the fewest anchors that cover all (K4), here everything that fell is named: who
follows may look at the last session and the last delegation of a mandate only.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from caracal.authority.delegation import DelegationStatus
from caracal.authority.graph_index import GraphChange
from caracal.authority.revocation import AnchorKind
from caracal.authority.session_rules import (
    HEARTBEAT_LOST,
    PARENT_SUSPENDED,
    PARENT_TERMINATED,
    TTL_PASSED,
)
from caracal.authority.sessions import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Happened(StrEnum):
    """Never used again for something else."""

    SESSION_ENDED = "session_ended"
    SESSION_SUSPENDED = "session_suspended"
    SESSION_RESUMED = "session_resumed"
    DELEGATION_REVOKED = "delegation_revoked"
    APPLICATION_REMOVED = "application_removed"


class Why(StrEnum):
    """All that outsiders are told: what somebody wrote as a reason stays in the evidence."""

    REQUESTED = "requested"
    TTL_PASSED = TTL_PASSED
    HEARTBEAT_LOST = HEARTBEAT_LOST
    PARENT_TERMINATED = PARENT_TERMINATED
    PARENT_SUSPENDED = PARENT_SUSPENDED
    DELEGATION_REVOKED = "delegation_revoked"
    APPLICATION_REMOVED = "application_removed"


_TOLD = {why.value: why for why in Why}


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened.

    Attributes:
        anchor: the id of the session, delegation or application.
        source, target: of a delegation: the sessions it led from and to.
        epoch: of a delegation: the zone's delegation epoch since it was revoked.
        at: when, in microseconds since 1970; 0 where the change does not say.
    """

    zone_id: str
    what: Happened
    anchor: str
    why: Why
    source: str = ""
    target: str = ""
    epoch: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Numbered:
    """News in their durable order.

    Attributes:
        position: higher than that of everything stored before, and no earlier than `at`.
    """

    position: int
    news: News


def news_of(zone_id: str, change: GraphChange) -> tuple[News, ...]:
    """What a change ends, suspends and lets go on, those above before those below."""
    return (
        *_of_applications(zone_id, change),
        *_of_sessions(zone_id, change),
        *_of_delegations(zone_id, change),
    )


def why(reason: str) -> Why:
    """What is told of a reason."""
    return _TOLD.get(reason, Why.REQUESTED)


def _of_applications(zone_id: str, change: GraphChange) -> tuple[News, ...]:
    return tuple(
        News(
            zone_id,
            Happened.APPLICATION_REMOVED,
            row.anchor,
            Why.APPLICATION_REMOVED,
            at=_us(row.at),
        )
        for row in change.revocations
        if row.kind is AnchorKind.APPLICATION
    )


def _of_sessions(zone_id: str, change: GraphChange) -> tuple[News, ...]:
    resumed = {anchor for kind, anchor in change.lifted if kind is AnchorKind.SESSION}
    suspended_at = max((row.at for row in change.revocations), default=None)
    found = []
    for row in change.sessions:
        if row.ended:
            what, at = Happened.SESSION_ENDED, row.ended_at
        elif row.status is Status.SUSPENDED:
            what, at = Happened.SESSION_SUSPENDED, suspended_at
        elif row.id in resumed:
            what, at = Happened.SESSION_RESUMED, None
        else:
            continue
        found.append(News(zone_id, what, row.id, why(row.end_reason), at=_us(at)))
    return tuple(found)


def _of_delegations(zone_id: str, change: GraphChange) -> tuple[News, ...]:
    return tuple(
        News(
            zone_id,
            Happened.DELEGATION_REVOKED,
            row.id,
            Why.DELEGATION_REVOKED,
            source=row.source,
            target=row.target,
            epoch=change.epoch,
            at=_us(row.revoked_at),
        )
        for row in change.delegations
        if row.status is not DelegationStatus.ACTIVE
    )


def _us(instant: datetime | None) -> int:
    return 0 if instant is None else (instant - _EPOCH) // _MICROSECOND
