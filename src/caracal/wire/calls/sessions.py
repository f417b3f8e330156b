"""Sessions at the Coordinator, asked for: started, read, kept alive, taken over, ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from caracal.authority.identifiers import DelegationId, SessionId
from caracal.authority.sessions import Lifecycle, Status
from caracal.wire.calls.messages import JSON, Request, expect_yes, json_body, path, read
from caracal.wire.calls.refusals import Answer, SessionEnded, UnexpectedAnswer
from caracal.wire.calls.tokens import SignedInUser
from caracal.wire.instants import parse_instant
from caracal.wire.sessions import Health

START: Final = "start a session"
READ: Final = "read a session"
END: Final = "end a session"
HEARTBEAT: Final = "renew a lease"
TAKE_LEASE: Final = "take a lease over"

_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.\-:]{1,128}\Z")]
_Generation = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Makes a repeated request the same one. `generated` when nobody but this library knows it."""

    text: str
    generated: bool = True

    def headers(self) -> tuple[tuple[str, str], ...]:
        kind = (("idempotency-key-kind", "generated"),) if self.generated else ()
        return (("idempotency-key", self.text), *kind)


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A session as it is asked for.

    Attributes:
        inherit: take the parent's whole grant along, one hop shorter; without it, nothing.
        inherited: which delegation of the parent's to inherit, when it holds several.
        metadata: readable by the application itself and by operators; at most 16 KiB as JSON.
    """

    lifecycle: Lifecycle = Lifecycle.TASK
    parent_id: SessionId | None = None
    inherit: bool = False
    inherited: DelegationId | None = None
    ttl: timedelta | None = None
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    user: SignedInUser | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """What keeps a service alive: its generation, and for how long it holds from the last renewal on."""

    generation: int
    length: timedelta
    status: Status


@dataclass(frozen=True, slots=True)
class StartedSession:
    """A session as it was started.

    Attributes:
        ends_after: the life of a task from its start on; `None` for a service.
        lease: of a service; `None` for a task.
        inherited: the delegation that it took along from its parent.
    """

    id: SessionId
    depth: int
    ends_after: timedelta | None
    lease: Lease | None
    inherited: DelegationId | None
    receipt: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class SessionState:
    status: Status
    end_reason: str


class _SessionMembers(msgspec.Struct):
    agent_session_id: _Id
    status: Status
    lifecycle: Lifecycle
    started_at: str
    depth: int = 0
    ttl_seconds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None
    heartbeat_deadline_at: str | None = None
    lease_generation: _Generation = 0
    delegation_edge_id: _Id | None = None
    termination_reason: str | None = None


class _LeaseMembers(msgspec.Struct):
    lease_generation: Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class _AgentMembers(msgspec.Struct):
    status: Status
    last_heartbeat_at: str
    heartbeat_deadline_at: str
    lease_generation: Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class _HeartbeatMembers(msgspec.Struct):
    agent: _AgentMembers


def start_request(
    sessions_url: str, application_id: str, wanted: WantedSession, key: IdempotencyKey
) -> Request:
    """Start a session; `sessions_url` is where the zone's are."""
    user = wanted.user
    # A token in the body: the record is only believed with its proof.
    members: dict[str, object] = {
        "application_id": application_id,
        "lifecycle": wanted.lifecycle.value,
        "parent_id": wanted.parent_id,
        "parent_authority": "inherit" if wanted.inherit else "none",
        "inherit_parent_edge_id": wanted.inherited if wanted.inherit else None,
        "ttl_seconds": None if wanted.ttl is None else int(wanted.ttl.total_seconds()),
        "labels": wanted.labels or None,
        "metadata": wanted.metadata or None,
        "subject_session_id": None if user is None else user.record_id,
        "subject_token": None if user is None else user.token.reveal(),
    }
    headers = (JSON, *key.headers())
    return Request(START, "POST", sessions_url, headers, json_body(members), repeatable=True)


def session_request(sessions_url: str, session_id: str) -> Request:
    return Request(READ, "GET", sessions_url + path(session_id), repeatable=True)


def end_request(sessions_url: str, session_id: str, generation: int | None = None) -> Request:
    """End a session and all below it. Who holds a service's lease names its generation."""
    url = sessions_url + path(session_id)
    if generation is None:
        return Request(END, "DELETE", url, repeatable=True)
    body = json_body({"lease_generation": generation})
    return Request(END, "DELETE", url, (JSON,), body, repeatable=True)


def heartbeat_request(
    sessions_url: str, session_id: str, generation: int, health: Health = Health.HEALTHY
) -> Request:
    url = sessions_url + path(session_id, "heartbeat")
    body = json_body({"lease_generation": generation, "status": health.value})
    return Request(HEARTBEAT, "POST", url, (JSON,), body, repeatable=True)


def take_lease_request(sessions_url: str, session_id: str) -> Request:
    """Take a service over. Sent twice it would take it over twice."""
    return Request(TAKE_LEASE, "POST", sessions_url + path(session_id, "lease"))


def read_started(answer: Answer) -> StartedSession:
    """Read the answer to a start.

    Raises:
        CaracalError: it is a refusal, or no such answer.
    """
    members = read(answer, START, _SessionMembers)
    lease = None
    if members.lifecycle is Lifecycle.SERVICE:
        if not members.lease_generation:
            raise UnexpectedAnswer.to(START, answer, "a service without a lease generation")
        length = _between(answer, START, members.started_at, members.heartbeat_deadline_at)
        lease = Lease(members.lease_generation, length, members.status)
    seconds, inherited = members.ttl_seconds, members.delegation_edge_id
    return StartedSession(
        id=SessionId(members.agent_session_id),
        depth=members.depth,
        ends_after=None if seconds is None else timedelta(seconds=seconds),
        lease=lease,
        inherited=None if inherited is None else DelegationId(inherited),
        receipt=answer.receipt,
        replayed=answer.headers.get("idempotency-replayed") == "true",
    )


def read_session(answer: Answer) -> SessionState:
    """Read how a session stands.

    Raises:
        CaracalError: it is a refusal, or no such answer.
    """
    members = read(answer, READ, _SessionMembers)
    return SessionState(members.status, members.termination_reason or "")


def read_ended(answer: Answer) -> None:
    """Accept that it is ended, whoever ended it.

    Raises:
        CaracalError: it may live on.
    """
    try:
        expect_yes(answer, END)
    except SessionEnded:
        return


def read_heartbeat(answer: Answer) -> Lease:
    """Read the answer to a heartbeat: the lease, counted from when the Coordinator got it.

    Raises:
        LeaseLost: it is somebody else's, or has run out.
        CaracalError: any other refusal, or no such answer.
    """
    agent = read(answer, HEARTBEAT, _HeartbeatMembers).agent
    length = _between(answer, HEARTBEAT, agent.last_heartbeat_at, agent.heartbeat_deadline_at)
    return Lease(agent.lease_generation, length, agent.status)


def read_lease_taken(answer: Answer) -> int:
    """The generation of a lease that was taken over.

    Raises:
        CaracalError: it is a refusal, or no such answer.
    """
    return read(answer, TAKE_LEASE, _LeaseMembers).lease_generation


def _between(answer: Answer, what: str, start: str, end: str | None) -> timedelta:
    """By the clock of whoever answers, so that the clock here does not matter."""
    first, last = _instant(answer, what, start), _instant(answer, what, end or "")
    if last <= first:
        raise UnexpectedAnswer.to(what, answer, "the lease has no length")
    return last - first


def _instant(answer: Answer, what: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise UnexpectedAnswer.to(what, answer, str(error)) from None
