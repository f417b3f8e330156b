"""One log's way to one sink: plan a batch, deliver it, write down that it is delivered."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec
import structlog

from caracal.authority.events import Kind
from caracal_server.ports.clock import Clock
from caracal_server.shipping.batches import Batch, Log, read_line, same_day
from caracal_server.shipping.cursors import Cursor, CursorFile, CursorUnreadable
from caracal_server.shipping.parts import (
    ArchiveSink,
    Recorder,
    Sink,
    Source,
    SourceFailed,
    StoredFile,
    Undelivered,
)

LONGEST_WAIT: Final = 300.0
MAX_UNRECORDED: Final = 1000

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a sink takes entries: at most so many at once, waiting so long for more; from where."""

    batch_entries: int
    every_seconds: float
    begin: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A sink that is an archive, and how Audit is told."""

    archive: ArchiveSink
    recorder: Recorder


class Lane:
    """Takes entries in order; none is passed by. `step` is called by one task at a time."""

    def __init__(
        self,
        log: Log,
        sink_name: str,
        sink: Sink,
        pace: Pace,
        source: Source,
        file: CursorFile,
        clock: Clock,
        *,
        recording: Recording | None = None,
    ) -> None:
        self.log = log
        self.sink_name = sink_name
        self._sink = sink
        self._pace = pace
        self._source = source
        self._file = file
        self._clock = clock
        self._recording = recording
        self._cursor: Cursor | None = None
        self._most = pace.batch_entries
        self._raw_at = -1
        self._taken_apart = False
        self._waiting_since: float | None = None
        self._failures = 0

    async def attempt(self, *, now: bool) -> tuple[bool, float]:
        """Do one step: whether something was done, and the seconds to wait when it failed.

        Args:
            now: deliver what there is, without waiting for a batch to fill.
        """
        try:
            done = await self._step(now=now)
        except (Undelivered, SourceFailed, CursorUnreadable, OSError) as fault:
            taken_apart, self._taken_apart = self._taken_apart, False
            if taken_apart and isinstance(fault, Undelivered) and not fault.wait:
                self._tell_failure(fault, 0.0)
                return True, 0.0
            self._failures += 1
            asked = fault.wait if isinstance(fault, Undelivered) else 0.0
            wait = max(asked, min(2.0 ** min(self._failures - 1, 16), LONGEST_WAIT))
            self._tell_failure(fault, wait)
            return False, wait
        self._failures = 0
        return done, 0.0

    async def _step(self, *, now: bool) -> bool:
        if self._cursor is None:
            self._cursor = self._file.load(self.log.origin)
        cursor = self._cursor
        if not cursor.planned and cursor.next_index < self._pace.begin:
            cursor = self._keep(msgspec.structs.replace(cursor, next_index=self._pace.begin))
        size = await self._source.size(self.log)
        waiting = size - cursor.next_index
        if waiting < 0:
            raise SourceFailed(
                f"the log has {size} entries, and {cursor.next_index} were delivered"
            )
        if not (cursor.planned or (waiting and self._due(waiting, now=now))):
            await self._record()
            return False
        batch = await self._plan(cursor, size)
        await self._deliver(batch)
        await self._record()
        return True

    def _due(self, waiting: int, *, now: bool) -> bool:
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()
        waited = self._clock.monotonic() - self._waiting_since
        return now or waiting >= self._most or waited >= self._pace.every_seconds

    async def _plan(self, cursor: Cursor, size: int) -> Batch:
        first = cursor.next_index
        end = cursor.planned or min(first + self._most, size)
        lines = tuple(map(read_line, await self._source.read(self.log, first, end)))
        if not cursor.planned:
            lines = lines[: same_day(lines)]
            end = first + len(lines)
            self._keep(msgspec.structs.replace(cursor, planned=end))
        return Batch(self.log, first, end, lines, raw=first == self._raw_at)

    async def _deliver(self, batch: Batch) -> None:
        try:
            stored = await self._handed_over(batch)
        except Undelivered as fault:
            if fault.refused:
                self._take_less(batch)
            raise
        self._waiting_since = None
        self._most = min(self._most * 2, self._pace.batch_entries)
        cursor = self._required
        files = cursor.unrecorded
        if self._recording is not None and stored is not None:
            files = (*files, stored)
        self._keep(
            msgspec.structs.replace(
                cursor,
                next_index=batch.end,
                planned=0,
                unrecorded=files,
                delivered_at=self._clock.now(),
            )
        )
        _log.info(
            "delivered",
            sink=self.sink_name,
            zone=self.log.zone,
            first=batch.first,
            end=batch.end,
        )

    async def _handed_over(self, batch: Batch) -> StoredFile | None:
        """What an entry holds may be more than a form can say: then it is for the bare envelope."""
        try:
            return await self._sink.deliver(batch)
        except (ValueError, TypeError, OverflowError) as fault:
            why = f"can not be rendered ({type(fault).__name__})"
            raise Undelivered(why, refused=True) from None

    def _take_less(self, batch: Batch) -> None:
        """Try what was refused in smaller batches, at once; an entry refused by itself goes as it is."""
        if batch.end - batch.first > 1:
            self._most = max(1, (batch.end - batch.first) // 2)
            self._keep(msgspec.structs.replace(self._required, planned=0))
            self._taken_apart = True
        elif not batch.raw:
            self._raw_at = batch.first
            self._taken_apart = True

    async def _record(self) -> None:
        """Put on record what was stored, unless that holds nothing but such records themselves."""
        unrecorded = self._required.unrecorded
        files = without_gap(unrecorded)
        if self._recording is None or not files:
            return
        more = len(files) < len(unrecorded) or len(files) >= MAX_UNRECORDED
        if not more and not await self._holds_more_than_records(files):
            return
        first, end = files[0].first_index, files[-1].end_index
        manifest = b"".join(msgspec.json.encode(one, order="sorted") + b"\n" for one in files)
        name = f"manifests/zone={self.log.zone}/{first:016d}-{end:016d}.jsonl"
        archive = self._recording.archive
        await archive.put(name, manifest)
        digest = sha256(manifest).hexdigest()
        await self._recording.recorder.record(self.log, first, end, archive.destination, digest)
        rest = unrecorded[len(files) :]
        self._keep(msgspec.structs.replace(self._required, unrecorded=rest))

    async def _holds_more_than_records(self, files: tuple[StoredFile, ...]) -> bool:
        first, end = files[0].first_index, files[-1].end_index
        if end - first > MAX_UNRECORDED:
            return True
        lines = map(read_line, await self._source.read(self.log, first, end))
        return any(it.entry is None or it.entry.kind is not Kind.EVIDENCE_EXPORT for it in lines)

    @property
    def _required(self) -> Cursor:
        if self._cursor is None:
            raise CursorUnreadable("the cursor was not read")
        return self._cursor

    def _keep(self, cursor: Cursor) -> Cursor:
        self._file.save(cursor)
        self._cursor = cursor
        return cursor

    def _tell_failure(self, fault: Exception, wait: float) -> None:
        _log.warning(
            "not delivered",
            sink=self.sink_name,
            zone=self.log.zone,
            next=self._cursor.next_index if self._cursor is not None else None,
            why=str(fault),
            attempts=self._failures,
            again_in_seconds=wait,
        )


def without_gap(files: tuple[StoredFile, ...]) -> tuple[StoredFile, ...]:
    """The first files, up to where `begin` passed over entries: those are stored nowhere."""
    for place in range(1, len(files)):
        if files[place].first_index != files[place - 1].end_index:
            return files[:place]
    return files
