"""Where things stand in Cedar text: tokens, statements, positions.

Cedar's Python binding says what is wrong but not where. This finds the place; what the text means is
Cedar's to say.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from itertools import pairwise

import msgspec

# The lexical rules of the Cedar grammar: a comment ends at CR or LF, a string may span lines.
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\r\n]*)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<string>"(?:\\.|[^"\\])*")
      |(?P<mark>::|[=!<>]=|&&|\|\||[0-9]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f_]+)\}|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


class Kind(Enum):
    NAME = auto()
    STRING = auto()
    MARK = auto()


class Token(msgspec.Struct, frozen=True):
    """A token of the text; `start` and `end` are offsets into it."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text: line and column count from 1, columns in characters."""

    line: int
    column: int


class CedarText:
    """A text of policies, with its lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> Position:
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def statements(self) -> Iterator["Statement"]:
        """The text cut after each semicolon: one policy each, when it is Cedar at all."""
        size = depth = deepest = start = end = 0
        for match in _TOKEN.finditer(self.text):
            if match.lastgroup == "skip":
                continue
            mark = match.group()
            start, end = (start if size else match.start()), match.end()
            size += 1
            if mark in _OPENING:
                depth += 1
                deepest = max(deepest, depth)
            elif mark in _CLOSING:
                depth -= 1
            elif mark == ";":
                yield Statement(self.text, start, end, size, deepest)
                size = depth = deepest = 0
        if size:
            yield Statement(self.text, start, end, size, deepest)


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy as it is written.

    Attributes:
        whole: the text that it is a part of, from `start` to `end`.
        size: the number of its tokens, at least one.
        nesting: how deep its brackets nest.
    """

    whole: str
    start: int
    end: int
    size: int
    nesting: int

    @property
    def text(self) -> str:
        return self.whole[self.start : self.end]

    def tokens(self) -> tuple[Token, ...]:
        matches = _TOKEN.finditer(self.whole, self.start, self.end)
        return tuple(
            Token(Kind[str(match.lastgroup).upper()], match.group(), match.start())
            for match in matches
            if match.lastgroup != "skip"
        )

    def find_entity(self, type_name: str, entity_id: str) -> int:
        """Where `Type::"id"` stands first; the statement's start when it does not."""
        tokens = self.tokens()
        for at, token in enumerate(tokens):
            if token.kind is Kind.STRING and unescape(token.text) == entity_id:
                first = _type_name_start(tokens, at)
                if "".join(part.text for part in tokens[first : at - 1]) == type_name:
                    return tokens[first].start
        return self.start

    def find_string(self, value: str) -> int:
        """Where the string stands first; the statement's start when it does not."""
        for token in self.tokens():
            if token.kind is Kind.STRING and unescape(token.text) == value:
                return token.start
        return self.start

    def find_annotation(self, name: str) -> int:
        """Where `@name` stands; the statement's start when it does not."""
        for token, following in pairwise(self.tokens()):
            if token.text == "@" and following.text == name:
                return token.start
        return self.start

    def find_word(self, words: list[str]) -> int:
        """Where the first of `words` that occurs at all stands, or the statement's start."""
        tokens = self.tokens()
        for word in words:
            for token in tokens:
                if token.text == word:
                    return token.start
        return self.start


def _type_name_start(tokens: tuple[Token, ...], at: int) -> int:
    """The index of the first token of the `A::B::` before the string at `at`, or `at`."""
    while at > 1 and tokens[at - 1].text == "::" and tokens[at - 2].kind is Kind.NAME:
        at -= 2
    return at


def unescape(literal: str) -> str:
    """The value of a string literal that Cedar has accepted."""
    return _ESCAPE.sub(_unescape_one, literal[1:-1])


def _unescape_one(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    if digits is not None:
        return chr(int(digits.replace("_", ""), 16))
    return _SIMPLE_ESCAPES.get(match[3], match[3])
