"""Delegations on the wire of the Coordinator: bodies read, answers rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from caracal.authority.constraints import DEFAULT_HOPS
from caracal.authority.delegation import Delegation
from caracal.authority.identifiers import ApplicationId, DelegationId, RecordId, SessionId
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.wire.constraints import (
    BROAD_REASON,
    ConstraintMembers,
    constraints_json,
    merge_constraints,
    read_instant,
)
from caracal.wire.instants import render_instant, render_instant_or_null
from caracal.wire.json_bodies import (
    MAX_SECONDS,
    decode,
    read_id,
    read_optional_id,
    refused,
    render_page,
)

BROAD_WARNING = "resource_null_delegation_broadens_resource_matching"


class _CreateMembers(msgspec.Struct):
    source_session_id: str
    target_session_id: str
    issuer_application_id: str
    receiver_application_id: str
    parent_edge_id: str | None = None
    resource_id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    scopes: tuple[str, ...] = ()
    constraints: dict[str, msgspec.Raw] | None = None
    constraints_json: dict[str, msgspec.Raw] | None = None
    expires_at: str | None = None
    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)] | None = None


@dataclass(frozen=True, slots=True)
class CreateDelegationBody:
    """What a request for a delegation says.

    Attributes:
        resource_id: a resource's identifier or its id.
        resources: identifiers it is bound to; `None` when none were named.
        expires_at: the earlier of the body's and the constraints'.
        ttl: its life; what `constraints.ttl_seconds` says when nothing else limits it.
        max_ttl: the longest life of a mandate minted from it.
    """

    source: SessionId
    target: SessionId
    issuer: ApplicationId
    receiver: ApplicationId
    parent_edge_id: DelegationId | None
    resource_id: str | None
    scopes: ScopeSet
    resources: frozenset[ResourceUri] | None
    max_hops: int
    ttl: timedelta | None
    max_ttl: timedelta | None
    expires_at: datetime | None
    budget: int | None
    broad_reason: str


class DelegationItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A delegation as answered: with `id` in lists, with `delegation_edge_id` when just created."""

    zone_id: str
    source_session_id: str
    target_session_id: str
    issuer_application_id: str
    receiver_application_id: str
    parent_edge_id: str | None
    resource_id: str | None
    scopes: Sequence[str]
    constraints_json: ConstraintMembers
    status: str
    expires_at: str
    edge_version: int
    revoked_at: str | None
    created_at: str
    id: str = ""
    delegation_edge_id: str = ""
    broad_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    warnings: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    allow_reason: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    effective_authority: "EffectiveAuthority | msgspec.UnsetType" = msgspec.UNSET


class EffectiveAuthority(msgspec.Struct, frozen=True, kw_only=True):
    source_session_id: str
    target_session_id: str
    parent_edge_id: str | None
    resource_id: str | None
    resources: Sequence[str]
    scopes: Sequence[str]
    expires_at: str
    max_hops: int
    ttl_seconds: int | None
    broad: bool
    parent_edges_considered: Sequence[str]


def parse_create_delegation(body: bytes) -> CreateDelegationBody:
    """Read the body of a delegation.

    Raises:
        WireError: naming the member at fault; for a constraint with the code
            `invalid_delegation_constraint` or `invalid_<member>`.
    """
    members = decode(body, _CreateMembers)
    limits = merge_constraints(members.constraints_json, members.constraints)
    ends = [
        read_instant(members.expires_at, "expires_at", "invalid_body"),
        limits.expires_at,
    ]
    expires_at = min((end for end in ends if end is not None), default=None)
    ttl = None if members.ttl_seconds is None else timedelta(seconds=members.ttl_seconds)
    if ttl is None and expires_at is None:
        ttl = limits.ttl
    return CreateDelegationBody(
        source=read_id(SessionId, "source_session_id", members.source_session_id),
        target=read_id(SessionId, "target_session_id", members.target_session_id),
        issuer=read_id(ApplicationId, "issuer_application_id", members.issuer_application_id),
        receiver=read_id(ApplicationId, "receiver_application_id", members.receiver_application_id),
        parent_edge_id=read_optional_id(DelegationId, "parent_edge_id", members.parent_edge_id),
        resource_id=members.resource_id,
        scopes=_scopes(members.scopes),
        resources=limits.resources,
        max_hops=limits.max_hops or DEFAULT_HOPS,
        ttl=ttl,
        max_ttl=limits.ttl,
        expires_at=expires_at,
        budget=limits.budget,
        broad_reason=limits.broad_reason,
    )


