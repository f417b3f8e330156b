"""When one session may hand a grant to another. Rules in `docs/delegation.md`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from caracal.authority.constraints import (
    DEFAULT_HOPS,
    MAX_BUDGET,
    MAX_HOPS,
    MAX_REASON,
    MAX_RESOURCES,
    MAX_TTL,
    Constraints,
)
from caracal.authority.delegation import Delegation, DelegationStatus, inherit, narrow
from caracal.authority.grants import Grant
from caracal.authority.identifiers import ApplicationId, DelegationId, SessionId, ZoneId
from caracal.authority.mandates import Hop
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import LIFECYCLE, NO_SCOPES, ScopeSet
from caracal.authority.session_rules import StartSession
from caracal.authority.sessions import Session

DELEGATION_REVOKED = "delegation_revoked"

_SECOND = timedelta(seconds=1)

Bound = TypeVar("Bound", int, timedelta)


@dataclass(frozen=True, slots=True)
class CreateDelegation:
    """A delegation somebody wants to make. That the caller is `issuer` is for the caller to check.

    Attributes:
        id: made by the caller, fresh.
        resources: the only resources to reach; `None` asks for a broad grant.
        declared: the scopes that the named resources declare, together.
        expires_at: when it ends; with `ttl` too, the earlier of the two counts.
        ttl: its life from now; bounds each mandate too unless `max_ttl` is given.
        max_ttl: the longest life of a mandate minted from it.
        may_be_broad: whether the caller holds the permission for a broad grant.
        parent_id: which received delegation to narrow, when the source has several.
    """

    id: DelegationId
    source: SessionId
    target: SessionId
    issuer: ApplicationId
    receiver: ApplicationId
    scopes: ScopeSet
    resources: frozenset[ResourceUri] | None
    declared: ScopeSet = NO_SCOPES
    hops: int = DEFAULT_HOPS
    expires_at: datetime | None = None
    ttl: timedelta | None = None
    max_ttl: timedelta | None = None
    budget: int | None = None
    reason: str = ""
    may_be_broad: bool = False
    parent_id: DelegationId | None = None


def malformed(request: CreateDelegation) -> Refused | None:
    """What is wrong with the request whatever the state of the zone."""
    if request.expires_at is None and request.ttl is None:
        return Refused(
            Reason.DELEGATION_EXPIRY_MISSING, "state expires_at or ttl_seconds: nothing is forever"
        )
    wrong = _out_of_bounds(request)
    if wrong is not None:
        return Refused(Reason.REQUEST_MALFORMED, wrong)
    if request.source == request.target:
        return Refused(Reason.DELEGATION_TO_ITSELF, "source and target are the same session")
    if LIFECYCLE in request.scopes:
        return Refused(
            Reason.DELEGATION_SCOPES_EXCEED_RESOURCE,
            f"{LIFECYCLE} is for an application's own sessions: it is not handed on",
        )
    if request.resources is None:
        if not request.may_be_broad:
            return Refused(Reason.DELEGATION_BROAD, "name the resources it shall reach")
    elif not request.scopes.within(request.declared):
        excess = request.scopes.without(request.declared).render()
        return Refused(
            Reason.DELEGATION_SCOPES_EXCEED_RESOURCE, f"the resources do not declare: {excess}"
        )
    return None


def _out_of_bounds(request: CreateDelegation) -> str | None:
    if not 1 <= request.hops <= MAX_HOPS:
        return f"max_hops is 1 to {MAX_HOPS}"
    if request.budget is not None and not 1 <= request.budget <= MAX_BUDGET:
        return f"budget is 1 to {MAX_BUDGET}"
    for lifetime in (request.ttl, request.max_ttl):
        if lifetime is not None and not _SECOND <= lifetime <= MAX_TTL:
            return "ttl_seconds is 1 to 86400"
    if request.resources is not None and not 1 <= len(request.resources) <= MAX_RESOURCES:
        return f"1 to {MAX_RESOURCES} resources"
    if len(request.reason) > MAX_REASON:
        return f"broad_reason has at most {MAX_REASON} characters"
    return None


def mismatched(request: CreateDelegation, source: Session, target: Session) -> Refused | None:
    if source.application_id != request.issuer or target.application_id != request.receiver:
        return Refused(
            Reason.DELEGATION_APPLICATION_MISMATCH,
            "issuer and receiver must be the applications of the two sessions",
        )
    return None


def choose_parent(
    request: CreateDelegation, received: tuple[Delegation, ...]
) -> Delegation | Refused | None:
    """Which of the live delegations that the source received is narrowed; `None` for a root (D10)."""
    if request.parent_id is not None:
        named = next((entry for entry in received if entry.id == request.parent_id), None)
        return named or Refused(
            Reason.DELEGATION_PARENT_INACTIVE,
            f"the source session holds no live delegation {request.parent_id}",
        )
    if len(received) > 1:
        return Refused(
            Reason.DELEGATION_PARENT_AMBIGUOUS,
            f"the source session holds {len(received)} delegations: name the parent",
        )
    return received[0] if received else None


def wanted(request: CreateDelegation, parent: Delegation | None, now: datetime) -> Grant:
    """The grant asked for, with what is left out filled in (D2, D5, D6)."""
    ends = [] if request.expires_at is None else [request.expires_at]
    if request.ttl is not None:
        ends.append(now + request.ttl)
    budget = request.budget
    if budget is None and parent is not None and parent.grant.constraints.budget is not None:
        budget = max(1, len(request.scopes))
    constraints = Constraints(
        resources=request.resources,
        hops=request.hops,
        max_ttl=request.max_ttl or request.ttl,
        budget=budget,
        reason=request.reason,
    )
    return Grant(request.scopes, constraints, min(ends))


def granted(
    request: CreateDelegation, parent: Delegation | None, *, zone_id: ZoneId, now: datetime
) -> Delegation | Refused:
    """The delegation as it comes into being, or why it exceeds what the source holds."""
    grant = wanted(request, parent, now)
    if parent is not None:
        narrowed = narrow(parent.grant, grant, now=now)
        if isinstance(narrowed, Refused):
            return narrowed
    elif grant.expires_at <= now:
        return Refused(Reason.DELEGATION_EXPIRED, "the delegation would already have expired")
    before = () if parent is None else parent.path
    return Delegation(
        id=request.id,
        zone_id=zone_id,
        source=request.source,
        target=request.target,
        issuer=request.issuer,
        receiver=request.receiver,
        path=(*before, request.id),
        chain=(
            *(() if parent is None else parent.chain),
            Hop(request.issuer, request.source, request.id),
        ),
        grant=grant,
        status=DelegationStatus.ACTIVE,
        created_at=now,
    )


def inherited(held: Delegation, request: StartSession, now: datetime) -> Delegation | Refused:
    """What a child session takes along of `held`, which its parent received (D8)."""
    if len(held.path) >= MAX_HOPS:
        return Refused(
            Reason.DELEGATION_HOPS_EXCEEDED, f"the chain already has {len(held.path)} hops"
        )
    return Delegation(
        id=request.delegation_id,
        zone_id=held.zone_id,
        source=held.target,
        target=request.id,
        issuer=request.application_id,
        receiver=request.application_id,
        path=(*held.path, request.delegation_id),
        chain=(*held.chain, Hop(request.application_id, held.target, request.delegation_id)),
        grant=inherit(held.grant),
        status=DelegationStatus.ACTIVE,
        created_at=now,
    )


def revoked(delegation: Delegation, now: datetime) -> Delegation:
    return replace(
        delegation,
        status=DelegationStatus.REVOKED,
        revoked_at=now,
        version=delegation.version + 1,
    )


def intersect(grants: Iterable[Grant]) -> Grant | None:
    """What every one of the grants allows, `None` of none."""
    found: Grant | None = None
    for grant in grants:
        found = grant if found is None else _meet(found, grant)
    return found


def _meet(one: Grant, other: Grant) -> Grant:
    first, second = one.constraints, other.constraints
    return Grant(
        one.scopes.meet(other.scopes),
        Constraints(
            resources=_common(first.resources, second.resources),
            hops=min(first.hops, second.hops),
            max_ttl=_least(first.max_ttl, second.max_ttl),
            budget=_least(first.budget, second.budget),
        ),
        min(one.expires_at, other.expires_at),
    )


def _common(
    one: frozenset[ResourceUri] | None, other: frozenset[ResourceUri] | None
) -> frozenset[ResourceUri] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _least(one: Bound | None, other: Bound | None) -> Bound | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
