"""Evidence: appending to the log, and reading it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings
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


class Committable(StrEnum):
    """Fields that may be committed to besides those that say who a person is."""

    ACTOR = "actor"
    ANSWER = "answer"
    APPLICATION_NAME = "application_name"
    ARGUMENT_VALUES = "argument_values"
    ARGUMENTS = "arguments"
    BODY = "body"
    DETAIL = "detail"
    OPERATION = "operation"


class StoredOpenings(msgspec.Struct, frozen=True):
    """What opens the commitments of one entry.

    Attributes:
        person: the user that the entry is about.
        pseudonym: random; what the log calls the person from here on, unless it calls them something
            already.
    """

    index: int
    at: int
    openings: Openings
    person: User | None = None
    pseudonym: str = ""


@dataclass(frozen=True, slots=True)
class ShredPerson:
    """Erase what opens commitments about the person of that pseudonym."""

    pseudonym: str


@dataclass(frozen=True, slots=True)
class ShredBefore:
    """Erase what opens commitments of entries decided before an instant."""

    at_us: int


@dataclass(frozen=True, slots=True)
class Redact:
    """Erase what opens one commitment; if it says who a person is, also what the log calls them there."""

    index: int
    field: str


Erasure = ShredPerson | ShredBefore | Redact
"""What is erased of the openings of entries before the one that records it. The entries stay."""


class LogBatch(msgspec.Struct, frozen=True):
    """What one group commit adds to one zone's log, all or nothing."""

    zone_id: ZoneId
    before: LogPosition
    after: LogPosition
    entries: tuple[StoredEntry, ...]
    records: tuple[Entry, ...]
    nodes: tuple[TreeNode, ...]
    openings: tuple[StoredOpenings, ...] = ()
    erasures: tuple[tuple[int, Erasure], ...] = ()
    """What entries of the batch record, by their indexes. From then on they wait to be done; a person that
    is to be forgotten is somebody new to entries that follow."""


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """Filters that all have to hold; `None` does not filter. Newest first unless `ascending`.

    Attributes:
        delegation, resource, scope, deciding: one of those of an entry; `deciding` is a policy's id.
        operation: how the operation begins.
        policy: the digest of the version that was asked.
        person: the user that an entry is about, as long as the log can tell.
        pseudonym: likewise, by what the log calls them.
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
    person: User | None = None
    pseudonym: str | None = None
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

    async def latest_checkpoints(self) -> Mapping[ZoneId, StoredCheckpoint]:
        """That of every log that has one, asked at once."""
        ...

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

    async def openings(self, zone_id: ZoneId, indexes: Sequence[int]) -> dict[int, Openings]:
        """What opens commitments of these entries, of those that have any left."""
        ...

    async def pseudonym(self, zone_id: ZoneId, person: User) -> str | None:
        """What the log calls a person of whom it holds openings."""
        ...

    async def count_erased(self, zone_id: ZoneId, erasure: Erasure) -> int:
        """Of how many entries openings would be erased now."""
        ...

    async def erase(self, zone_id: ZoneId, recorded: int, erasure: Erasure) -> None:
        """Erase, for good, what entry `recorded` says: of no later entry than that, or of its batch.

        Until this has returned, the erasure is among those that wait. Doing it again does no harm.

        Raises:
            Unavailable: some of it may have been done.
        """
        ...

    async def waiting_erasures(self, zone_id: ZoneId) -> tuple[int, ...]:
        """Indexes of the entries whose erasure has not come to its end."""
        ...
