"""The shards of the evidence logs, as the Audit that they belong to asks them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused
from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings
from caracal_server.ports.evidence import EvidenceQuery, StoredEntry


class KnownTree(msgspec.Struct, frozen=True):
    """The tree of a shard's log that was recorded last."""

    size: int
    root: bytes


class Grown(msgspec.Struct, frozen=True):
    """The newest checkpoint of a shard's log, and how its tree continues the one that was asked about.

    Attributes:
        note: empty where there is nothing any more of a log that was asked about.
        keys: those that sign for the log now (c2sp.org/signed-note).
        hashes: the consistency proof; empty from size 0 on, and where it can not be made.
    """

    zone_id: ZoneId
    note: str
    keys: tuple[str, ...]
    hashes: tuple[bytes, ...] = ()


class Found(msgspec.Struct, frozen=True):
    """Entries of a shard, newest first, and what opens their commitments, by index."""

    entries: tuple[StoredEntry, ...]
    openings: dict[int, Openings] = {}


class Shredding(msgspec.Struct, frozen=True):
    """Whose openings are erased, or of when, on whose behalf: either a person or an instant."""

    zone_id: ZoneId
    why: str
    actor: str
    request: str
    person: User | None = None
    before: datetime | None = None


class Shredded(msgspec.Struct, frozen=True):
    """Of how many entries openings were erased; `index` is of the entry that says so, null if of none."""

    count: int
    index: int | None


class Shard(Protocol):
    """One shard. It answers for the state of its own store when it was asked."""

    async def grown(self, known: Mapping[ZoneId, KnownTree]) -> tuple[Grown, ...]:
        """Every log of the shard whose newest checkpoint is not of the tree that is known.

        Raises:
            Unavailable: it does not answer.
        """
        ...

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> Found:
        """One page of a search.

        Raises:
            Unavailable: as above.
        """
        ...

    async def shred(self, shredding: Shredding) -> Shredded:
        """Erase, on record there.

        Raises:
            Unavailable: it may not be done; doing it again goes on.
        """
        ...

    async def receipt(self, reference: str, *, witnessed: bool) -> str | Refused:
        """The receipt that a reference of the shard's stands for.

        Raises:
            Unavailable: as above.
        """
        ...
