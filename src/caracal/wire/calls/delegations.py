"""Delegations at the Coordinator, asked for: made, received, revoked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec

from caracal.authority.identifiers import DelegationId, SessionId, is_id
from caracal.authority.scopes import ScopeSet
from caracal.wire.calls.messages import JSON, Request, expect_yes, json_body, path, read
from caracal.wire.calls.refusals import Answer, DelegationEnded, UnexpectedAnswer
from caracal.wire.calls.sessions import IdempotencyKey
from caracal.wire.instants import parse_instant, render_instant

DELEGATE: Final = "delegate"
REVOKE: Final = "revoke a delegation"
INBOUND: Final = "read what was delegated"

_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.\-:]{1,128}\Z")]


@dataclass(frozen=True, slots=True)
class WantedGrant:
    """What is to be handed on. It must be within what the source holds, or it is refused whole.

    Attributes:
        resources: identifiers; at least one, because a grant without would reach them all.
        max_hops: how many delegations the chain may still hold, this one included: 1 hands nothing on.
        expires_at: its end, where a held grant's end is to be kept.
        mandate_ttl: the longest life of a mandate minted from it.
        budget: a static bound, which only matters where the held grant has one.
    """

    resources: frozenset[str]
    scopes: ScopeSet
    ttl: timedelta | None = None
    expires_at: datetime | None = None
    max_hops: int = 1
    mandate_ttl: timedelta | None = None
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """From where to where; `parent_id` is the delegation to narrow, when the source received one."""

    source: SessionId
    issuer: str
    target: str
    receiver: str
    parent_id: DelegationId | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation as it was made, or as it was received. `id` is what the receiver accepts.

    Attributes:
        resources: `None` for a broad one, which reaches all that declares its scopes.
        mandate_ttl: the longest life of a mandate minted from it; what is handed on states one as short.
        budget: what is handed on states one as small; `None` for none.
        receipt: the reference of the entry that records it; empty for one that was received.
    """

    id: DelegationId
    source: SessionId
    target: SessionId
    resources: frozenset[str] | None
    scopes: ScopeSet
    expires_at: datetime
    max_hops: int
    mandate_ttl: timedelta | None = None
    budget: int | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a session received; `cursor` leads to the next ones."""

    delegations: tuple[Delegation, ...]
    cursor: str | None


class _Limits(msgspec.Struct):
    resources: tuple[str, ...] | None = None
    max_hops: int = 1
    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    budget: int | None = None


class _DelegationMembers(msgspec.Struct):
    source_session_id: _Id
    target_session_id: _Id
    scopes: tuple[str, ...]
    expires_at: str
    constraints_json: _Limits
    id: str = ""
    delegation_edge_id: str = ""


class _PageMembers(msgspec.Struct):
    items: tuple[_DelegationMembers, ...]
    next_cursor: str | None = None


def delegate_request(
    delegations_url: str, ends: Ends, grant: WantedGrant, key: IdempotencyKey
) -> Request:
    """Hand a grant from one session to another; `delegations_url` is where the zone's are."""
    expires_at = grant.expires_at
    limits: dict[str, object] = {
        "resources": sorted(grant.resources),
        "max_hops": grant.max_hops,
        "ttl_seconds": _seconds(grant.mandate_ttl),
        "budget": grant.budget,
    }
    members: dict[str, object] = {
        "source_session_id": ends.source,
        "target_session_id": ends.target,
        "issuer_application_id": ends.issuer,
        "receiver_application_id": ends.receiver,
        "parent_edge_id": ends.parent_id,
        "scopes": list(grant.scopes),
        "ttl_seconds": _seconds(grant.ttl),
        "expires_at": None if expires_at is None else render_instant(expires_at),
        "constraints": {name: value for name, value in limits.items() if value is not None},
    }
    headers = (JSON, *key.headers())
    body = json_body(members)
    return Request(DELEGATE, "POST", delegations_url, headers, body, repeatable=True)


def revoke_request(delegations_url: str, delegation_id: str) -> Request:
    url = delegations_url + path(delegation_id, "revoke")
    return Request(REVOKE, "PATCH", url, repeatable=True)


def inbound_request(delegations_url: str, session_id: str, cursor: str | None = None) -> Request:
    """What a session received that is live, a page of it."""
    url = delegations_url + path("inbound", session_id)
    if cursor is not None:
        url += f"?cursor={path(cursor)[1:]}"
    return Request(INBOUND, "GET", url, repeatable=True)


def read_delegated(answer: Answer) -> Delegation:
    """Read the answer to a delegation.

    Raises:
        CaracalError: it is a refusal, or no such answer.
    """
    members = read(answer, DELEGATE, _DelegationMembers)
    return _delegation(answer, DELEGATE, members, members.delegation_edge_id, answer.receipt)


def read_inbound(answer: Answer) -> Page:
    """Read a page of what a session received.

    Raises:
        CaracalError: it is a refusal, or no such answer.
    """
    members = read(answer, INBOUND, _PageMembers)
    rows = tuple(_delegation(answer, INBOUND, item, item.id) for item in members.items)
    return Page(rows, members.next_cursor)


def read_revoked(answer: Answer) -> None:
    """Accept that it is revoked, whoever revoked it.

    Raises:
        CaracalError: it may live on.
    """
    try:
        expect_yes(answer, REVOKE)
    except DelegationEnded:
        return


def _delegation(
    answer: Answer, what: str, members: _DelegationMembers, identity: str, receipt: str = ""
) -> Delegation:
    limits = members.constraints_json
    longest = limits.ttl_seconds
    if not is_id(identity):
        raise UnexpectedAnswer.to(what, answer, "the delegation has no id")
    try:
        expires_at = parse_instant(members.expires_at)
        scopes = ScopeSet.from_texts(members.scopes)
    except ValueError as error:
        raise UnexpectedAnswer.to(what, answer, str(error)) from None
    return Delegation(
        id=DelegationId(identity),
        source=SessionId(members.source_session_id),
        target=SessionId(members.target_session_id),
        resources=None if limits.resources is None else frozenset(limits.resources),
        scopes=scopes,
        expires_at=expires_at,
        max_hops=limits.max_hops,
        mandate_ttl=None if longest is None else timedelta(seconds=longest),
        budget=limits.budget,
        receipt=receipt,
    )


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else int(length.total_seconds())
