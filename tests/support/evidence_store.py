"""An `EvidenceStore` in memory that obeys the port, and one whose writes fail on demand."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings
from caracal.evidence.tiles import Tile
from caracal_server.ports.evidence import (
    Erasure,
    EvidenceQuery,
    LogBatch,
    LogPosition,
    Redact,
    ShredBefore,
    ShredPerson,
    StoredCheckpoint,
    StoredEntry,
    StoredOpenings,
)


@dataclass
class StoredLog:
    """One zone's log; tests reach in to tamper."""

    position: LogPosition = field(default_factory=lambda: LogPosition(0, ()))
    entries: list[StoredEntry] = field(default_factory=list)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    checkpoints: dict[int, StoredCheckpoint] = field(default_factory=dict)
    openings: dict[int, StoredOpenings] = field(default_factory=dict)
    persons: dict[User, str] = field(default_factory=dict)
    erasures: dict[int, Erasure] = field(default_factory=dict)


class MemoryEvidenceStore:
    """Keeps every log until the process ends."""

    def __init__(self) -> None:
        self.logs: dict[ZoneId, StoredLog] = {}
        self.commits = 0

    def log(self, zone_id: ZoneId) -> StoredLog:
        return self.logs.setdefault(zone_id, StoredLog())

    async def position(self, zone_id: ZoneId) -> LogPosition:
        return self.log(zone_id).position

    async def commit(self, batches: Sequence[LogBatch]) -> None:
        for batch in batches:
            if self.log(batch.zone_id).position.size != batch.before.size:
                raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "another process wrote to the log")
        for batch in batches:
            log = self.log(batch.zone_id)
            log.entries.extend(batch.entries)
            log.nodes.update({(node.level, node.index): node.hash for node in batch.nodes})
            log.position = batch.after
            for one in batch.openings:
                called = one.person and log.persons.setdefault(one.person, one.pseudonym)
                log.openings[one.index] = msgspec.structs.replace(one, pseudonym=called or "")
            for index, erasure in batch.erasures:
                log.erasures[index] = erasure
                if isinstance(erasure, ShredPerson):
                    log.persons = _without(log.persons, erasure.pseudonym)
        self.commits += 1

    async def save_checkpoint(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> None:
        log = self.log(zone_id)
        if checkpoint.size > log.position.size:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "it covers entries not stored")
        log.checkpoints[checkpoint.size] = checkpoint

    async def latest_checkpoint(self, zone_id: ZoneId) -> StoredCheckpoint | None:
        signed = self.log(zone_id).checkpoints
        return signed[max(signed)] if signed else None

    async def latest_checkpoints(self) -> dict[ZoneId, StoredCheckpoint]:
        return {
            zone_id: log.checkpoints[max(log.checkpoints)]
            for zone_id, log in self.logs.items()
            if log.checkpoints
        }

    async def checkpoints(
        self, zone_id: ZoneId, *, below: int | None, limit: int
    ) -> tuple[StoredCheckpoint, ...]:
        signed = self.log(zone_id).checkpoints
        sizes = sorted((size for size in signed if below is None or size < below), reverse=True)
        return tuple(signed[size] for size in sizes[:limit])

    async def entry(self, zone_id: ZoneId, index: int) -> StoredEntry | None:
        found = (entry for entry in self.log(zone_id).entries if entry.index == index)
        return next(found, None)

    async def nodes(
        self, zone_id: ZoneId, wanted: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], bytes]:
        nodes = self.log(zone_id).nodes
        return {place: nodes[place] for place in wanted if place in nodes}

    async def tile(self, zone_id: ZoneId, tile: Tile) -> bytes | None:
        first = tile.start >> 8 * tile.level
        wanted = [(8 * tile.level, first + at) for at in range(tile.width)]
        found = await self.nodes(zone_id, wanted)
        return b"".join(found.values()) if len(found) == tile.width else None

    async def first_kept(self, zone_id: ZoneId) -> int:
        entries = self.log(zone_id).entries
        return entries[0].index if entries else 0

    async def drop(self, zone_id: ZoneId, stop: int) -> None:
        log = self.log(zone_id)
        if stop % 256 or not 0 <= stop < log.position.size:
            raise ValueError("whole bundles are dropped, and never the last")
        log.entries = [entry for entry in log.entries if entry.index >= stop]

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> tuple[StoredEntry, ...]:
        log = self.log(zone_id)
        found = [entry for entry in log.entries if _matches(entry, query)]
        if query.person is not None:
            called = log.persons.get(query.person, "nobody")
            query = replace(query, pseudonym=called if query.pseudonym in {None, called} else "")
        if query.pseudonym is not None:
            about = {i for i, one in log.openings.items() if one.pseudonym == query.pseudonym}
            found = [entry for entry in found if entry.index in about]
        found.sort(key=lambda entry: entry.index, reverse=not query.ascending)
        return tuple(found[: query.limit])

    async def scan(self, zone_id: ZoneId, start: int, stop: int) -> AsyncIterator[StoredEntry]:
        for entry in list(self.log(zone_id).entries):
            if start <= entry.index < stop:
                yield entry

    async def openings(self, zone_id: ZoneId, indexes: Sequence[int]) -> dict[int, Openings]:
        held = self.log(zone_id).openings
        return {index: held[index].openings for index in indexes if index in held}

    async def pseudonym(self, zone_id: ZoneId, person: User) -> str | None:
        return self.log(zone_id).persons.get(person)

    async def count_erased(self, zone_id: ZoneId, erasure: Erasure) -> int:
        held = self.log(zone_id).openings.values()
        return sum(_is_erased(one, one.index + 1, erasure) for one in held)

    async def erase(self, zone_id: ZoneId, recorded: int, erasure: Erasure) -> None:
        log = self.log(zone_id)
        for index, one in list(log.openings.items()):
            if not _is_erased(one, recorded, erasure):
                continue
            left = dict(one.openings)
            if isinstance(erasure, Redact):
                del left[erasure.field]
            else:
                left.clear()
            named = one.pseudonym if "subject" in left or "target" in left else ""
            log.openings[index] = msgspec.structs.replace(one, openings=left, pseudonym=named)
            if not left:
                del log.openings[index]
        about = {one.pseudonym for one in log.openings.values()}
        log.persons = {user: name for user, name in log.persons.items() if name in about}
        log.erasures.pop(recorded, None)

    async def waiting_erasures(self, zone_id: ZoneId) -> tuple[int, ...]:
        return tuple(sorted(self.log(zone_id).erasures))


