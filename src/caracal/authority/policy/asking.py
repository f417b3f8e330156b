"""Putting a decision's questions to the zone's policy: one for each scope, all to be permitted."""

from collections.abc import Callable
from dataclasses import replace

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Asked, Effect, PolicyDecision, PolicyRequest

Decide = Callable[[PolicyRequest], PolicyDecision]


def ask_policy(
    policy: PolicyEngine | None, asked: Asked, resource: str
) -> tuple[str, ...] | Refused:
    """The ids of the policies that permitted every scope on a resource, or the first refusal."""
    return answer(None if policy is None else policy.decide, asked, resource)


def answer(decide: Decide | None, asked: Asked, resource: str) -> tuple[str, ...] | Refused:
    """As `ask_policy`, of whatever decides; `None` stands for no active policy."""
    if decide is None:
        return Refused(Reason.POLICY_NONE_ACTIVE, "the zone has no active policy", (), asked)
    deciding: dict[str, None] = {}
    for scope in asked.scopes:
        request = asked.question(resource, scope)
        decision = decide(request)
        if decision.effect is not Effect.PERMIT:
            return replace(_refusal(decision, request), asked=asked)
        deciding.update(dict.fromkeys(decision.policies))
    return tuple(deciding)


def _refusal(decision: PolicyDecision, request: PolicyRequest) -> Refused:
    what = f"{request.application} may not {request.scope} on {request.resource}"
    named = ", ".join(decision.policies)
    if decision.effect is Effect.FORBID:
        return Refused(Reason.POLICY_FORBID, f"{what}: forbidden by {named}", decision.policies)
    if decision.effect is Effect.ERROR:
        detail = f"{what}: {named} could not be evaluated"
        return Refused(Reason.POLICY_ERROR, detail, decision.policies)
    return Refused(Reason.POLICY_NO_PERMIT, f"{what}: no policy permits it")
