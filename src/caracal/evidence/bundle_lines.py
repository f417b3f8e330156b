"""The lines of a bundle: JSON with exactly one spelling, rendered and parsed.

A line that says the same in other bytes is refused, so that no byte of a bundle can
change unnoticed.
"""

import re
from enum import Enum
from typing import Final, Literal

import msgspec

from caracal.evidence.canonical import JsonValue, canonical_json
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tree import HASH_BYTES, TreeState

FORMAT: Final = "caracal-evidence/1"
REST_FORMAT: Final = "caracal-evidence/2"
"""Of bundles whose first entries are missing: a verifier that knows the other only must refuse them."""
Format = Literal["caracal-evidence/1", "caracal-evidence/2"]
MAX_LINE_BYTES = 4 * 1024 * 1024

_ENTRY_PREFIX = b'{"entry":'
_ENTRY_SUFFIX = re.compile(
    rb',"index":(0|[1-9][0-9]{0,18}),"leaf":"([0-9a-f]{64})"'
    rb'(?:,"path":\[((?:"[0-9a-f]{64}"(?:,"[0-9a-f]{64}")*)?)\])?\}\n\Z'
)
_HEX_HASH = re.compile(r"[0-9a-f]{64}")
_CLOSING_PREFIX = b'{"count":'
_read_value = msgspec.json.Decoder(msgspec.Raw).decode


class Contents(Enum):
    """What a bundle holds. The value is what the header says."""

    WHOLE = "whole"
    """Every entry from the first to the checkpoint's size: nothing is left out."""
    SELECTION = "selection"
    """Some entries, each proven by itself. Nothing is said about the others."""
    REST = "rest"
    """Every entry from some first one on; of those before it, the hashes that the tree needs."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line. A new field needs a new `format`.

    Attributes:
        first: of a rest: the first entry that it holds; `peaks` are those of the tree before it, in hex.
    """

    checkpoint: str
    contents: Contents
    format: Format
    verifier_key: str
    first: int = 0
    peaks: tuple[str, ...] = ()

    def before(self) -> TreeState:
        """The tree of the entries that the bundle does not begin with.

        Raises:
            EvidenceError: there is none, or one where the contents allow none.
        """
        rest = self.contents is Contents.REST
        if rest != (self.format == REST_FORMAT) or rest != (self.first > 0):
            raise EvidenceError("contents, format and first entry do not go together")
        if not all(_HEX_HASH.fullmatch(peak) for peak in self.peaks):
            raise EvidenceError("the peaks are not hashes")
        return TreeState.resume(self.first, map(bytes.fromhex, self.peaks))


class EntryLine(msgspec.Struct, frozen=True):
    """The line of one entry; `path` is None in a whole log."""

    index: int
    entry: bytes
    leaf: bytes
    path: tuple[bytes, ...] | None


def render_header(header: Header) -> bytes:
    """Render the first line."""
    fields: dict[str, JsonValue] = {
        "checkpoint": header.checkpoint,
        "contents": header.contents.value,
        "format": header.format,
        "verifier_key": header.verifier_key,
    }
    if header.contents is Contents.REST:
        fields |= {"first": header.first, "peaks": list(header.peaks)}
    return canonical_json(fields) + b"\n"


def parse_header(line: bytes) -> Header:
    """Parse the first line.

    Raises:
        EvidenceError: it is none, or not as `render_header` renders it.
    """
    _require_length(line)
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EvidenceError(f"not the header of a {FORMAT} bundle") from None
    if render_header(header) != line:
        raise EvidenceError("the header is not canonical")
    header.before()
    return header


def render_entry(line: EntryLine) -> bytes:
    """Render the line of one entry.

    Raises:
        EvidenceError: the entry is not one JSON value on one line, a hash is none, or
            the line is too long.
    """
    if not _is_one_line_of_json(line.entry):
        raise EvidenceError(f"entry {line.index} is not JSON on one line")
    if any(len(value) != HASH_BYTES for value in (line.leaf, *(line.path or ()))):
        raise EvidenceError(f"entry {line.index} comes with something that is not a hash")
    path = ""
    if line.path is not None:
        path = ',"path":[' + ",".join(f'"{value.hex()}"' for value in line.path) + "]"
    suffix = f',"index":{line.index},"leaf":"{line.leaf.hex()}"{path}}}\n'
    rendered = _ENTRY_PREFIX + line.entry + suffix.encode()
    _require_length(rendered)
    return rendered


def parse_entry(line: bytes) -> EntryLine:
    """Parse the line of one entry; whether the entry is JSON is for its hash to say.

    The line is taken apart from its two ends, so whatever befell the entry in between,
    its index is still read.

    Raises:
        EvidenceError: it is not the line of an entry.
    """
    _require_length(line)
    suffix = _ENTRY_SUFFIX.search(line)
    if not suffix or not line.startswith(_ENTRY_PREFIX):
        raise EvidenceError("not the line of an entry")
    path = None
    if suffix[3] is not None:
        path = tuple(bytes.fromhex(text) for text in _HEX_HASH.findall(suffix[3].decode()))
    entry = line[len(_ENTRY_PREFIX) : suffix.start()]
    return EntryLine(int(suffix[1]), entry, bytes.fromhex(suffix[2].decode()), path)


def stated_index(line: bytes) -> int | None:
    """Read the index off a line that is not the line of an entry, if it still has one."""
    suffix = _ENTRY_SUFFIX.search(line[-MAX_LINE_BYTES:])
    return int(suffix[1]) if suffix else None


def is_closing(line: bytes) -> bool:
    """Tell a closing line from the line of an entry."""
    return line.startswith(_CLOSING_PREFIX)


def render_closing(count: int, sha256_hex: str) -> bytes:
    """Render the last line: how many entries precede it, and the digest of every line."""
    return canonical_json({"count": count, "sha256": sha256_hex}) + b"\n"


def _is_one_line_of_json(entry: bytes) -> bool:
    if b"\n" in entry:
        return False
    try:
        return bytes(_read_value(entry)) == entry
    except msgspec.DecodeError:
        return False


def _require_length(line: bytes) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise EvidenceError(f"a line has at most {MAX_LINE_BYTES} bytes")
