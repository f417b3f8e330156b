"""How one session may change. Rules S1 to S9 are written down in `docs/delegation.md`."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    RecordId,
    SessionId,
    ZoneId,
)
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import (
    DEFAULT_TTL,
    LEASE,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TTL,
    TRANSITIONS,
    Event,
    Lifecycle,
    Session,
    Status,
    next_status,
)
from caracal.authority.subjects import ProvenUser

PARENT_TERMINATED = "parent_terminated"
PARENT_SUSPENDED = "parent_suspended"
TTL_PASSED = "ttl"
HEARTBEAT_LOST = "service_heartbeat_lost"

_SECOND = timedelta(seconds=1)


class ParentAuthority(StrEnum):
    """What a child session takes along of what its parent was handed."""

    INHERIT = "inherit"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StartSession:
    """A session somebody wants to start.

    Attributes:
        id: made by the caller, fresh.
        delegation_id: made by the caller, fresh; used when the session inherits a delegation.
        ttl: for a task, 1 second to 1 day, an hour when not given; never for a service.
        inherit_delegation: which one to inherit when the parent received several.
        metadata: a JSON object as text.
        proven: the user for whom it is to work; a child works for its parent's.
    """

    id: SessionId
    delegation_id: DelegationId
    application_id: ApplicationId
    record: RecordId
    parent_id: SessionId | None = None
    lifecycle: Lifecycle = Lifecycle.TASK
    labels: tuple[str, ...] = ()
    ttl: timedelta | None = None
    parent_authority: ParentAuthority = ParentAuthority.INHERIT
    inherit_delegation: DelegationId | None = None
    metadata: str = "{}"
    proven: ProvenUser | None = None


def malformed(request: StartSession, now: datetime) -> Refused | None:
    """What is wrong with the request whatever the state of the zone."""
    if len(request.labels) > MAX_LABELS:
        return Refused(Reason.REQUEST_MALFORMED, f"at most {MAX_LABELS} labels")
    if not all(1 <= len(label) <= MAX_LABEL_LENGTH for label in request.labels):
        return Refused(Reason.REQUEST_MALFORMED, f"a label has 1 to {MAX_LABEL_LENGTH} characters")
    if request.lifecycle is Lifecycle.SERVICE:
        if request.ttl is not None:
            return Refused(Reason.REQUEST_MALFORMED, "a service has a lease and no ttl_seconds")
    elif request.ttl is not None and not _SECOND <= request.ttl <= MAX_TTL:
        return Refused(Reason.REQUEST_MALFORMED, "ttl_seconds is 1 to 86400")
    if request.proven is not None and request.proven.until - now < _SECOND:
        return Refused(Reason.SUBJECT_TOKEN_EXPIRED, "the proof of the user is about to expire")
    return None


def unfit_parent(request: StartSession, parent: Session, now: datetime) -> Refused | None:
    """Why this live session can not be the parent (S4, S6)."""
    if parent.application_id != request.application_id:
        return Refused(
            Reason.SESSION_PARENT_FOREIGN, "the parent session belongs to another application"
        )
    if parent.user is not None and request.proven and request.proven.user != parent.user:
        return Refused(Reason.SUBJECT_TOKEN_MISMATCH, "the parent session works for another user")
    if request.lifecycle is Lifecycle.SERVICE and parent.lifecycle is Lifecycle.TASK:
        return Refused(Reason.SESSION_SERVICE_UNDER_TASK, "a task can not start a service")
    if parent.ends_by is not None and parent.ends_by - now < _SECOND:
        return Refused(Reason.SESSION_PARENT_UNKNOWN, "the parent session is about to end")
    return None


def born(
    request: StartSession, parent: Session | None, *, zone_id: ZoneId, now: datetime
) -> Session:
    """The session as it starts; it ends no later than what above it has an end, or a user's proof (S6)."""
    service = request.lifecycle is Lifecycle.SERVICE
    inherited = None if parent is None else parent.user
    ttl = _ttl(request, parent, now)
    return Session(
        id=request.id,
        zone_id=zone_id,
        application_id=request.application_id,
        path=(*(() if parent is None else parent.path), request.id),
        record=request.record,
        lifecycle=request.lifecycle,
        labels=request.labels,
        status=Status.ACTIVE,
        started_at=now,
        ttl=ttl,
        lease_expires_at=_lease(None if ttl is None else now + ttl, now) if service else None,
        lease_generation=1 if service else 0,
        metadata=request.metadata,
        user=inherited if request.proven is None else request.proven.user,
    )


