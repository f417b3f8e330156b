"""What is delivered at once: entries of one log, without a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from caracal.authority.events import Entry

UNDATED: Final = "1970-01-01"
"""The day of files none of whose entries says when it was."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry as the server hands it out: its bytes are what was hashed."""

    index: int
    leaf_hash: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """An entry to deliver.

    Attributes:
        entry: `None` when it can not be read as an entry; it is delivered as it is.
        intact: whether the leaf hash is that of the bytes.
        at: microseconds since the epoch, of its place in the log or else of the decision; 0 when unknown.
    """

    placed: Placed
    entry: Entry | None
    intact: bool
    at: int

    @property
    def day(self) -> str:
        return datetime.fromtimestamp(self.at / 1e6, UTC).date().isoformat() if self.at else ""


@dataclass(frozen=True, slots=True)
class Log:
    """One zone's log, and the origin that its checkpoints are signed for."""

    zone: str
    origin: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries `first` to `end` (exclusive) of a log.

    Attributes:
        raw: deliver bare envelopes: the receiver refused what was made of the entry.
    """

    log: Log
    first: int
    end: int
    lines: tuple[Line, ...]
    raw: bool = False

    @property
    def key(self) -> str:
        """The same for the same entries: what a receiver can know a second delivery by."""
        return f"log_{sha256(self.log.origin.encode()).hexdigest()[:16]}_{self.first}_{self.end}"

    @property
    def day(self) -> str:
        return next((line.day for line in self.lines if line.day), UNDATED)

    @property
    def object_name(self) -> str:
        """Where a file of these entries belongs, without its suffix; sorted by name is sorted by index."""
        place = f"dt={self.day}/zone={self.log.zone}"
        return f"{place}/{self.first:016d}-{self.end:016d}"


class _Instants(msgspec.Struct, frozen=True):
    """What even an entry of a later version says."""

    at: int = 0
    sequenced_at: int = 0


def read_line(placed: Placed) -> Line:
    """Read an entry; whatever it holds, it becomes a line."""
    leaf = sha256(b"\0" + placed.data).hexdigest()
    try:
        instants = msgspec.json.decode(placed.data, type=_Instants)
        at = instants.sequenced_at or instants.at
        datetime.fromtimestamp(at / 1e6, UTC)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        ValueError,
        OverflowError,
        OSError,
    ):
        return Line(placed, None, leaf == placed.leaf_hash, 0)
    try:
        entry = msgspec.json.decode(placed.data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        entry = None
    return Line(placed, entry, leaf == placed.leaf_hash, at)


def same_day(lines: Sequence[Line]) -> int:
    """How many of the lines, from the first, belong to one day; what has no day goes with the others."""
    day = ""
    for place, line in enumerate(lines):
        if line.day and day and line.day != day:
            return place
        day = day or line.day
    return len(lines)
