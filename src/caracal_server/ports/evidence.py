"""Evidence: appending to the log, and reading it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.evidence.tiles import Tile

SYSTEM_LOG: Final = ZoneId("system")
"""The log of what belongs to no zone."""


class Receipt(msgspec.Struct, frozen=True):
    """Where an entry stands in its zone's log.

    Attributes:
        reference: what its proof is fetched with later: for whoever asked, and for nobody else. Empty
            where nothing serves proofs.
    """

    zone_id: ZoneId
    index: int
    leaf_hash: bytes
    reference: str = ""


class EvidenceLog(Protocol):
    """What services write to. Entries of a zone keep the order of the calls."""

    async def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable.

        Raises:
            Unavailable: it may or may not have been recorded; the act must not happen.
        """
        ...

    def enqueue(self, entry: Entry) -> None:
        """Record soon: for results of what already happened. Flushed before the log closes.

        Raises:
            Unavailable: the log is failing and takes no more.
        """
        ...


class StoredEntry(msgspec.Struct, frozen=True):
    """An entry's place and canonical bytes (RFC 8785)."""

    index: int
    data: bytes
    leaf_hash: bytes


class TreeNode(msgspec.Struct, frozen=True):
    """A complete subtree's hash: `level` 0 is a leaf, `index` counts from the left."""

    level: int
    index: int
    hash: bytes


class LogPosition(msgspec.Struct, frozen=True):
    """How far a log has come: its size and the peaks of its tree, largest first."""

    size: int
    peaks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    size: int
    note: str
    at: datetime


class LogBatch(msgspec.Struct, frozen=True):
    """What one group commit adds to one zone's log, all or nothing."""

    zone_id: ZoneId
    before: LogPosition
    after: LogPosition
    entries: tuple[StoredEntry, ...]
    records: tuple[Entry, ...]
    nodes: tuple[TreeNode, ...]


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """Filters that all have to hold; `None` does not filter. Newest first unless `ascending`.

    Attributes:
        delegation, resource, scope, deciding: one of those of an entry; `deciding` is a policy's id.
        operation: how the operation begins.
        policy: the digest of the version that was asked.
    """

    request: str | None = None
    session: str | None = None
    application: str | None = None
    kind: Kind | None = None
    verdict: Verdict | None = None
    delegation: str | None = None
    mandate: str | None = None
    resource: str | None = None
    operation: str | None = None
    scope: str | None = None
    policy: str | None = None
    deciding: str | None = None
    reason: str | None = None
    instance: str | None = None
    target: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after_index: int | None = None
    limit: int = 100
    ascending: bool = False


class EvidenceStore(Protocol):
    """Where logs live."""

    async def position(self, zone_id: ZoneId) -> LogPosition: ...

    async def commit(self, batches: Sequence[LogBatch]) -> None:
        """Store all of them durably in one transaction.

        Raises:
            Unavailable: nothing was stored, or a log's size is not `before.size` any more.
        """
        ...

    async def save_checkpoint(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> None: ...

    async def latest_checkpoint(self, zone_id: ZoneId) -> StoredCheckpoint | None: ...

    async def checkpoints(
        self, zone_id: ZoneId, *, below: int | None, limit: int
    ) -> tuple[StoredCheckpoint, ...]:
        """The newest first, those of sizes under `below` where it is given."""
        ...

    async def entry(self, zone_id: ZoneId, index: int) -> StoredEntry | None: ...

    async def nodes(
        self, zone_id: ZoneId, wanted: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], bytes]: ...

    async def tile(self, zone_id: ZoneId, tile: Tile) -> bytes | None:
        """The hashes of a tile, one after the other; `None` where the log is too short for it."""
        ...

    async def first_kept(self, zone_id: ZoneId) -> int:
        """Index of the first entry that was not dropped; 0 of an empty log."""
        ...

    async def drop(self, zone_id: ZoneId, stop: int) -> None:
        """Drop the entries before `stop`, a multiple of 256, and keep every hash of the tree.

        Raises:
            ValueError: `stop` is none, or the entries from there on would be too few.
            Unavailable: some, from the first on, may have been dropped.
        """
        ...

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> tuple[StoredEntry, ...]: ...

    def scan(self, zone_id: ZoneId, start: int, stop: int) -> AsyncIterator[StoredEntry]:
        """Entries `start` to `stop` exclusive, in order, without loading them all at once."""
        ...
