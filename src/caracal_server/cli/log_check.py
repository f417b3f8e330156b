"""Recomputing a whole log from its entries up, in one pass and constant memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caracal.evidence.checkpoints import Checkpoint, verify_checkpoint_by_any
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey
from caracal.evidence.tiles import (
    HEIGHT,
    WIDTH,
    EntryBundle,
    Tile,
    TileBuilder,
    leaves_of,
    new_bundles,
    parse_bundle,
    split_hashes,
)
from caracal.evidence.tree import EMPTY_ROOT
from caracal.wire.dropped_entries import RecordedDrops
from caracal_server.cli.tile_sources import CHECKPOINT, TileSource, need, read_place


class LogFault(Exception):
    """What is wrong with a log, and the first entry or file at fault where it can be named."""

    def __init__(self, reason: str, *, entry: int | None = None, file: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.entry = entry
        self.file = file


@dataclass(frozen=True, slots=True)
class Whole:
    """A log that was recomputed. `dropped` entries at its beginning are known by their hashes alone."""

    checkpoint: Checkpoint
    dropped: int


def read_checkpoint(source: TileSource, keys: Sequence[VerifierKey]) -> tuple[str, Checkpoint]:
    """Read the checkpoint of a log, and hold it to the log's keys.

    Raises:
        LogFault: it is missing, or none of the keys signed it.
    """
    found = source.read(CHECKPOINT)
    if found is None:
        raise LogFault("there is no checkpoint", file=CHECKPOINT)
    try:
        note = found.decode()
        return note, verify_checkpoint_by_any(note, keys)
    except (EvidenceError, UnicodeDecodeError) as fault:
        raise LogFault(f"the checkpoint: {fault}", file=CHECKPOINT) from None


class LogCheck:
    """One pass over a log."""

    def __init__(self, source: TileSource, checkpoint: Checkpoint) -> None:
        self._source = source
        self._checkpoint = checkpoint
        self._builder = TileBuilder()
        self._dropped = 0
        self._drops = RecordedDrops()

    def run(self, advance: Callable[[int], None]) -> Whole:
        """Recompute everything; `advance` is told of entries.

        Raises:
            LogFault: something is not as it was signed for.
            CommandFailed: the source can not be read.
        """
        for bundle in new_bundles(0, self._checkpoint.size):
            for leaf in self._leaves(bundle):
                for tile, hashes in self._builder.add(leaf):
                    self._require_tile(tile, hashes)
            advance(bundle.width)
        for tile, hashes in self._builder.partial():
            self._require_tile(tile, hashes)
        root = self._builder.root() if self._checkpoint.size else EMPTY_ROOT
        if root != self._checkpoint.root:
            raise LogFault("the entries do not have the root that was signed", file=CHECKPOINT)
        if self._dropped > self._drops.end:
            raise LogFault("entries are missing, and no entry says they were dropped", entry=0)
        return Whole(self._checkpoint, self._dropped)

    def _leaves(self, bundle: EntryBundle) -> tuple[bytes, ...]:
        """The leaf hashes of a bundle, which its entries have and its tile says."""
        tile = Tile(0, bundle.index, bundle.width)
        hashes = split_hashes(self._needed(tile), tile.width)
        try:
            data = read_place(self._source, bundle)
            entries = None if data is None else parse_bundle(data, bundle.width)
        except EvidenceError as fault:
            raise LogFault(str(fault), entry=bundle.start, file=bundle.path) from None
        if entries is None:
            if bundle.start != self._dropped or bundle.width < WIDTH:
                raise LogFault("the bundle is missing", entry=bundle.start, file=bundle.path)
            self._dropped = bundle.end
            return hashes
        leaves = leaves_of(entries)
        for at, (own, said) in enumerate(zip(leaves, hashes, strict=True), bundle.start):
            if own != said:
                raise LogFault(
                    f"it does not have the hash that {tile.path} says", entry=at, file=bundle.path
                )
        for entry in entries:
            self._drops.take(entry)
        return leaves

    def _require_tile(self, tile: Tile, hashes: bytes) -> None:
        if tile.level == 0:
            return  # held to the entries already
        stored = self._needed(tile)
        if stored == hashes:
            return
        pairs = zip(split_hashes(stored, tile.width), split_hashes(hashes, tile.width), strict=True)
        at = next(at for at, (said, own) in enumerate(pairs) if said != own)
        first = (tile.index * WIDTH + at) << HEIGHT * tile.level
        raise LogFault(
            f"the {1 << HEIGHT * tile.level} entries from there on do not lead to what {tile.path} says",
            entry=first,
            file=tile.path,
        )

    def _needed(self, tile: Tile) -> bytes:
        try:
            data = need(self._source, tile)
            split_hashes(data, tile.width)
        except EvidenceError as fault:
            raise LogFault(str(fault), entry=tile.start, file=tile.path) from None
        return data
