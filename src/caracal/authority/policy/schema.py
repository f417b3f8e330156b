"""What policies may name: a zone's applications, resources and scopes, and the facts of a request.

Cedar checks types against `render_schema`; names are checked in `validation.py`, because Cedar does
not know which applications and resources exist.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from caracal.authority.policy.requests import PolicyRequest
from caracal.authority.scopes import LIFECYCLE, NO_SCOPES, Scope, ScopeSet

APPLICATION: Final = "Application"
RESOURCE: Final = "Resource"
ACTION: Final = "Action"

OTHER_ACTION: Final = "any other action"
"""Stands for all actions that a policy does not name; the blanks keep it apart from every scope."""

_SCHEMA = """\
entity Application;
entity Resource;
type Context = {
  phase: String,
  session: {labels: Set<String>, label_prefixes: Set<String>, lifecycle: String, depth: Long},
  delegation: {hops: Long, root: String},
  call: {operation: String, method: String, path: String%s},
};
action %s appliesTo {principal: [Application], resource: [Resource], context: Context};
"""


@dataclass(frozen=True, slots=True)
class ContextAttribute:
    """One fact of a request, as policies read it.

    Attributes:
        path: where in the context it is.
        field: of the request, that it is.
        source: the field that it follows from, when that is another: what is remembered by it is smaller.
    """

    path: tuple[str, ...]
    field: str
    source: str = ""

    @property
    def key(self) -> str:
        """The field that a decision is remembered by."""
        return self.source or self.field


CONTEXT: Final = (
    ContextAttribute(("phase",), "phase"),
    ContextAttribute(("session", "labels"), "session_labels"),
    ContextAttribute(("session", "label_prefixes"), "session_label_prefixes", "session_labels"),
    ContextAttribute(("session", "lifecycle"), "session_lifecycle"),
    ContextAttribute(("session", "depth"), "session_depth"),
    ContextAttribute(("delegation", "hops"), "hops"),
    ContextAttribute(("delegation", "root"), "root_application"),
    ContextAttribute(("call", "operation"), "operation"),
    ContextAttribute(("call", "method"), "method"),
    ContextAttribute(("call", "path"), "path"),
)


@lru_cache(maxsize=256)
def attributes_along(path: tuple[str, ...]) -> frozenset[ContextAttribute]:
    """What a policy that reads `context.<path>` can learn; everything for the empty path.

    A path that goes on beyond an attribute reads that attribute.
    """
    return frozenset(
        attribute
        for attribute in CONTEXT
        if all(mine == theirs for mine, theirs in zip(attribute.path, path, strict=False))
    )


def render_context(
    request: PolicyRequest,
    attributes: Iterable[ContextAttribute],
    arguments: Mapping[str, object] | None = None,
) -> str:
    """The context as JSON, with `attributes` in it and no others, and what is read of the arguments."""
    context: dict[str, object] = {}
    groups: dict[str, dict[str, object]] = {}
    for attribute in attributes:
        *group, name = attribute.path
        holder = groups.setdefault(group[0], {}) if group else context
        holder[name] = getattr(request, attribute.field)
    if arguments is not None:
        groups.setdefault("call", {})["arguments"] = arguments
    return json.dumps(context | groups)


@dataclass(frozen=True, slots=True)
class PolicyVocabulary:
    """The names that a zone's policies may use.

    Attributes:
        applications: the names of the zone's applications.
        resources: the scopes that each resource declares, by resource identifier.
        scopes: what some resource declares, without `agent:lifecycle` (P3).
    """

    applications: frozenset[str]
    resources: Mapping[str, ScopeSet]
    scopes: frozenset[Scope] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        declared = (scope for scopes in self.resources.values() for scope in scopes.scopes)
        object.__setattr__(self, "scopes", frozenset(declared) - {LIFECYCLE})

    def declares(self, resource: str, scope: str) -> bool:
        """Whether `scope` is an action on `resource`."""
        return scope in self.scopes and scope in self.resources.get(resource, NO_SCOPES)


def render_schema(actions: Iterable[str], arguments: str = "") -> str:
    """The Cedar schema in which these actions exist, and `call.arguments` where they have a type.

    Actions are scopes, so quoting them is enough.
    """
    typed = f", arguments: {arguments}" if arguments else ""
    return _SCHEMA % (typed, ", ".join(f'"{action}"' for action in sorted(actions)))
