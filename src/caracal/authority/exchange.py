"""Who gets a mandate: a proven caller, what it asks for, and the rules of the zone."""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from caracal.authority.chain_standing import root_application
from caracal.authority.delegation import Delegation
from caracal.authority.graph import ZoneGraph
from caracal.authority.held_authority import HeldAuthority
from caracal.authority.identifiers import DelegationId, SessionId
from caracal.authority.mandates import (
    DEFAULT_LIFETIME,
    MAX_BOUND_LIFETIME,
    MAX_LIFETIME,
    Bound,
    Holder,
    MandateClass,
)
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.asking import ask_policy
from caracal.authority.policy.requests import Asked, Phase
from caracal.authority.resources import Resource
from caracal.authority.scopes import LIFECYCLE, ScopeSet
from caracal.authority.zones import Application, Zone


class ExchangeRequest(msgspec.Struct, frozen=True):
    """What a proven application asks for."""

    resources: tuple[str, ...]
    scopes: ScopeSet
    session_id: SessionId | None = None
    delegation_id: DelegationId | None = None
    lifetime: timedelta | None = None
    holder: Holder | None = None


class Granted(msgspec.Struct, frozen=True):
    """A mandate may be minted: of this class, for these resources and scopes, until then.

    Attributes:
        bound: who is to be able to narrow it.
        asked: what was put to policy, whatever it said; `None` without a delegation.
    """

    mandate_class: MandateClass
    resources: tuple[Resource, ...]
    scopes: ScopeSet
    expires_at: datetime
    held: HeldAuthority | None
    policies: tuple[str, ...]
    asked: Asked | None = None
    bound: Bound | None = None


_NOTHING = Refused(Reason.RESOURCE_UNKNOWN)


def decide_exchange(
    zone: Zone,
    graph: ZoneGraph,
    caller: Application,
    request: ExchangeRequest,
    *,
    now: datetime,
) -> Granted | Refused:
    """Decide on a mandate.

    Of several resources those that pass are granted; when none does, the first refusal is the answer.
    Source: RFC 8693 section 2; docs/policy.md; docs/delegation.md D9.
    """
    held = _held(graph, caller, request, now=now)
    if isinstance(held, Refused):
        return held
    root = root_application(zone, () if held is None else held.chain, caller, now=now)
    if isinstance(root, Refused):
        return root
    expires_at = _expiry(request, held, now=now)
    if isinstance(expires_at, Refused):
        return expires_at
    question = _question(caller, request, held, root)
    granted: list[Resource] = []
    asked: list[str] = []
    policies: dict[str, None] = {}
    refusal: Refused | None = None
    for reference in request.resources:
        outcome = _decide_resource(zone, request, held, question, reference, asked)
        if isinstance(outcome, Refused):
            refusal = refusal or outcome
            continue
        granted.append(outcome[0])
        policies.update(dict.fromkeys(outcome[1]))
    delegation = None if held is None else held.delegation
    question = None if question is None or not asked else question.about(asked)
    if not granted:
        return replace(
            refusal or _NOTHING, asked=question, delegations=delegation.path if delegation else ()
        )
    return Granted(
        mandate_class=MandateClass.SESSION if delegation is None else MandateClass.GATEWAY,
        resources=tuple(granted),
        scopes=request.scopes,
        expires_at=expires_at,
        held=held,
        policies=tuple(policies),
        asked=question,
        bound=_bound(request.holder, delegation),
    )


def _held(
    graph: ZoneGraph, caller: Application, request: ExchangeRequest, *, now: datetime
) -> HeldAuthority | Refused | None:
    if not request.resources:
        return Refused(Reason.RESOURCE_MISSING, "name at least one resource")
    if request.holder is not None and request.delegation_id is None:
        return Refused(
            Reason.DELEGATION_REQUIRED,
            "holder_jwk goes with a mandate for calls: name agent_session_id and delegation_edge_id",
        )
    if request.session_id is None:
        if request.delegation_id is not None:
            return Refused(
                Reason.DELEGATION_WITHOUT_SESSION,
                "delegation_edge_id needs the agent_session_id it was made for",
            )
        return None
    return graph.authority(
        application_id=caller.id,
        session_id=request.session_id,
        delegation_id=request.delegation_id,
        now=now,
    )


