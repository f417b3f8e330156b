"""Putting a decision's questions to the zone's policy: one for each scope, all to be permitted."""

from collections.abc import Callable, Iterable

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Effect, PolicyDecision, PolicyRequest
from caracal.authority.scopes import Scope


def ask_policy(
    policy: PolicyEngine | None,
    scopes: Iterable[Scope],
    question: Callable[[Scope], PolicyRequest],
) -> tuple[str, ...] | Refused:
    """The ids of the policies that permitted every scope, or the first refusal."""
    if policy is None:
        return Refused(Reason.POLICY_NONE_ACTIVE, "the zone has no active policy")
    deciding: dict[str, None] = {}
    for scope in scopes:
        request = question(scope)
        decision = policy.decide(request)
        if decision.effect is not Effect.PERMIT:
            return _refusal(decision, request)
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
