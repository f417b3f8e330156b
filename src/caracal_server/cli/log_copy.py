"""Copying a log's tiles into a directory, each held to the checkpoint before it is written."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey
from caracal.evidence.proofs import verify_consistency
from caracal.evidence.tile_reading import VerifiedTiles
from caracal.evidence.tiles import (
    WIDTH,
    EntryBundle,
    Tile,
    edge_tiles,
    leaves_of,
    new_bundles,
    new_tiles,
    parse_bundle,
    tile_at,
)
from caracal.evidence.tree import EMPTY_ROOT
from caracal.wire.dropped_entries import RecordedDrops
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.log_check import LogFault, read_checkpoint
from caracal_server.cli.tile_sources import CHECKPOINT, Directory, TileSource, need, read_place

READABLE = 0o644


@dataclass(slots=True)
class Copied:
    """What a copy added. `dropped` entries had been dropped where they came from."""

    before: int
    checkpoint: Checkpoint
    files: int = 0
    dropped: int = 0


class LogCopy:
    """One copy, from where the directory's own checkpoint ends."""

    def __init__(self, source: TileSource, directory: Path, keys: Sequence[VerifierKey]) -> None:
        """Read both checkpoints, and require that the one continues the other.

        Raises:
            LogFault: it does not, or either does not verify.
        """
        self._source = source
        self._kept = Directory(directory)
        self._note, self._new = read_checkpoint(source, keys)
        before = 0, EMPTY_ROOT
        if (directory / CHECKPOINT).exists():
            _, old = read_checkpoint(self._kept, keys)
            before = old.size, old.root
        self._copied = Copied(before[0], self._new)
        self._from = before[0] // WIDTH * WIDTH
        self._drops = RecordedDrops()
        if before[0] > self._new.size:
            raise LogFault(f"the log went back from {before[0]} entries to {self._new.size}")
        try:
            self._tiles = VerifiedTiles(self._new.size, self._new.root, self._read)
            verify_consistency(self._tiles.consistency(before[0]), before[1], self._new.root)
        except EvidenceError as fault:
            raise LogFault(
                f"the log of {self._new.size} entries does not continue the one of {before[0]} that is "
                f"kept here: {fault}"
            ) from None

    @property
    def size(self) -> int:
        return self._new.size

    def run(self, advance: Callable[[int], None]) -> Copied:
        """Copy what is new, the checkpoint last; `advance` is told of entries.

        Raises:
            LogFault: something does not lead to the checkpoint; it is not written.
            CommandFailed: the source can not be read, or the directory not be written.
        """
        before, size = self._copied.before, self._new.size
        try:
            for tile in new_tiles(before, size):
                self._put(tile.path, b"".join(self._tiles.hashes(tile)))
            for bundle in new_bundles(before, size):
                self._copy_bundle(bundle)
                advance(bundle.width)
            if self._copied.dropped and self._from > self._drops.end:
                raise LogFault("entries are missing, and no entry says they were dropped")
        except EvidenceError as fault:
            raise LogFault(str(fault)) from None
        self._replace(CHECKPOINT, self._note.encode())
        self._clear_partial()
        return self._copied

    def _read(self, tile: Tile) -> bytes:
        """Full tiles from the directory where it has them: they are verified all the same."""
        kept = self._kept.read(tile.path) if tile.width == WIDTH else None
        return need(self._source, tile) if kept is None else kept

    def _copy_bundle(self, bundle: EntryBundle) -> None:
        data = self._kept.read(bundle.path)
        if data is None:
            data = read_place(self._source, bundle)
        if data is None:
            if bundle.width < WIDTH or bundle.start != self._from:
                raise LogFault("the bundle is missing", entry=bundle.start, file=bundle.path)
            self._from = bundle.end
            self._copied.dropped += WIDTH
            return
        try:
            entries = parse_bundle(data, bundle.width)
            leaves = leaves_of(entries)
        except EvidenceError as fault:
            raise LogFault(str(fault), entry=bundle.start, file=bundle.path) from None
        said = self._tiles.hashes(tile_at(0, bundle.index, self._new.size))
        for at, (own, other) in enumerate(zip(leaves, said, strict=True), bundle.start):
            if own != other:
                raise LogFault("it does not lead to the checkpoint", entry=at, file=bundle.path)
        for entry in entries:
            self._drops.take(entry)
        self._put(bundle.path, data)

    def _put(self, path: str, data: bytes) -> None:
        """Write a file that never changes."""
        kept = self._kept.read(path)
        if kept is None:
            self._replace(path, data)
            self._copied.files += 1
        elif kept != data:
            raise LogFault("what is kept here under this name is something else", file=path)

    def _replace(self, path: str, data: bytes) -> None:
        target = self._kept.root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    os.fchmod(stream.fileno(), READABLE)
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(name).replace(target)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as fault:
            raise CommandFailed(
                ExitCode.USAGE, f"can not write {target}: {fault.strerror}"
            ) from None

    def _clear_partial(self) -> None:
        """Remove the partial tiles of the size before where the full one is there now."""
        for tile in edge_tiles(self._copied.before):
            full = Tile(tile.level, tile.index)
            if full.end <= self._new.size:
                places = (full, EntryBundle(tile.index)) if tile.level == 0 else (full,)
                for place in places:
                    if not (self._kept.root / place.path).exists():
                        continue  # its full one was dropped: what is kept is all there is
                    shutil.rmtree(self._kept.root / f"{place.path}.p", ignore_errors=True)
