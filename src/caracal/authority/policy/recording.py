"""What was put to policy, in an entry and back out of one.

An entry repeats nothing that its other fields say: who asked, for which scopes, on which resource.
"""

from enum import StrEnum
from typing import Final

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.mcp import METHODS
from caracal.authority.outcomes import Reason
from caracal.authority.policy.requests import Asked, Phase
from caracal.authority.scopes import LIFECYCLE, NO_SCOPES, InvalidScope, ScopeSet

MAX_OPERATION: Final = 1024
"""Characters of an operation that an entry keeps. Of a longer one not all is known."""

BY_POLICY: Final = frozenset({Reason.POLICY_NO_PERMIT, Reason.POLICY_FORBID, Reason.POLICY_ERROR})


class Missing(StrEnum):
    """Why what was put to policy can not be told from an entry."""

    NOT_RECORDED = "not_recorded"
    """It is from before entries held all of it."""
    TOO_LONG = "too_long"
    """The path was too long to be kept whole."""
    SHREDDED = "shredded"
    """It is committed to, and the opening is gone or was not handed out."""
    ARGUMENTS = "arguments"
    """Policy reads arguments of the call, and the entry holds only their digest."""
    POLICY_UNKNOWN = "policy_unknown"
    """The text of the policy version that decided is not at hand."""


UNDECLARED_OPERATION: Final = "-"
"""Stands in `template` for a call that is no declared operation; no operation reads so."""

_INPUTS: Final = frozenset(
    {
        "application_name",
        "labels",
        "operation",
        "resource",
        "root",
        "scopes",
        "template",
        "asked",
        "argument_values",
    }
)


def recorded(entry: Entry, asked: Asked | None, digest: str) -> Entry:
    """The entry of a decision with what it put to policy; `None` when policy was not asked.

    Args:
        entry: of the decision, with `scopes`, `resource`, `operation` and `application_name` set.
        asked: what `Granted`, `AdmittedCall` or `Refused` says was asked.
        digest: of the policy version that was asked; empty when none was active.
    """
    if asked is None:
        return entry
    return msgspec.structs.replace(
        entry,
        policy=digest,
        lifecycle=asked.session_lifecycle,
        labels=asked.session_labels,
        depth=asked.session_depth,
        root="" if asked.root_application == asked.application else asked.root_application,
        template=_template(entry, asked),
        asked=() if asked.resources == _named(entry) else asked.resources,
        undeclared=asked.undeclared.render(),
    )


def asks_policy(entry: Entry) -> bool:
    """Whether policy was asked for this decision."""
    if entry.kind not in {Kind.EXCHANGE, Kind.CALL}:
        return False
    if entry.lifecycle or entry.policy:
        return True
    if entry.kind is Kind.CALL and entry.verdict is Verdict.ALLOW:
        return True  # no call is allowed without; an entry that does not say so is to be counted
    return entry.reason in BY_POLICY or entry.reason == Reason.POLICY_NONE_ACTIVE


def read_asked(entry: Entry) -> Asked | Missing:
    """What an entry that `asks_policy` says was put to policy."""
    if not _INPUTS.isdisjoint(entry.committed):
        return Missing.SHREDDED
    if not entry.lifecycle:
        return Missing.NOT_RECORDED
    if len(entry.operation) >= MAX_OPERATION:
        return Missing.TOO_LONG
    try:
        scopes, undeclared = ScopeSet.parse(entry.scopes), ScopeSet.parse(entry.undeclared)
    except InvalidScope:
        return Missing.NOT_RECORDED
    call = entry.kind is Kind.CALL
    method, _, path = entry.operation.partition(" ") if call else ("", "", "")
    return Asked(
        phase=Phase.CALL if call else Phase.EXCHANGE,
        application=entry.application_name,
        scopes=scopes if call else ScopeSet(scopes.scopes - {LIFECYCLE}),
        resources=entry.asked or _named(entry),
        session_labels=entry.labels,
        session_lifecycle=entry.lifecycle,
        session_depth=entry.depth,
        hops=len(entry.delegations) + max(len(entry.narrowed) - 1, 0),
        root_application=entry.root or entry.application_name,
        operation=_operation(entry) if call else "",
        method=method,
        path=path,
        undeclared=undeclared if call else NO_SCOPES,
        arguments=entry.argument_values,
        arguments_known=not (call and entry.arguments and method in METHODS)
        or bool(entry.argument_values),
    )


def permitted_resources(entry: Entry) -> tuple[str, ...]:
    """The resources that the decision allowed."""
    return _named(entry) if entry.verdict is Verdict.ALLOW else ()


def _template(entry: Entry, asked: Asked) -> str:
    if asked.phase is Phase.EXCHANGE or asked.operation == entry.operation:
        return ""
    return asked.operation or UNDECLARED_OPERATION


def _operation(entry: Entry) -> str:
    if entry.template == UNDECLARED_OPERATION:
        return ""
    return entry.template or entry.operation


def _named(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.resource.split(" "))
