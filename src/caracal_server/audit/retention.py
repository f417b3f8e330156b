"""Retention: dropping the beginning of a log, never silently and only what was exported."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.tiles import WIDTH
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog, EvidenceQuery, EvidenceStore, StoredEntry

PAGE: Final = 500

_decode = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True, slots=True)
class Dropped:
    """Entries `first` to `end` (exclusive) are gone; `entry` is the index of the entry that says so."""

    first: int
    end: int
    entry: int


def _no_shards(_zone_id: ZoneId) -> Iterable[str]:
    return ()


class Retention:
    """Drops whole entry bundles from the front of logs."""

    def __init__(
        self,
        store: EvidenceStore,
        evidence: EvidenceLog,
        clock: Clock,
        shard_logs: Callable[[ZoneId], Iterable[str]] = _no_shards,
    ) -> None:
        """Take what it needs; `shard_logs` names those whose newest checkpoint a log must keep."""
        self._shard_logs = shard_logs
        self._store = store
        self._evidence = evidence
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def drop(
        self, zone_id: ZoneId, before: int | datetime, actor: str, request: str
    ) -> Dropped | Refused:
        """Drop the whole bundles before an entry, or before the first entry of an instant or later.

        Raises:
            Unavailable: it may be on record and not be done, or not whole; doing it again goes on.
        """
        async with self._one_at_a_time:
            size = (await self._store.position(zone_id)).size
            if isinstance(before, datetime):
                before = await self._first_since(zone_id, before, size)
            first = await self._store.first_kept(zone_id)
            end = min(before, max(size - 1, 0)) // WIDTH * WIDTH
            if end <= first:
                return Refused(
                    Reason.REQUEST_MALFORMED,
                    f"there is no whole bundle of {WIDTH} entries from entry {first} to entry {before}",
                )
            covered = covered_from(first, await self._exports(zone_id))
            if covered < end:
                return Refused(
                    Reason.EVIDENCE_NOT_EXPORTED,
                    f"the entries from entry {covered} on have not been exported",
                )
            await self._keep_anchors(zone_id, end)
            receipt = await self._evidence.append(
                Entry(
                    format=ENTRY_FORMAT,
                    kind=Kind.EVIDENCE_DROP,
                    zone=zone_id,
                    at=self._clock.now_us(),
                    request=request,
                    verdict=Verdict.ALLOW,
                    actor=actor,
                    first_index=first,
                    end_index=end,
                )
            )
            await self._store.drop(zone_id, end)
            return Dropped(first, end, receipt.index)

    async def _keep_anchors(self, zone_id: ZoneId, end: int) -> None:
        """Record again what is known of shards, where it would go: without it a shard could be set back."""
        for log in self._shard_logs(zone_id):
            query = EvidenceQuery(kind=Kind.SHARD_CHECKPOINT, target=log, limit=1)
            for stored in await self._store.search(zone_id, query):
                if stored.index < end:
                    await self._evidence.append(
                        msgspec.structs.replace(_decode(stored.data), at=self._clock.now_us())
                    )

    async def _first_since(self, zone_id: ZoneId, instant: datetime, size: int) -> int:
        query = EvidenceQuery(since=instant, limit=1, ascending=True)
        found = await self._store.search(zone_id, query)
        return found[0].index if found else size

    async def _exports(self, zone_id: ZoneId) -> list[tuple[int, int]]:
        query = EvidenceQuery(kind=Kind.EVIDENCE_EXPORT, limit=PAGE)
        exports: list[tuple[int, int]] = []
        while page := await self._store.search(zone_id, query):
            exports += [_range(found) for found in page]
            query = replace(query, after_index=page[-1].index)
        return exports


def covered_from(first: int, ranges: Iterable[tuple[int, int]]) -> int:
    """How far ranges of entries reach from `first` on without a gap."""
    for start, end in sorted(ranges):
        if start <= first < end:
            first = end
    return first


def dropped_by(stored: StoredEntry) -> int:
    """Up to which entry a log was dropped, as one of its entries says; 0 if it says nothing of that."""
    try:
        entry = _decode(stored.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    return entry.end_index if entry.kind is Kind.EVIDENCE_DROP else 0


def _range(stored: StoredEntry) -> tuple[int, int]:
    """What an entry says was exported; one that somebody made unreadable covers nothing."""
    try:
        entry = _decode(stored.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0, 0
    return entry.first_index, entry.end_index
