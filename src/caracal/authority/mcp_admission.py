"""What a message to an MCP server needs: the rule for the name in it, and the scopes."""

from dataclasses import replace
from typing import Final

from caracal.authority.mcp import (
    END,
    LISTEN,
    RESPONSE,
    McpRequest,
    NameRule,
    Target,
)
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Resource
from caracal.authority.scopes import LIFECYCLE, ScopeSet

_ABOUT_THE_SESSION: Final = frozenset({RESPONSE, LISTEN, END})


def needed_by_mcp(
    resource: Resource, held: ScopeSet, request: McpRequest
) -> tuple[NameRule | None, ScopeSet] | Refused:
    """The rule that the request comes under, and the scopes that policy is asked about.

    A method that names nothing needs any scope of the resource; policy is asked about all that are held.
    """
    if request.method in _ABOUT_THE_SESSION:
        target = Target.NOTHING
    else:
        known = request.target
        if known is None:
            return Refused(
                Reason.OPERATION_UNDECLARED, f"the method {request.method} is not passed on"
            )
        target = known
    if target is Target.NOTHING:
        usable = held.meet(ScopeSet(resource.scopes.scopes - {LIFECYCLE}))
        if not len(usable):
            return _lacking(f"{request.method} needs a scope of {resource.identifier}", held)
        return None, usable
    rule = _rule(resource, target, request.name)
    if rule is None:
        return Refused(
            Reason.TOOL_UNKNOWN, f"{resource.identifier} has no {target} {request.name!r}"
        )
    if rule.scope not in held:
        what = f"{request.method} {request.name} needs the scope {rule.scope}"
        return replace(_lacking(what, held), needed=rule.scope)
    return rule, ScopeSet(frozenset({rule.scope}))


def _rule(resource: Resource, target: Target, name: str) -> NameRule | None:
    if target is Target.TOOL:
        return resource.tools.match(name)
    if target is Target.PROMPT:
        return resource.prompts.match(name)
    return resource.contents.match(name)


def _lacking(what: str, held: ScopeSet) -> Refused:
    shown = held.render()
    return Refused(
        Reason.OPERATION_SCOPE_MISSING,
        f"{what}; the mandate carries: {shown or 'none'}",
        held=shown,
    )