def _is_erased(one: StoredOpenings, stop: int, erasure: Erasure) -> bool:
    match erasure:
        case ShredPerson(pseudonym):
            return one.pseudonym == pseudonym
        case ShredBefore(at_us):
            return one.index < stop and one.at < at_us
        case Redact(index, name):
            return one.index == index and name in one.openings


def _without(persons: dict[User, str], pseudonym: str) -> dict[User, str]:
    return {user: name for user, name in persons.items() if name != pseudonym}


class Fault(Enum):
    """When a write fails: before anything is stored, or after everything is."""

    BEFORE = "before"
    AFTER = "after"


class FaultyEvidenceStore(MemoryEvidenceStore):
    """Fails the writes that `faults` lists, one after the other, and every read while `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault | None] = []
        self.down = False

    async def position(self, zone_id: ZoneId) -> LogPosition:
        self._require_up()
        return await super().position(zone_id)

    async def commit(self, batches: Sequence[LogBatch]) -> None:
        self._require_up()
        fault = self.faults.pop(0) if self.faults else None
        if fault is Fault.BEFORE:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "failed before storing")
        await super().commit(batches)
        if fault is Fault.AFTER:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "failed after storing")

    async def save_checkpoint(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> None:
        self._require_up()
        fault = self.faults.pop(0) if self.faults else None
        if fault is Fault.BEFORE:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "failed before storing")
        await super().save_checkpoint(zone_id, checkpoint)
        if fault is Fault.AFTER:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "failed after storing")

    async def scan(self, zone_id: ZoneId, start: int, stop: int) -> AsyncIterator[StoredEntry]:
        async for entry in super().scan(zone_id, start, stop):
            self._require_up()
            yield entry

    def _require_up(self) -> None:
        if self.down:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the store is down")


def _matches(stored: StoredEntry, query: EvidenceQuery) -> bool:
    entry = msgspec.json.decode(stored.data, type=Entry)
    if query.after_index is not None:
        ahead = stored.index - query.after_index
        if (ahead <= 0) if query.ascending else (ahead >= 0):
            return False
    wanted = {
        "request": query.request,
        "session": query.session,
        "application": query.application,
        "kind": query.kind,
        "verdict": query.verdict,
    }
    wanted |= {
        name: getattr(query, name)
        for name in ("mandate", "policy", "reason", "instance", "target", "actor")
    }
    if any(value is not None and getattr(entry, name) != value for name, value in wanted.items()):
        return False
    among = (
        (query.delegation, entry.delegations),
        (query.resource, (*entry.resource.split(), *entry.asked)),
        (query.scope, entry.scopes.split()),
        (query.deciding, entry.policies),
    )
    if any(value is not None and value not in values for value, values in among):
        return False
    if query.operation is not None and not entry.operation.startswith(query.operation):
        return False
    since = query.since is None or entry.at >= query.since.timestamp() * 1_000_000
    until = query.until is None or entry.at < query.until.timestamp() * 1_000_000
    return since and until