def _expiry(
    request: ExchangeRequest, held: HeldAuthority | None, *, now: datetime
) -> datetime | Refused:
    """The end of the mandate: never later than anything it descends from."""
    wanted = request.lifetime
    longest = MAX_LIFETIME if request.holder is None else MAX_BOUND_LIFETIME
    if wanted is not None and wanted > longest:
        return Refused(
            Reason.LIFETIME_TOO_LONG, f"ttl_seconds is at most {longest.total_seconds():.0f}"
        )
    expires_at = now + (wanted or DEFAULT_LIFETIME)
    if held is None:
        return expires_at
    limit = None if held.delegation is None else held.delegation.grant.constraints.max_ttl
    if limit is None:
        return min(expires_at, held.expires_at)
    if wanted is not None and wanted > limit:
        return Refused(
            Reason.DELEGATION_TTL_EXCEEDED,
            f"the delegation allows mandates of at most {limit.total_seconds():.0f} s",
        )
    return min(expires_at, held.expires_at, now + limit)


def _bound(holder: Holder | None, delegation: Delegation | None) -> Bound | None:
    """Whom it is bound to, who may hand it on as often as the delegation could be handed on."""
    if holder is None or delegation is None:
        return None
    return Bound(holder, delegation.grant.constraints.hops - 1)


def _question(
    caller: Application, request: ExchangeRequest, held: HeldAuthority | None, root: Application
) -> Asked | None:
    """What policy is asked, whichever the resource; without a delegation it is not asked."""
    if held is None or held.delegation is None:
        return None
    session = held.session
    return Asked(
        phase=Phase.EXCHANGE,
        application=caller.name,
        scopes=ScopeSet(request.scopes.scopes - {LIFECYCLE}),
        resources=(),
        session_labels=session.labels,
        session_lifecycle=session.lifecycle,
        session_depth=session.depth,
        hops=len(held.chain) - 1,
        root_application=root.name,
    )


def _decide_resource(
    zone: Zone,
    request: ExchangeRequest,
    held: HeldAuthority | None,
    question: Asked | None,
    reference: str,
    asked: list[str],
) -> tuple[Resource, tuple[str, ...]] | Refused:
    """The resource and the policies that permitted it; `asked` gets it once policy is asked."""
    resource = zone.resource(reference)
    if resource is None:
        return Refused(Reason.RESOURCE_UNKNOWN, f"the zone has no resource {reference!r}")
    scopes = ScopeSet(request.scopes.scopes - {LIFECYCLE})
    if not scopes.within(resource.scopes):
        unknown = scopes.without(resource.scopes).render()
        return Refused(Reason.SCOPE_UNKNOWN, f"{resource.identifier} does not declare: {unknown}")
    if question is None or held is None or held.delegation is None:
        return _decide_bootstrap(resource, scopes)
    refusal = _exceeds(held.delegation, resource, request.scopes)
    if refusal is not None:
        return refusal
    if not len(scopes):
        return Refused(Reason.SCOPE_MISSING, "name the scopes that the mandate is to carry")
    asked.append(resource.identifier)
    permitted = ask_policy(zone.policy, question, resource.identifier)
    return permitted if isinstance(permitted, Refused) else (resource, permitted)


def _decide_bootstrap(
    resource: Resource, asked: ScopeSet
) -> tuple[Resource, tuple[str, ...]] | Refused:
    """Without a delegation only the life of sessions can be had: no scope that reaches a resource."""
    if len(asked):
        return Refused(
            Reason.DELEGATION_REQUIRED,
            f"{asked.render()} needs a session and a delegation to it: name agent_session_id and "
            "delegation_edge_id",
        )
    return resource, ()


def _exceeds(delegation: Delegation, resource: Resource, scopes: ScopeSet) -> Refused | None:
    grant = delegation.grant
    if not scopes.within(grant.scopes):
        excess = scopes.without(grant.scopes).render()
        return Refused(
            Reason.DELEGATION_SCOPE_EXCEEDED,
            f"the delegation does not grant: {excess}",
            held=grant.scopes.render(),
        )
    if not grant.constraints.reach(resource.identifier):
        return Refused(
            Reason.DELEGATION_RESOURCE_EXCEEDED,
            f"the delegation does not reach {resource.identifier}",
        )
    return None
