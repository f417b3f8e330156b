"""Bundles: a log, or entries selected from one, in a file that verifies offline.

A bundle is JSON Lines: a header that names the key and carries a signed checkpoint, a
line per entry, and a closing line. Beside an entry stands the leaf hash that the log
recorded for it, so an entry altered later, in the log's own store or in the file, is
found by its index and not only by a root that comes out wrong. In a selection each entry
also carries its inclusion path.

The writer copies what the store says and judges nothing: an export of a falsified store
must be possible, and must fail to verify. See `docs/evidence-format.md`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from caracal.evidence.bundle_lines import (
    FORMAT,
    REST_FORMAT,
    Contents,
    EntryLine,
    Format,
    Header,
    is_closing,
    parse_entry,
    parse_header,
    render_closing,
    render_entry,
    render_header,
    stated_index,
)
from caracal.evidence.checkpoints import Checkpoint, verify_checkpoint
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.notes import VerifierKey, parse_verifier_key
from caracal.evidence.proofs import InclusionProof, verify_inclusion
from caracal.evidence.tree import TreeState, leaf_hash

_BATCH = 512
_EMPTY = TreeState()


class BundleReport(msgspec.Struct, frozen=True):
    """What a verified bundle proves."""

    checkpoint: Checkpoint
    contents: Contents
    first: int
    """The entry that a rest begins with; 0 of all others."""
    entries: int
    key: VerifierKey
    note: str
    """The checkpoint as it is signed; signatures by other keys are not judged."""
    key_source: Literal["given", "embedded"]
    """`embedded`: the bundle was held only to the key it brought along. It is as someone
    signed it; who that was, only a key known from elsewhere can say."""


class BundleWriter:
    """Renders a bundle line by line: `header`, each `entry` by rising index, `closing`.

    It does no I/O and keeps nothing of the entries, so a store can be paged through.
    """

    def __init__(
        self, note: str, key: VerifierKey, contents: Contents, before: TreeState = _EMPTY
    ) -> None:
        """Take the signed checkpoint `note`, made by the log's `key`; of a rest, the tree before it.

        Raises:
            EvidenceError: `key` did not sign it, or there is no rest after that tree.
        """
        self._size = verify_checkpoint(note, key).size
        form: Format = REST_FORMAT if contents is Contents.REST else FORMAT
        peaks = tuple(peak.hex() for peak in before.peaks)
        header = Header(note, contents, form, key.render(), before.size, peaks)
        if header.before().size > self._size:
            raise EvidenceError("there is no rest of the log after that")
        self._header = render_header(header)
        self._whole = contents is not Contents.SELECTION
        self._digest = sha256()
        self._count = 0
        self._next = before.size

    def header(self) -> bytes:
        """Return the first line."""
        return self._written(self._header)

    def entry(self, index: int, entry: bytes, leaf: bytes, path: Sequence[bytes] = ()) -> bytes:
        """Return the line of one entry.

        Args:
            index: the entry's index in the log.
            entry: the entry as stored: one JSON value, without a line break.
            leaf: the leaf hash the log recorded when it was appended; not computed anew
                from `entry`, or an altered entry would look right.
            path: the hashes of its inclusion proof; in a selection only.

        Raises:
            EvidenceError: the entry cannot stand in a line, or is out of turn.
        """
        gap = self._whole and index > self._next
        if gap or not self._next <= index < self._size:
            raise EvidenceError(f"entry {index} is out of turn")
        line = render_entry(EntryLine(index, entry, leaf, None if self._whole else tuple(path)))
        self._count += 1
        self._next = index + 1
        return self._written(line)

    def closing(self) -> bytes:
        """Return the last line.

        Raises:
            EvidenceError: entries of a whole log are missing.
        """
        if self._whole and self._next != self._size:
            raise EvidenceError(f"entry {self._next} is missing")
        return render_closing(self._count, self._digest.hexdigest())

    def _written(self, line: bytes) -> bytes:
        self._digest.update(line)
        return line


def verify_bundle(
    lines: Iterable[bytes],
    trusted_key: VerifierKey | None,
    kept: Sequence[Checkpoint] = (),
) -> BundleReport:
    """Verify a bundle in one pass and constant memory.

    Args:
        lines: each with its line feed, as a file opened in binary yields them.
        trusted_key: the log's key, known from elsewhere; None to make do with the one
            the bundle brings along, which the report then says.
        kept: checkpoints of this log that somebody verified and kept, such as those of receipts. A
            whole log must have begun as each of them says; a rest can be held to those that are not of
            fewer entries than it lacks, a selection to none.

    Raises:
        BundleError: it does not verify. Nothing in it may then be believed.
    """
    numbered = enumerate(lines, 1)
    number, line = next(numbered, (1, b""))
    try:
        header, key, checkpoint = _open_header(line, trusted_key)
    except EvidenceError as fault:
        raise BundleError(str(fault), line=number) from fault
    selection = header.contents is Contents.SELECTION
    if kept and selection:
        raise BundleError("a selection can not be held to what was kept: take the whole log")
    body = _Selection(checkpoint) if selection else _Log(checkpoint, kept, header.before())
    digest = sha256(line)
    for number, line in numbered:
        if is_closing(line):
            break
        body.take(number, line)
        digest.update(line)
    else:
        raise BundleError("the bundle ends without a closing line")
    if line != render_closing(body.count, digest.hexdigest()):
        raise BundleError("the closing line does not match what precedes it", line=number)
    if next(numbered, None) is not None:
        raise BundleError("something follows the closing line", line=number + 1)
    body.finish()
    return BundleReport(
        checkpoint=checkpoint,
        contents=header.contents,
        first=header.first,
        entries=body.count,
        key=key,
        note=header.checkpoint,
        key_source="embedded" if trusted_key is None else "given",
    )


class _Log:
    """Takes every entry in turn and rebuilds the tree, from that of the entries before the first on."""

    def __init__(
        self, checkpoint: Checkpoint, kept: Sequence[Checkpoint], before: TreeState
    ) -> None:
        self._checkpoint = checkpoint
        self._first = before.size
        self._tree = before
        self._leaves: list[bytes] = []
        self._next = before.size
        self._kept: dict[int, list[Checkpoint]] = {}
        for one in kept:
            self._require_of_this_log(one)
            self._kept.setdefault(one.size, []).append(one)
        if self._first in self._kept:
            self._hold_to(self._kept[self._first])

    @property
    def count(self) -> int:
        return self._next - self._first

    def take(self, number: int, line: bytes) -> None:
        if self._next == self._checkpoint.size:
            raise BundleError("the log has no more entries than this", line=number)
        try:
            self._leaves.append(self._verified_leaf(parse_entry(line)))
        except EvidenceError as fault:
            raise BundleError(str(fault), line=number, index=self._next) from fault
        self._next += 1
        if len(self._leaves) == _BATCH:
            self._plant()
        if self._next in self._kept:
            self._hold_to(self._kept[self._next])

    def finish(self) -> None:
        if self._next != self._checkpoint.size:
            raise BundleError("missing", index=self._next)
        self._plant()
        if self._tree.root() != self._checkpoint.root:
            raise BundleError("the entries do not have the root that was signed")

    def _require_of_this_log(self, kept: Checkpoint) -> None:
        if kept.origin != self._checkpoint.origin:
            raise BundleError(f"what was kept is of another log, {kept.origin}")
        if kept.size > self._checkpoint.size:
            raise BundleError(
                f"the log had {kept.size} entries once, and now {self._checkpoint.size}"
            )
        if kept.size < self._first:
            raise BundleError(
                f"what was kept is of {kept.size} entries, and the first {self._first} were dropped since: "
                "hold an export from before that to it"
            )

    def _hold_to(self, kept: Sequence[Checkpoint]) -> None:
        self._plant()
        if any(self._tree.root() != one.root for one in kept):
            raise BundleError(
                f"the first {self._next} entries are not those that the log signed for before: "
                "it was rewritten"
            )

    def _verified_leaf(self, found: EntryLine) -> bytes:
        if found.index != self._next:
            raise EvidenceError(f"its place is taken by entry {found.index}")
        if found.path is not None:
            raise EvidenceError("an entry of a whole log has no path")
        _require_own_leaf(found)
        return found.leaf

    def _plant(self) -> None:
        self._tree = self._tree.extend(self._leaves)
        self._leaves.clear()


class _Selection:
    """Takes entries by rising index and verifies the path of each."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._next = 0
        self.count = 0

    def take(self, number: int, line: bytes) -> None:
        try:
            found = parse_entry(line)
            self._verify(found)
        except EvidenceError as fault:
            raise BundleError(str(fault), line=number, index=stated_index(line)) from fault
        self.count += 1
        self._next = found.index + 1

    def finish(self) -> None:
        """Leave nothing to do: every entry was verified when it was taken."""

    def _verify(self, found: EntryLine) -> None:
        if found.index < self._next:
            raise EvidenceError("out of turn")
        if found.path is None:
            raise EvidenceError("the path is missing")
        _require_own_leaf(found)
        proof = InclusionProof(found.index, self._checkpoint.size, found.path)
        verify_inclusion(found.leaf, proof, self._checkpoint.root)


def _open_header(
    line: bytes, trusted_key: VerifierKey | None
) -> tuple[Header, VerifierKey, Checkpoint]:
    header = parse_header(line)
    key = parse_verifier_key(header.verifier_key)
    checkpoint = verify_checkpoint(header.checkpoint, key)
    if trusted_key is None or key == trusted_key:
        return header, key, checkpoint
    try:
        # While one key takes over from another, the log signs with both.
        verify_checkpoint(header.checkpoint, trusted_key)
    except EvidenceError:
        raise EvidenceError(
            "the bundle names another key than the trusted one, which did not sign"
        ) from None
    return header, trusted_key, checkpoint


def _require_own_leaf(found: EntryLine) -> None:
    if leaf_hash(found.entry) != found.leaf:
        raise EvidenceError("it does not have the leaf hash recorded for it")
