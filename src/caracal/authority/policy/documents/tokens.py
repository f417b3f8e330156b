"""The words and marks of a data document."""

import re
import unicodedata
from enum import Enum, auto
from typing import Final

import msgspec

from caracal.authority.policy.documents.problems import DocumentInvalid, Fault, Place

MAX_CHARACTERS: Final = 262_144

_TOKEN: Final = re.compile(
    r"""(?P<blank>[ \t]+)
      |(?P<newline>(?:\r?\n[ \t]*)++)
      |(?P<comment>\#[^\r\n]*)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<string>"(?:[^"\\\r\n]|\\[^\r\n])*+")
      |(?P<raw>`[^`]*`)
      |(?P<number>-?[0-9][0-9A-Za-z.+\-]*)
      |(?P<mark>:=|[=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTES: Final = frozenset({'"', "`"})
_ODD: Final = re.compile(r"[^\x20-\x7e\t\n]")
# Format characters reorder or hide what a reader sees; the others are no characters at all.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Kind(Enum):
    NEWLINE = auto()
    COMMENT = auto()
    NAME = auto()
    STRING = auto()
    RAW = auto()
    NUMBER = auto()
    MARK = auto()
    END = auto()


_LINE_ENDS: Final = frozenset({Kind.NEWLINE, Kind.COMMENT, Kind.END})
_KINDS: Final = {kind.name.lower(): kind for kind in Kind}


class Token(msgspec.Struct, frozen=True):
    kind: Kind
    text: str
    place: Place

    def is_mark(self, text: str) -> bool:
        return self.kind is Kind.MARK and self.text == text

    def is_name(self, text: str) -> bool:
        return self.kind is Kind.NAME and self.text == text

    @property
    def ends_line(self) -> bool:
        return self.kind in _LINE_ENDS


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
    _refuse_hidden(text)
    tokens: list[Token] = []
    line, start = 1, 0
    for match in _TOKEN.finditer(text):
        name, found, at = str(match.lastgroup), match.group(), match.start()
        if name == "blank":
            continue
        token = Token(_KINDS[name], found, Place(line, at - start + 1))
        if token.kind is Kind.MARK and found in _QUOTES:
            raise DocumentInvalid(Fault.UNTERMINATED, token.place, "a string without an end")
        tokens.append(token)
        if "\n" in found:
            line += found.count("\n")
            start = at + found.rindex("\n") + 1
    return (*tokens, Token(Kind.END, "", Place(line, len(text) - start + 1)))


def _refuse_hidden(text: str) -> None:
    for match in _ODD.finditer(text):
        at, character = match.start(), match.group()
        if character == "\r" and text[at + 1 : at + 2] == "\n":
            continue
        if unicodedata.category(character) in _HIDDEN:
            place = Place(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
            found = f"the hidden character U+{ord(character):04X}"
            raise DocumentInvalid(Fault.NOT_DATA, place, found)
