"""Sessions on the wire of the Coordinator: bodies read, answers rendered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from caracal.authority.delegation import Delegation
from caracal.authority.grants import Grant
from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    RecordId,
    SessionId,
)
from caracal.authority.outcomes import Reason
from caracal.authority.session_rules import ParentAuthority
from caracal.authority.sessions import MAX_LABEL_LENGTH, MAX_LABELS, Lifecycle, Session
from caracal.tokens.jws import RawToken
from caracal.wire.errors import WireError
from caracal.wire.instants import render_instant, render_instant_or_null
from caracal.wire.json_bodies import (
    MAX_SECONDS,
    decode,
    read_id,
    read_optional_id,
    refused,
    render_page,
)

MAX_METADATA_BYTES = 16_384

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LABEL_LENGTH)]
_Generation = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_Metadata = dict[str, msgspec.Raw]


class Health(StrEnum):
    """What a service says of itself with a heartbeat."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class _StartMembers(msgspec.Struct):
    """Unknown members are dropped: stock clients send some that mean nothing here."""

    application_id: str
    subject_session_id: str | None = None
    subject_token: str | None = None
    parent_id: str | None = None
    lifecycle: Lifecycle = Lifecycle.TASK
    labels: Annotated[tuple[_Label, ...], msgspec.Meta(max_length=MAX_LABELS)] = ()
    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)] | None = None
    parent_authority: ParentAuthority = ParentAuthority.INHERIT
    inherit_parent_edge_id: str | None = None
    metadata: _Metadata = {}


class _HeartbeatMembers(msgspec.Struct):
    lease_generation: _Generation | None = None
    status: Health = Health.HEALTHY
    active_invocations: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class _EndMembers(msgspec.Struct):
    lease_generation: _Generation | None = None


@dataclass(frozen=True, slots=True)
class StartSessionBody:
    """What a request to start a session says.

    Attributes:
        subject_session_id: the authority record to act under; `None` for the caller's own.
        subject_token: the mandate that was issued with that record, as proof.
        metadata: a JSON object as text.
    """

    application_id: ApplicationId
    subject_session_id: RecordId | None
    parent_id: SessionId | None
    lifecycle: Lifecycle
    labels: tuple[str, ...]
    ttl: timedelta | None
    parent_authority: ParentAuthority
    inherit_parent_edge_id: DelegationId | None
    metadata: str
    subject_token: RawToken | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HeartbeatBody:
    lease_generation: int
    health: Health
    active_invocations: int


class SessionItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session as answered. The last member belongs to the answer to a start, the three before do not."""

    agent_session_id: str
    zone_id: str
    application_id: str
    parent_id: str | None
    subject_authority_record_id: str
    lifecycle: str
    labels: Sequence[str]
    status: str
    depth: int
    ttl_seconds: int | None
    started_at: str
    last_heartbeat_at: str | None
    heartbeat_deadline_at: str | None
    lease_generation: int
    terminated_at: str | msgspec.UnsetType | None = msgspec.UNSET
    termination_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    delegation_edge_id: str | msgspec.UnsetType | None = msgspec.UNSET


def parse_start_session(body: bytes) -> StartSessionBody:
    """Read the body of a start.

    Raises:
        WireError: naming the member at fault.
    """
    members = decode(body, _StartMembers)
    if members.lifecycle is Lifecycle.SERVICE and members.ttl_seconds is not None:
        raise refused("ttl_seconds", "a service has a lease instead: leave ttl_seconds out")
    metadata = msgspec.json.encode(members.metadata)
    if len(metadata) > MAX_METADATA_BYTES:
        raise refused(
            "metadata", f"{len(metadata)} bytes, at most {MAX_METADATA_BYTES}: keep it elsewhere"
        )
    return StartSessionBody(
        application_id=read_id(ApplicationId, "application_id", members.application_id),
        subject_session_id=read_optional_id(
            RecordId, "subject_session_id", members.subject_session_id
        ),
        parent_id=read_optional_id(SessionId, "parent_id", members.parent_id),
        lifecycle=members.lifecycle,
        labels=members.labels,
        ttl=None if members.ttl_seconds is None else timedelta(seconds=members.ttl_seconds),
        parent_authority=members.parent_authority,
        inherit_parent_edge_id=read_optional_id(
            DelegationId, "inherit_parent_edge_id", members.inherit_parent_edge_id
        ),
        metadata=metadata.decode(),
        subject_token=None if members.subject_token is None else _raw(members.subject_token),
    )


def _raw(text: str) -> RawToken:
    try:
        return RawToken(text.encode("ascii"))
    except UnicodeEncodeError:
        raise refused("subject_token", "a mandate is ASCII text") from None


def parse_heartbeat(body: bytes) -> HeartbeatBody:
    """Read the body of a heartbeat.

    Raises:
        WireError: with SESSION_LEASE_GENERATION_MISSING when it names no lease generation.
    """
    members = decode(body, _HeartbeatMembers)
    if members.lease_generation is None:
        raise WireError(
            "lease_generation is required: send the one the session was started or leased with",
            code="lease_generation_required",
            field="lease_generation",
            reason=Reason.SESSION_LEASE_GENERATION_MISSING,
        )
    return HeartbeatBody(members.lease_generation, members.status, members.active_invocations)


def parse_end(body: bytes) -> int | None:
    """The lease generation named by the optional body of a DELETE."""
    return decode(body, _EndMembers).lease_generation if body.strip() else None


def session_item(session: Session) -> SessionItem:
    return msgspec.structs.replace(
        _state(session),
        terminated_at=render_instant_or_null(session.ended_at),
        termination_reason=session.end_reason or None,
        metadata=msgspec.Raw(session.metadata.encode()),
    )


def _state(session: Session) -> SessionItem:
    return SessionItem(
        agent_session_id=session.id,
        zone_id=session.zone_id,
        application_id=session.application_id,
        parent_id=session.parent_id,
        subject_authority_record_id=session.record,
        lifecycle=session.lifecycle,
        labels=session.labels,
        status=session.status,
        depth=session.depth,
        ttl_seconds=None if session.ttl is None else int(session.ttl.total_seconds()),
        started_at=render_instant(session.started_at),
        last_heartbeat_at=render_instant_or_null(session.last_heartbeat_at),
        heartbeat_deadline_at=render_instant_or_null(session.lease_expires_at),
        lease_generation=session.lease_generation,
    )


def render_started_session(session: Session, inherited: DelegationId | None) -> bytes:
    """The answer to a start; `inherited` is the delegation the session took along from its parent."""
    return msgspec.json.encode(
        msgspec.structs.replace(_state(session), delegation_edge_id=inherited)
    )


def render_session(session: Session) -> bytes:
    return msgspec.json.encode(session_item(session))


def render_sessions(sessions: Sequence[Session], next_cursor: str | None) -> bytes:
    return render_page([session_item(session) for session in sessions], next_cursor)


def render_lease(session: Session) -> bytes:
    return msgspec.json.encode(
        {
            "status": session.status,
            "heartbeat_deadline_at": render_instant_or_null(session.lease_expires_at),
            "lease_generation": session.lease_generation,
        }
    )


def render_heartbeat(session: Session, active_invocations: int) -> bytes:
    beat = render_instant_or_null(session.last_heartbeat_at)
    return msgspec.json.encode(
        {
            "agent": {
                "id": session.id,
                "zone_id": session.zone_id,
                "application_id": session.application_id,
                "status": session.status,
                "last_active_at": beat,
                "last_heartbeat_at": beat,
                "heartbeat_deadline_at": render_instant_or_null(session.lease_expires_at),
                "lease_generation": session.lease_generation,
            },
            "service": None,
            "active_invocations": active_invocations,
        }
    )


def render_suspended(count: int) -> bytes:
    return msgspec.json.encode({"suspended": count})


def render_resumed(count: int) -> bytes:
    return msgspec.json.encode({"resumed": count})


def render_effective_authority(
    session_id: SessionId, inbound: Sequence[Delegation], grant: Grant | None
) -> bytes:
    """What a session may use: the intersection of what it received; nothing when that is nothing."""
    limits = None if grant is None else grant.constraints
    reach = None if limits is None else limits.resources
    longest = None if limits is None else limits.max_ttl
    return msgspec.json.encode(
        {
            "agent_session_id": session_id,
            "inbound_edges": [delegation.id for delegation in inbound],
            "effective_scopes": [] if grant is None else list(grant.scopes),
            "effective_resource_ids": sorted(reach or ()),
            "effective_resources": sorted(reach or ()),
            "effective_resource_constrained": grant is None or reach is not None,
            "effective_max_hops": 0 if limits is None else limits.hops,
            "effective_ttl_seconds": None if longest is None else int(longest.total_seconds()),
            "earliest_expires_at": None if grant is None else render_instant(grant.expires_at),
        }
    )
