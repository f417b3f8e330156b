"""Why policy said what it said to one decision, and the smallest change that would have allowed it.

For operators alone: it tells what agents are not told. A change is claimed only after the decision was
made again with it, and then allows.
"""

import msgspec

from caracal.authority.events import Entry, Verdict
from caracal.authority.outcomes import Reason
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.problems import PolicyInvalid
from caracal.authority.policy.reading import read_policies
from caracal.authority.policy.recording import BY_POLICY, Missing, asks_policy, read_asked
from caracal.authority.policy.replay import decide_again
from caracal.authority.policy.requests import Asked
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.scopes import InvalidScope, Scope, ScopeSet

_NOWHERE = PolicyVocabulary(frozenset(), {})


class Remedy(msgspec.Struct, frozen=True):
    """What mattered, and what would have helped.

    Attributes:
        values: what the policies that decided, or could have, read of the request.
        change: in a sentence; empty for what was allowed, and where no single change is known.
        permits: policies that the change adds.
        without: forbidding policies that it takes away.
    """

    values: tuple[str, ...] = ()
    change: str = ""
    permits: str = ""
    without: tuple[str, ...] = ()


def explain_policy(entry: Entry, text: str | None) -> Remedy:
    """Explain a decision by its entry.

    Args:
        entry: of an exchange or a call.
        text: of the policy version that the entry names; `None` when there was none.
    """
    held = _missing_scopes(entry)
    if held:
        return Remedy(change=held)
    asked = read_asked(entry) if asks_policy(entry) else Missing.NOT_RECORDED
    if isinstance(asked, Missing):
        return Remedy()
    if not asked.arguments_known and _changed(text or "", [], []).reads_arguments(asked):
        return Remedy()
    values = _values(entry, asked, text or "")
    decided = entry.reason in BY_POLICY or entry.reason == Reason.POLICY_NONE_ACTIVE
    if entry.verdict is not Verdict.REFUSE or not decided:
        return Remedy(values)
    if entry.reason == Reason.POLICY_ERROR:
        named = ", ".join(entry.policies)
        return Remedy(values, f"mend {named}: it could not be evaluated for this request")
    try:
        return _search(asked, text or "", values)
    except PolicyInvalid:
        return Remedy(values)


def _missing_scopes(entry: Entry) -> str:
    try:
        missing = ScopeSet.parse(entry.scopes).without(ScopeSet.parse(entry.held)).render()
    except InvalidScope:
        return ""
    if entry.reason == Reason.DELEGATION_SCOPE_EXCEEDED and entry.held and entry.delegations:
        return f"grant {missing} in delegation {entry.delegations[-1]}; policy was not asked yet"
    return ""


def _search(asked: Asked, text: str, values: tuple[str, ...]) -> Remedy:
    """Take away the forbids that stop it, add the permits it lacks, and see that it then passes."""
    one = asked.about(asked.resources[:1])
    without: list[str] = []
    permits: list[str] = []
    while True:
        engine = _changed(text, without, permits)
        outcome = decide_again(engine, one)
        refusal = outcome.refusal
        if refusal is None:
            return Remedy(values, _told(without, permits), "\n".join(permits), tuple(without))
        if refusal.reason is Reason.POLICY_FORBID:
            without += refusal.policies
        elif refusal.reason is Reason.POLICY_NO_PERMIT and not one.undeclared:
            # Never the same permit twice: its id would be taken, which ends the search.
            permits += (_permit(one, scope) for scope in one.scopes if _lacks(engine, one, scope))
        else:
            return Remedy(values)


def _lacks(engine: PolicyEngine, asked: Asked, scope: Scope) -> bool:
    """Whether nothing permits this scope."""
    alone = msgspec.structs.replace(asked, scopes=ScopeSet(frozenset({scope})))
    refusal = decide_again(engine, alone).refusal
    return refusal is not None and refusal.reason is Reason.POLICY_NO_PERMIT


def _changed(text: str, without: list[str], permits: list[str]) -> PolicyEngine:
    engine = PolicyEngine.load("\n".join((text, *permits)), _NOWHERE)
    return engine.leaving_out(without)


def _permit(asked: Asked, scope: str) -> str:
    names = (asked.application, scope, asked.resources[0])
    application, action, resource = (
        name.replace("\\", "\\\\").replace('"', '\\"') for name in names
    )
    return (
        f'@id("allows-{action}") permit (principal == Application::"{application}", '
        f'action == Action::"{action}", resource == Resource::"{resource}");'
    )


def _told(without: list[str], permits: list[str]) -> str:
    parts = []
    if without:
        parts.append(f"WEAKEN what forbids it, {', '.join(without)}")
    if permits:
        parts.append("add a permit")
    return " and ".join(parts)


def _values(entry: Entry, asked: Asked, text: str) -> tuple[str, ...]:
    policies = read_policies(text).policies
    deciding = [one for one in policies if one.id in entry.policies] or policies
    reads = {attribute for one in deciding for attribute in one.reads}
    return tuple(
        sorted(f"{'.'.join(one.path)} = {_shown(getattr(asked, one.field))}" for one in reads)
    )


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