def _scopes(texts: tuple[str, ...]) -> ScopeSet:
    try:
        return ScopeSet.from_texts(texts)
    except InvalidScope as error:
        raise refused("scopes", str(error)) from None


def delegation_item(delegation: Delegation) -> DelegationItem:
    """A row of a list."""
    limits = delegation.grant.constraints
    broad_reason = (limits.reason or BROAD_REASON) if limits.broad else None
    return msgspec.structs.replace(_row(delegation), id=delegation.id, broad_reason=broad_reason)


def render_created_delegation(delegation: Delegation) -> bytes:
    """The answer to a creation, with why it was allowed and what it amounts to."""
    limits = delegation.grant.constraints
    parent = delegation.parent_id
    item = msgspec.structs.replace(
        _row(delegation),
        delegation_edge_id=delegation.id,
        warnings=(BROAD_WARNING,) if limits.broad else (),
        allow_reason=(
            "same_zone_endpoints_active",
            "broad_delegation_elevated" if limits.broad else "resource_scope_checked",
            "source_authority_root" if parent is None else "parent_authority_narrowed",
            "typed_constraints_validated",
        ),
        effective_authority=_effective(delegation),
    )
    return msgspec.json.encode(item)


def render_delegations(delegations: Sequence[Delegation], next_cursor: str | None) -> bytes:
    return render_page([delegation_item(delegation) for delegation in delegations], next_cursor)


def render_delegation_status(delegation: Delegation) -> bytes:
    """The answer to the receiver's question whether a delegation holds."""
    return msgspec.json.encode({"id": delegation.id, "status": delegation.status})


def render_traversal(root: Delegation, delegations: Sequence[Delegation]) -> bytes:
    return msgspec.json.encode(_at_depths(root, delegations))


def render_impact(
    root: Delegation,
    delegations: Sequence[Delegation],
    *,
    sessions: Sequence[SessionId],
    records: Sequence[RecordId],
) -> bytes:
    """What revoking `root` would end."""
    return msgspec.json.encode(
        {
            "edge_id": root.id,
            "affected_edges": _at_depths(root, delegations),
            "affected_sessions": sessions,
            "affected_authority_records": records,
        }
    )


def render_revoked(*, delegations: int, records: int, sessions: int) -> bytes:
    return msgspec.json.encode(
        {
            "revoked_edges": delegations,
            "affected_sessions": records,
            "terminated_sessions": sessions,
        }
    )


def _row(delegation: Delegation) -> DelegationItem:
    return DelegationItem(
        zone_id=delegation.zone_id,
        source_session_id=delegation.source,
        target_session_id=delegation.target,
        issuer_application_id=delegation.issuer,
        receiver_application_id=delegation.receiver,
        parent_edge_id=delegation.parent_id,
        resource_id=_only_resource(delegation),
        scopes=list(delegation.grant.scopes),
        constraints_json=constraints_json(delegation.grant.constraints),
        status=delegation.status,
        expires_at=render_instant(delegation.grant.expires_at),
        edge_version=delegation.version - 1,
        revoked_at=render_instant_or_null(delegation.revoked_at),
        created_at=render_instant(delegation.created_at),
    )


def _effective(delegation: Delegation) -> EffectiveAuthority:
    grant, parent = delegation.grant, delegation.parent_id
    longest = grant.constraints.max_ttl
    return EffectiveAuthority(
        source_session_id=delegation.source,
        target_session_id=delegation.target,
        parent_edge_id=parent,
        resource_id=_only_resource(delegation),
        resources=sorted(grant.constraints.resources or ()),
        scopes=list(grant.scopes),
        expires_at=render_instant(grant.expires_at),
        max_hops=grant.constraints.hops,
        ttl_seconds=None if longest is None else int(longest.total_seconds()),
        broad=grant.constraints.broad,
        parent_edges_considered=() if parent is None else (parent,),
    )


def _only_resource(delegation: Delegation) -> str | None:
    resources = delegation.grant.constraints.resources
    return next(iter(resources)) if resources is not None and len(resources) == 1 else None


def _at_depths(root: Delegation, delegations: Sequence[Delegation]) -> list[dict[str, str | int]]:
    return [
        {
            "id": delegation.id,
            "source_session_id": delegation.source,
            "target_session_id": delegation.target,
            # One that ends only because a session does need not descend from the root.
            "depth": 0 if delegation == root else max(1, len(delegation.path) - len(root.path)),
        }
        for delegation in delegations
    ]
