"""MCP servers as resources: which names have which scope, and what one message asks for."""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from caracal.authority.scopes import Scope

MAX_NAME: Final = 512
"""Characters of the name of a tool or prompt, or of a URI: an entry keeps them all."""


class ResourceKind(StrEnum):
    """What stands behind a resource."""

    HTTP = "http"
    """An HTTP API: method and path say what a call does."""
    MCP = "mcp"
    """An MCP server over streamable HTTP: the message in the body says it."""


class InvalidPattern(ValueError):
    """Not a pattern of names."""


def unusable_name(name: str) -> str:
    """What keeps a text from being the name of a tool or prompt, or a URI; empty when nothing does."""
    if not 0 < len(name) <= MAX_NAME:
        return f"has {len(name)} characters; 1 to {MAX_NAME} are allowed"
    if name != name.strip() or not name.isprintable():
        return "has characters that can not be seen, or begins or ends with a space"
    return ""


class NameRule(NamedTuple):
    """A name, or all names that begin as one does when it ends with `*`, and the scope that allows it."""

    pattern: str
    scope: Scope


def parse_name_rule(pattern: str, scope: Scope) -> NameRule:
    """Check a pattern: an exact name, a beginning and `*`, or `*` alone.

    Raises:
        InvalidPattern: saying what is wrong.
    """
    if pattern != "*" and (fault := unusable_name(pattern.removesuffix("*"))):
        raise InvalidPattern(f"{pattern[:60]!r} {fault}")
    if "*" in pattern[:-1]:
        raise InvalidPattern(f"{pattern[:60]!r} has a * that does not stand last")
    return NameRule(pattern, scope)


class NameTable:
    """The rules for the names of one kind, indexed for `match`.

    A name that is stated itself is that rule's; otherwise the longest beginning wins.
    """

    __slots__ = ("_beginnings", "_exact", "_lengths", "rules")

    def __init__(self, rules: tuple[NameRule, ...] = ()) -> None:
        self.rules = tuple(sorted(rules))
        self._exact = {rule.pattern: rule for rule in rules if not rule.pattern.endswith("*")}
        self._beginnings = {rule.pattern[:-1]: rule for rule in rules if rule.pattern.endswith("*")}
        self._lengths = sorted({len(beginning) for beginning in self._beginnings}, reverse=True)

    def match(self, name: str) -> NameRule | None:
        """The rule for a name, or `None` when there is none."""
        found = self._exact.get(name)
        if found is not None:
            return found
        for length in self._lengths:
            if length <= len(name) and (found := self._beginnings.get(name[:length])) is not None:
                return found
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameTable) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)


NO_NAMES: Final = NameTable()


class Target(StrEnum):
    """What the name in a message is the name of."""

    NOTHING = ""
    TOOL = "tool"
    PROMPT = "prompt"
    CONTENT = "resource"


METHODS: Final = {
    "tools/call": Target.TOOL,
    "prompts/get": Target.PROMPT,
    "resources/read": Target.CONTENT,
    "resources/subscribe": Target.CONTENT,
    "resources/unsubscribe": Target.CONTENT,
    "initialize": Target.NOTHING,
    "ping": Target.NOTHING,
    "server/discover": Target.NOTHING,
    "tools/list": Target.NOTHING,
    "prompts/list": Target.NOTHING,
    "resources/list": Target.NOTHING,
    "resources/templates/list": Target.NOTHING,
    "completion/complete": Target.PROMPT,
    "subscriptions/listen": Target.NOTHING,
    "logging/setLevel": Target.NOTHING,
    "notifications/initialized": Target.NOTHING,
    "notifications/cancelled": Target.NOTHING,
    "notifications/progress": Target.NOTHING,
    "notifications/roots/list_changed": Target.NOTHING,
}
"""The methods of a client that pass, and what they name if the message does not say otherwise. Every
other is refused."""

RESPONSE: Final = "response"
"""Stands for a client's answer to what the server asked it."""
LISTEN: Final = "GET"
"""Opens the server's stream (until 2025-11-25)."""
END: Final = "DELETE"
"""Ends a session (until 2025-11-25)."""


class McpRequest(msgspec.Struct, frozen=True):
    """What one request to an MCP server asks for.

    Attributes:
        method: of the JSON-RPC message; one of `METHODS`, `RESPONSE`, `LISTEN` and `END` when it passes.
        name: of the tool or prompt, or the URI; empty for methods that name nothing.
        arguments: SHA-256 of the arguments in RFC 8785 form, in hex; empty without any.
        said: the arguments in RFC 8785 form; empty without any.
        hypothetical: whether some call of that name is meant, whatever its arguments.
        about: what the name is the name of, where the method alone does not say it.
    """

    method: str
    name: str = ""
    arguments: str = ""
    about: Target | None = None
    said: str = ""
    hypothetical: bool = False

    @property
    def target(self) -> Target | None:
        """What the name is the name of; `None` for a method that does not pass."""
        known = METHODS.get(self.method)
        return known if known is None or self.about is None else self.about
