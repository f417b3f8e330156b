"""The words and marks of a data document."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from caracal.authority.policy.documents.problems import DocumentInvalid, Fault, Place

MAX_CHARACTERS: Final = 262_144

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t]+)
      |(?P<newline>\r?\n)
      |(?P<comment>\#[^\r\n]*)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<string>"(?:[^"\\\r\n]|\\[^\r\n])*+")
      |(?P<raw>`[^`]*`)
      |(?P<number>-?[0-9][0-9A-Za-z.+\-]*)
      |(?P<mark>:=|[=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
# Format characters reorder or hide what a reader sees; the others are no characters at all.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN: Final = frozenset("\t\n")


class Kind(Enum):
    NEWLINE = auto()
    COMMENT = auto()
    NAME = auto()
    STRING = auto()
    RAW = auto()
    NUMBER = auto()
    MARK = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    place: Place

    def is_mark(self, text: str) -> bool:
        return self.kind is Kind.MARK and self.text == text

    def is_name(self, text: str) -> bool:
        return self.kind is Kind.NAME and self.text == text

    @property
    def ends_line(self) -> bool:
        return self.kind in {Kind.NEWLINE, Kind.COMMENT, Kind.END}


def read_tokens(text: str) -> tuple[Token, ...]:
    """Cut a text into tokens, the last of them `END`.

    Raises:
        DocumentInvalid: it is empty, too long, holds a hidden character or a string without an end.
    """
    if len(text) > MAX_CHARACTERS:
        found = f"{len(text)} characters; at most {MAX_CHARACTERS}"
        raise DocumentInvalid(Fault.TOO_LARGE, Place(1, 1), found)
    if not text.strip():
        raise DocumentInvalid(Fault.EMPTY, Place(1, 1), "nothing")
    starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]

    def place(offset: int) -> Place:
        line = bisect_right(starts, offset)
        return Place(line, offset - starts[line - 1] + 1)

    _refuse_hidden(text, place)
    tokens = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "blank":
            continue
        token = Token(Kind[str(match.lastgroup).upper()], match.group(), place(match.start()))
        if token.kind is Kind.MARK and token.text in {'"', "`"}:
            raise DocumentInvalid(Fault.UNTERMINATED, token.place, "a string without an end")
        tokens.append(token)
    return (*tokens, Token(Kind.END, "", place(len(text))))


def _refuse_hidden(text: str, place: Callable[[int], Place]) -> None:
    for at, character in enumerate(text):
        if character.isascii() and character.isprintable():
            continue
        if character in _PLAIN or (character == "\r" and text[at + 1 : at + 2] == "\n"):
            continue
        if unicodedata.category(character) in _HIDDEN:
            found = f"the hidden character U+{ord(character):04X}"
            raise DocumentInvalid(Fault.NOT_DATA, place(at), found)
