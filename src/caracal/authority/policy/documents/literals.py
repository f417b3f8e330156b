"""Data as it stands in a document: texts, numbers, arrays, sets and objects, and where each begins."""

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from caracal.authority.policy.documents.problems import DocumentInvalid, Fault, Place
from caracal.authority.policy.documents.tokens import Kind, Token

MAX_DEPTH: Final = 16
MAX_NUMBER: Final = 18

_WORDS: Final = {"true": True, "false": False, "null": None}
_CLOSING: Final = {"[": "]", "{": "}"}
_SKIPPED: Final = frozenset({Kind.NEWLINE, Kind.COMMENT})
_ENDS: Final = frozenset("]})")
_BUILTINS: Final = frozenset({"http.send", "opa.runtime", "rand.intn", "time.now_ns"})


class Scalar(msgspec.Struct, frozen=True):
    value: str | int | bool | None
    place: Place


class Items(msgspec.Struct, frozen=True):
    """An array or a set; `listed` tells which."""

    items: tuple["Literal", ...]
    place: Place
    listed: bool


class Members(msgspec.Struct, frozen=True):
    """An object: its keys are texts, and none is there twice."""

    members: Mapping[str, "Literal"]
    place: Place


Literal: TypeAlias = Scalar | Items | Members


class Cursor:
    """A place among tokens. What ends a line counts between rules, and nowhere else."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._rest = iter(tokens)
        self.here = next(self._rest)

    def take(self) -> Token:
        """The token here; afterwards the next is. The last one stays."""
        token = self.here
        self.here = next(self._rest, token)
        return token

    def skip_lines(self) -> Token:
        """The first token that is neither the end of a line nor a comment."""
        while self.here.kind in _SKIPPED:
            self.take()
        return self.here

    def path(self) -> str:
        """The names here that dots join, such as `http.send`."""
        text = ""
        while self.here.kind is Kind.NAME:
            text += self.take().text
            if not self.here.is_mark("."):
                break
            text += self.take().text
        return text


def read_literal(cursor: Cursor, depth: int = 0) -> Literal:
    """Read the literal at the cursor.

    Raises:
        DocumentInvalid: there is none, or something in it is no plain data.
    """
    token = cursor.skip_lines()
    if depth > MAX_DEPTH:
        found = f"more than {MAX_DEPTH} brackets in each other"
        raise DocumentInvalid(Fault.NOT_DATA, token.place, found)
    if token.kind is Kind.NAME and token.text not in _WORDS:
        return _read_name(cursor)
    if token.is_mark("["):
        return Items(_read_items(cursor, depth, "["), token.place, listed=True)
    if token.is_mark("{"):
        return _read_braces(cursor, depth)
    cursor.take()
    return Scalar(_scalar(token), token.place)


def _scalar(token: Token) -> str | int | bool | None:
    match token.kind:
        case Kind.NAME:
            return _WORDS[token.text]
        case Kind.STRING:
            return _string(token)
        case Kind.RAW:
            return token.text[1:-1]
        case Kind.NUMBER:
            return _number(token)
        case _:
            raise not_data(token)


def not_data(token: Token) -> DocumentInvalid:
    """What to raise about a token that has no business where it stands."""
    if token.kind is Kind.END or token.text in _ENDS:
        found = token.text or "the end of the document"
        return DocumentInvalid(Fault.UNBALANCED, token.place, found)
    return DocumentInvalid(Fault.NOT_DATA, token.place, token.text)


def _string(token: Token) -> str:
    try:
        text: str = json.loads(token.text)
        text.encode()
    except ValueError:
        raise DocumentInvalid(Fault.NOT_DATA, token.place, "an escape that is none") from None
    return text


def _number(token: Token) -> int:
    """A whole number; a fraction has no place in any rule."""
    digits = token.text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > MAX_NUMBER or digits != str(int(digits)):
        raise DocumentInvalid(Fault.NOT_DATA, token.place, f"the number {token.text}")
    return int(token.text)


def _read_name(cursor: Cursor) -> Literal:
    """`set()`, which is the empty set; every other name refers to something."""
    token = cursor.here
    path = cursor.path()
    if path == "set" and cursor.here.is_mark("("):
        cursor.take()
        if cursor.here.is_mark(")"):
            cursor.take()
            return Items((), token.place, listed=False)
    if path in _BUILTINS or path.startswith("net."):
        raise DocumentInvalid(Fault.BUILTIN, token.place, path, path)
    raise DocumentInvalid(Fault.NOT_DATA, token.place, f"the reference {path}")


def _read_items(cursor: Cursor, depth: int, opening: str) -> tuple[Literal, ...]:
    cursor.take()
    items = []
    while not cursor.skip_lines().is_mark(_CLOSING[opening]):
        items.append(read_literal(cursor, depth + 1))
        _read_comma(cursor, _CLOSING[opening])
    cursor.take()
    return tuple(items)


def _read_comma(cursor: Cursor, closing: str) -> None:
    if cursor.skip_lines().is_mark(","):
        cursor.take()
    elif not cursor.here.is_mark(closing):
        raise not_data(cursor.here)


def _read_braces(cursor: Cursor, depth: int) -> Literal:
    """An object, or a set: the colon after what comes first tells which. `{}` is an object."""
    place = cursor.take().place
    members: dict[str, Literal] = {}
    items: list[Literal] = []
    while not cursor.skip_lines().is_mark("}"):
        first = read_literal(cursor, depth + 1)
        if items or not cursor.skip_lines().is_mark(":"):
            if members:
                raise not_data(cursor.here)
            items.append(first)
        else:
            cursor.take()
            members[_key(first, members)] = read_literal(cursor, depth + 1)
        _read_comma(cursor, "}")
    cursor.take()
    return Items(tuple(items), place, listed=False) if items else Members(members, place)


def _key(literal: Literal, members: Mapping[str, Literal]) -> str:
    if not isinstance(literal, Scalar) or not isinstance(literal.value, str):
        raise DocumentInvalid(Fault.NOT_DATA, literal.place, "a key that is no text")
    if literal.value in members:
        found = f"the key {literal.value!r} a second time"
        raise DocumentInvalid(Fault.REPEATED, literal.place, found)
    return literal.value
