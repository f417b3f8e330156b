"""Scopes: names of what may be done, and sets of them that can only shrink."""

import re
from collections.abc import Iterable, Iterator
from typing import NewType

import msgspec

Scope = NewType("Scope", str)

LIFECYCLE = Scope("agent:lifecycle")
"""Allows an application to start and end its own sessions; never reaches a resource."""

MAX_SCOPES = 64
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


class InvalidScope(ValueError):
    """The text is not a scope token, or there are too many of them."""


def parse_scope(text: str) -> Scope:
    """Read one scope token (RFC 6749 section 3.3), at most 128 characters.

    Raises:
        InvalidScope: when it is empty, too long, or holds a character outside the grammar.
    """
    if _SCOPE.fullmatch(text) is None:
        raise InvalidScope(f"{text[:40]!r} is not a scope: 1 to 128 printable characters, no space")
    return Scope(text)


class ScopeSet(msgspec.Struct, frozen=True):
    """A set of scopes. There is a `meet` and no union: authority never grows.

    An empty set permits nothing.
    """

    scopes: frozenset[Scope]

    @classmethod
    def of(cls, *texts: str) -> "ScopeSet":
        return cls.from_texts(texts)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "ScopeSet":
        """Read scopes from outside.

        Raises:
            InvalidScope: for a text that is not a scope, or more than 64 of them.
        """
        scopes = frozenset(parse_scope(text) for text in texts)
        if len(scopes) > MAX_SCOPES:
            raise InvalidScope(f"{len(scopes)} scopes; at most {MAX_SCOPES} may be named at once")
        return cls(scopes)

    @classmethod
    def parse(cls, text: str) -> "ScopeSet":
        """Read the space separated form of OAuth; the empty text is the empty set."""
        return cls.from_texts(part for part in text.split(" ") if part)

    def meet(self, other: "ScopeSet") -> "ScopeSet":
        return ScopeSet(self.scopes & other.scopes)

    def without(self, other: "ScopeSet") -> "ScopeSet":
        return ScopeSet(self.scopes - other.scopes)

    def within(self, other: "ScopeSet") -> bool:
        return self.scopes <= other.scopes

    def render(self) -> str:
        return " ".join(sorted(self.scopes))

    def __contains__(self, scope: str) -> bool:
        return scope in self.scopes

    def __iter__(self) -> Iterator[Scope]:
        return iter(sorted(self.scopes))

    def __len__(self) -> int:
        return len(self.scopes)


NO_SCOPES = ScopeSet(frozenset())
