"""Protected resources and the operations that scopes stand for."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from caracal.authority.identifiers import ProviderId, ResourceId
from caracal.authority.mcp import NO_NAMES, NameTable, ResourceKind
from caracal.authority.scopes import Scope, ScopeSet
from caracal.authority.tool_pins import Pinning

ResourceUri = NewType("ResourceUri", str)

MAX_URI_LENGTH = 512

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]+")
_METHOD = re.compile(r"[A-Z]{1,20}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()+,=:@]+")
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]{0,39})(\*?)\}")


class InvalidResource(ValueError):
    """A resource identifier, method or path template that cannot be used."""


def parse_resource_uri(text: str) -> ResourceUri:
    """Read a resource identifier: an absolute URI of at most 512 characters (RFC 8707 section 2).

    Raises:
        InvalidResource: when it is not one, or has a fragment.
    """
    if _URI.fullmatch(text) is None or "#" in text or len(text) > MAX_URI_LENGTH:
        raise InvalidResource(
            f"{text[:60]!r} is not a resource identifier: an absolute URI without fragment"
        )
    return ResourceUri(text)


class Enforcement(StrEnum):
    """How far a resource's operations bind."""

    ENFORCED = "enforced"
    """Only a declared operation passes, and only with its scope."""
    TRANSPORT_UNIFORM = "transport_uniform"
    """Any request passes; the scopes of the mandate are the only boundary."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`METHOD /path/{template}` and the scope that allows it.

    Rules of matching, held by tests: R1 the method is compared exactly; R2 a literal segment equals the
    decoded segment exactly; R3 `{name}` stands for one non-empty segment; R4 `{name*}` may stand last, for
    one or more segments; R5 a trailing slash is part of the path; R6 of several matches the one with the
    earliest literal segment wins; R7 the query plays no part.
    """

    method: str
    template: str
    scope: Scope

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


def parse_operation(method: str, template: str, scope: Scope) -> Operation:
    """Check an operation's parts.

    Raises:
        InvalidResource: naming the part that is wrong.
    """
    if _METHOD.fullmatch(method) is None:
        raise InvalidResource(f"{method[:30]!r} is not a method: capital letters, such as GET")
    if not template.startswith("/") or len(template) > 512:  # noqa: PLR2004 (stated in the message)
        raise InvalidResource(
            f"{template[:60]!r} must start with / and have at most 512 characters"
        )
    segments = template[1:].split("/")
    seen: set[str] = set()
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        _check_segment(template, segment, last=last, seen=seen)
    return Operation(method, template, scope)


def _check_segment(template: str, segment: str, *, last: bool, seen: set[str]) -> None:
    if segment == "" and last:
        return
    variable = _VARIABLE.fullmatch(segment)
    if variable is None:
        if ";" in segment:
            raise InvalidResource(
                f"{template[:60]!r} has a semicolon: the Gateway forwards no path with one"
            )
        if _LITERAL.fullmatch(segment) is None or segment in {".", ".."}:
            raise InvalidResource(f"{template[:60]!r} has the segment {segment[:40]!r}")
        return
    if variable[2] and not last:
        raise InvalidResource(f"{template[:60]!r}: {segment} may only stand last")
    if variable[1] in seen:
        raise InvalidResource(f"{template[:60]!r} names {variable[1]!r} twice")
    seen.add(variable[1])


@dataclass(slots=True)
class _Node:
    """One step of the operations' trie: a decision costs the path's length, not their number."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Node | None" = None
    here: Operation | None = None
    rest: Operation | None = None


class OperationTable:
    """The operations of a resource, indexed for `match`."""

    __slots__ = ("_roots", "operations")

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        """Index `operations`.

        Raises:
            InvalidResource: when two of them can not be told apart.
        """
        self.operations = operations
        self._roots: dict[str, _Node] = {}
        for operation in operations:
            self._insert(operation)

    def _insert(self, operation: Operation) -> None:
        node = self._roots.setdefault(operation.method, _Node())
        for segment in operation.template[1:].split("/"):
            variable = _VARIABLE.fullmatch(segment)
            if variable is None:
                node = node.literals.setdefault(segment, _Node())
            elif variable[2]:
                if node.rest is not None:
                    raise InvalidResource(f"{operation.name} repeats {node.rest.name}")
                node.rest = operation
                return
            else:
                if node.variable is None:
                    node.variable = _Node()
                node = node.variable
        if node.here is not None:
            raise InvalidResource(f"{operation.name} repeats {node.here.name}")
        node.here = operation

    def match(self, method: str, segments: tuple[str, ...]) -> Operation | None:
        """The operation that a request is, or `None` when it is none of them."""
        root = self._roots.get(method)
        return None if root is None else _walk(root, segments, 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OperationTable) and self.operations == other.operations

    def __hash__(self) -> int:
        return hash(self.operations)


def _walk(node: _Node, segments: tuple[str, ...], at: int) -> Operation | None:
    if at == len(segments):
        return node.here
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _walk(literal, segments, at + 1)
        if found is not None:
            return found
    if node.variable is not None and segment:
        found = _walk(node.variable, segments, at + 1)
        if found is not None:
            return found
    return node.rest if segment else None


@dataclass(frozen=True, slots=True)
class Resource:
    """A protected target behind the Gateway.

    Attributes:
        operations: of an HTTP API; an MCP server has none.
        tools, prompts, contents: the names that an MCP server's messages may hold; `contents` are the
            URIs of what MCP itself calls resources.
        definitions: which definitions of the tools are in force.
        record_arguments: whether entries hold the arguments of messages, not only their digest.
        endpoint: the last part of the URL at which clients that know nothing of Caracal reach an MCP
            server; empty when they do not.
    """

    id: ResourceId
    identifier: ResourceUri
    name: str
    upstream_url: str
    provider_id: ProviderId | None
    scopes: ScopeSet
    operations: OperationTable
    enforcement: Enforcement
    kind: ResourceKind = ResourceKind.HTTP
    tools: NameTable = NO_NAMES
    prompts: NameTable = NO_NAMES
    contents: NameTable = NO_NAMES
    definitions: Pinning = Pinning.FIRST_USE
    record_arguments: bool = False
    endpoint: str = ""
