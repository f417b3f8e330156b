"""The algebra of delegation. Rules D1 to D11 are written down in `docs/delegation.md`."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from caracal.authority.constraints import Constraints
from caracal.authority.grants import Grant
from caracal.authority.identifiers import ApplicationId, DelegationId, SessionId, ZoneId
from caracal.authority.mandates import Hop
from caracal.authority.outcomes import Reason, Refused


class DelegationStatus(StrEnum):
    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Delegation:
    """An edge: a narrower grant that one session handed to another.

    Attributes:
        path: the delegations from the root down to this one, itself included.
        chain: the hops of that path, without the receiver.
        version: raised by every change, so that a late write never undoes a newer one.
    """

    id: DelegationId
    zone_id: ZoneId
    source: SessionId
    target: SessionId
    issuer: ApplicationId
    receiver: ApplicationId
    path: tuple[DelegationId, ...]
    chain: tuple[Hop, ...]
    grant: Grant
    status: DelegationStatus
    created_at: datetime
    revoked_at: datetime | None = None
    version: int = 1

    @property
    def parent_id(self) -> DelegationId | None:
        return self.path[-2] if len(self.path) > 1 else None

    def live(self, now: datetime) -> bool:
        return self.status is DelegationStatus.ACTIVE and self.grant.live(now)

    def hops(self) -> tuple[Hop, ...]:
        """The chain as a mandate states it: a hop for each edge, then the receiver."""
        return (*self.chain, Hop(self.receiver, self.target, None))


def narrow(held: Grant, wanted: Grant, *, now: datetime) -> Grant | Refused:
    """Derive a child grant from `held`.

    The child is refused, not trimmed, when it asks for more: a caller that silently received less
    would fail later and further away.

    Returns:
        `wanted` unchanged when it is within `held`; otherwise why not.

    Source: docs/delegation.md D1 to D7, in that order.
    """
    if not wanted.scopes.within(held.scopes):
        excess = wanted.scopes.without(held.scopes).render()
        return Refused(Reason.DELEGATION_SCOPE_EXCEEDED, f"the delegator does not hold: {excess}")
    if wanted.expires_at <= now:
        return Refused(Reason.DELEGATION_EXPIRED, "the delegation would already have expired")
    if wanted.expires_at > held.expires_at:
        return Refused(
            Reason.DELEGATION_EXPIRY_EXCEEDED,
            f"the delegator's own authority ends at {held.expires_at.isoformat()}",
        )
    refusal = _exceeds(held.constraints, wanted.constraints)
    return wanted if refusal is None else refusal


def _exceeds(held: Constraints, wanted: Constraints) -> Refused | None:
    if held.resources is not None and (
        wanted.resources is None or not wanted.resources <= held.resources
    ):
        return Refused(
            Reason.DELEGATION_RESOURCE_EXCEEDED,
            f"the delegator only reaches: {', '.join(sorted(held.resources))}",
        )
    if held.hops <= 1 or wanted.hops > held.hops - 1:
        return Refused(
            Reason.DELEGATION_HOPS_EXCEEDED,
            f"the delegator may hand on {held.hops - 1} more hops, {wanted.hops} were asked for",
        )
    if held.max_ttl is not None and (wanted.max_ttl is None or wanted.max_ttl > held.max_ttl):
        return Refused(
            Reason.DELEGATION_TTL_EXCEEDED,
            f"a ttl_seconds of at most {held.max_ttl.total_seconds():.0f} must be stated",
        )
    if held.budget is not None and (wanted.budget is None or wanted.budget > held.budget):
        return Refused(
            Reason.DELEGATION_BUDGET_EXCEEDED, f"a budget of at most {held.budget} must be stated"
        )
    return None


def inherit(held: Grant) -> Grant:
    """The grant that a child session of the same application inherits: the same, one hop shorter (D8).

    A grant whose hops are used up still reaches an own child session, which may not hand it on.
    """
    hops = max(1, held.constraints.hops - 1)
    return replace(held, constraints=replace(held.constraints, hops=hops))