def _ttl(request: StartSession, parent: Session | None, now: datetime) -> timedelta | None:
    spans: list[timedelta] = []
    if request.lifecycle is Lifecycle.TASK:
        spans.append(request.ttl or DEFAULT_TTL)
    if request.proven is not None:
        spans.append(_whole_seconds(request.proven.until - now))
    if parent is not None and parent.ends_by is not None:
        spans.append(_whole_seconds(parent.ends_by - now))
    return min(spans, default=None)


def _lease(ends_by: datetime | None, now: datetime) -> datetime:
    return now + LEASE if ends_by is None else min(now + LEASE, ends_by)


def _whole_seconds(span: timedelta) -> timedelta:
    return span // _SECOND * _SECOND


def illegal(session: Session, event: Event) -> Refused | None:
    """Why the event can not happen to the session (S1)."""
    if next_status(session.status, event) is not None:
        return None
    reason = Reason.SESSION_NOT_SUSPENDED if event is Event.RESUME else Reason.SESSION_NOT_LIVE
    return Refused(reason, f"the session is {session.status}")


def ended(session: Session, event: Event, *, reason: str, now: datetime) -> Session:
    """The session after its end: `TERMINATE` or `EXPIRE`."""
    return replace(
        session,
        status=TRANSITIONS[session.status, event],
        ended_at=now,
        end_reason=reason,
        version=session.version + 1,
    )


def suspended(session: Session, *, reason: str) -> Session:
    return replace(
        session,
        status=TRANSITIONS[session.status, Event.SUSPEND],
        end_reason=reason,
        version=session.version + 1,
    )


def resumed(session: Session, now: datetime) -> Session:
    """The session active again, a service with a fresh lease (S9)."""
    return replace(
        session,
        status=TRANSITIONS[session.status, Event.RESUME],
        end_reason="",
        lease_expires_at=None if session.lease_expires_at is None else _lease(session.ends_by, now),
        version=session.version + 1,
    )


def ttl_passed(session: Session, now: datetime) -> bool:
    """Whether its time is over, whatever renewed it; being suspended does not stop the clock (S2)."""
    return session.ends_by is not None and session.ends_by <= now


def lease_taken(session: Session, now: datetime) -> Session | Refused:
    """The service in new hands: whoever held the lease before is fenced off (S9)."""
    refusal = _lease_lapsed(session, now)
    if refusal is not None:
        return refusal
    if session.status is not Status.ACTIVE:
        return Refused(Reason.SESSION_NOT_LIVE, "the session is suspended; resume it first")
    return replace(
        session,
        lease_generation=session.lease_generation + 1,
        lease_expires_at=_lease(session.ends_by, now),
        version=session.version + 1,
    )


def heartbeat(
    session: Session, *, generation: int, health: str, now: datetime
) -> Session | Refused:
    """The service with its lease renewed; a suspended one stays suspended (S9)."""
    refusal = _lease_lapsed(session, now) or fenced(session, generation)
    if refusal is not None:
        return refusal
    return replace(
        session,
        lease_expires_at=_lease(session.ends_by, now),
        last_heartbeat_at=now,
        health=health,
        version=session.version + 1,
    )


def _lease_lapsed(session: Session, now: datetime) -> Refused | None:
    if session.lease_expires_at is None:
        return Refused(Reason.SESSION_NOT_SERVICE, "a task has no lease")
    if ttl_passed(session, now):
        return Refused(Reason.SESSION_NOT_LIVE, "the proof of the user it works for has ended")
    if session.lease_expires_at <= now:
        return Refused(Reason.SESSION_LEASE_EXPIRED, "no heartbeat came in time")
    return None


def fenced(session: Session, generation: int | None) -> Refused | None:
    """Why the holder of `generation` may not act on the session, `None` when it may or it is a task."""
    if session.lifecycle is Lifecycle.TASK:
        return None
    if generation is None:
        return Refused(
            Reason.SESSION_LEASE_GENERATION_MISSING, "name the lease_generation you hold"
        )
    if generation != session.lease_generation:
        return Refused(
            Reason.SESSION_LEASE_FENCED,
            f"lease_generation is {session.lease_generation}, not {generation}",
        )
    return None
