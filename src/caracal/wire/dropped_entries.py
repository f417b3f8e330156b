"""Logs whose first entries were dropped: that they say so themselves."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from caracal.authority.events import Kind
from caracal.evidence.bundle import BundleReport, verify_bundle
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import BundleError
from caracal.evidence.notes import VerifierKey

_DROP: Final = f'"kind":"{Kind.EVIDENCE_DROP}"'.encode()


class _Dropped(msgspec.Struct, frozen=True):
    kind: str = ""
    end_index: int = 0


class _Line(msgspec.Struct, frozen=True):
    entry: _Dropped = _Dropped()


class RecordedDrops:
    """Takes entries as they come; `end` is the first entry that none of them says was dropped."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, entry: bytes) -> None:
        """Look at an entry; what is none, or of another kind, says nothing."""
        if _DROP in entry:
            self._note(entry, _Dropped)

    def take_line(self, line: bytes) -> None:
        """Look at the line of a bundle likewise."""
        if _DROP in line:
            self._note(line, _Line)

    def _note(self, text: bytes, shape: type[_Dropped] | type[_Line]) -> None:
        try:
            found = msgspec.json.decode(text, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        entry = found.entry if isinstance(found, _Line) else found
        if entry.kind == Kind.EVIDENCE_DROP:
            self.end = max(self.end, entry.end_index)


def verify_log(
    lines: Iterable[bytes], trusted_key: VerifierKey | None, kept: Sequence[Checkpoint] = ()
) -> BundleReport:
    """As `verify_bundle`, and that entries which are missing at the beginning are said to be dropped.

    Raises:
        BundleError: it does not verify, or entries are missing and none says that they were dropped.
    """
    drops = RecordedDrops()
    report = verify_bundle(_noting(lines, drops), trusted_key, kept)
    if report.first > drops.end:
        missing = f"the first {report.first} entries are missing"
        raise BundleError(f"{missing}, and no entry says that they were dropped")
    return report


def _noting(lines: Iterable[bytes], drops: RecordedDrops) -> Iterator[bytes]:
    for line in lines:
        drops.take_line(line)
        yield line
