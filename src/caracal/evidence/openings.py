"""Files of openings: what opens commitments of a bundle's entries, handed out beside it or not at all.

JSON Lines, as a bundle is: a header, a line for each entry that has openings, by rising index, and a
closing line. Nothing in it is signed, and nothing needs to be: an opening proves itself by the commitment
in the entry. See `docs/evidence-format.md`.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, Literal

import msgspec

from caracal.evidence.bundle_lines import MAX_LINE_BYTES, is_closing, parse_entry, render_closing
from caracal.evidence.canonical import canonical_json
from caracal.evidence.commitments import Opening, Openings, render_openings, verify_openings
from caracal.evidence.errors import BundleError, EvidenceError

FORMAT: Final = "caracal-openings/1"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["caracal-openings/1"]
    origin: str


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    openings: dict[str, Opening]


class _Committed(msgspec.Struct, frozen=True):
    committed: dict[str, str] = {}


class OpeningsWriter:
    """Renders a file line by line: `header`, each `entry` by rising index, `closing`."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._digest = sha256()
        self._count = 0

    def header(self) -> bytes:
        """Return the first line."""
        return self._written(canonical_json({"format": FORMAT, "origin": self._origin}) + b"\n")

    def entry(self, index: int, openings: Openings) -> bytes:
        """Return the line of one entry.

        Raises:
            ValueError: a value may not stand in evidence.
        """
        self._count += 1
        return self._written(_rendered(index, openings))

    def closing(self) -> bytes:
        """Return the last line."""
        return render_closing(self._count, self._digest.hexdigest())

    def _written(self, line: bytes) -> bytes:
        self._digest.update(line)
        return line


class HeldOpenings:
    """Holds a file of openings to the entries of a bundle, which are given one after the other.

    The entries are taken as they come: whether they are the log's, `verify_bundle` says.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Read the first lines.

        Raises:
            BundleError: they are not those of a file of openings.
        """
        self.count = 0
        numbered = enumerate(lines, 1)
        number, line = next(numbered, (1, b""))
        self.origin = _origin(number, line)
        self._lines = _read(numbered, line)
        self._next = next(self._lines, None)

    def take(self, line: bytes) -> None:
        """Hold what the file says of an entry to that entry; other lines of a bundle are nothing to it.

        Raises:
            BundleError: what is said of an entry does not open its commitments, or the bundle has no
                such entry.
        """
        if self._next is None:
            return
        try:
            found = parse_entry(line)
        except EvidenceError:
            return
        index, openings = self._next
        if found.index < index:
            return
        if found.index > index:
            raise BundleError("openings of an entry that the bundle does not hold", index=index)
        try:
            committed = msgspec.json.decode(found.entry, type=_Committed).committed
            verify_openings(openings, committed)
        except (EvidenceError, msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise BundleError(str(fault), index=index) from fault
        self.count += 1
        self._next = next(self._lines, None)

    def finish(self) -> None:
        """Require that every line was about an entry.

        Raises:
            BundleError: one was not.
        """
        if self._next is not None:
            index = self._next[0]
            raise BundleError("openings of an entry that the bundle does not hold", index=index)


def _rendered(index: int, openings: Openings) -> bytes:
    return b'{"index":%d,"openings":%b}\n' % (index, render_openings(openings))


def _origin(number: int, line: bytes) -> str:
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BundleError(f"not the header of a {FORMAT} file", line=number) from None
    return header.origin


def _read(numbered: Iterator[tuple[int, bytes]], header: bytes) -> Iterator[tuple[int, Openings]]:
    """Yield indexes and openings, and require the closing line."""
    before, count, digest = -1, 0, sha256(header)
    for number, line in numbered:
        if is_closing(line):
            if line != render_closing(count, digest.hexdigest()):
                raise BundleError("the closing line does not match what precedes it", line=number)
            if next(numbered, None) is not None:
                raise BundleError("something follows the closing line", line=number + 1)
            return
        found = _parsed(number, line)
        if found.index <= before:
            raise BundleError("out of turn", line=number, index=found.index)
        before, count = found.index, count + 1
        digest.update(line)
        yield found.index, found.openings
    raise BundleError("the openings end without a closing line")


def _parsed(number: int, line: bytes) -> _Line:
    try:
        found = msgspec.json.decode(line[:MAX_LINE_BYTES], type=_Line)
        canonical = _rendered(found.index, found.openings)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise BundleError("not a line of openings", line=number) from None
    if canonical != line:
        raise BundleError("a line of openings that is not canonical", line=number)
    return found
