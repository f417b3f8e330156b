"""Calls whose process ended before it could say what became of them: each gets a result that says so.

A process that admits calls is over once a later one of its kind has recorded its start. Audit then goes
through what it recorded, gives every admitted call without a result one of the class `outcome_unknown`,
and records an `evidence.settle`: that entry is the cursor. Nothing is marked twice, whatever fails.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import structlog

from caracal.authority.events import ENTRY_FORMAT, CallError, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal_server.audit.logs import Logs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import SYSTEM_LOG, EvidenceQuery, EvidenceStore, StoredEntry

ADMITTING: Final = frozenset({"caracal", "caracal gateway"})
"""What the `service.start` of a process that admits calls says started."""
STARTS_AT_ONCE: Final = 100
APPENDS_AT_ONCE: Final = 200

_log = structlog.get_logger("caracal.audit")
_decode = msgspec.json.Decoder(Entry).decode
_NOTHING: Final = Entry(format=ENTRY_FORMAT, kind=Kind.EVIDENCE_SETTLE, zone="", at=0, request="")


class Unfinished:
    """Marks what processes before left open. Reads at the pace of the sweep, and holds nobody up.

    Args:
        grace_s: how long a process may go on after the start of the next one.
    """

    def __init__(
        self, store: EvidenceStore, sequencer: Sequencer, logs: Logs, clock: Clock, grace_s: float
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._logs = logs
        self._clock = clock
        self._grace_s = grace_s
        self._wanted = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin soon: a process has recorded its start, or Audit has begun."""
        self._wanted.set()
        if self._task is None and not self._closing.is_set():
            self._task = asyncio.create_task(self._run(), name="unfinished calls")

    async def close(self) -> None:
        """End between two reads."""
        self._closing.set()
        self._wanted.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    async def settle(self) -> None:
        """Mark what every process but the last left open, the oldest first.

        Raises:
            Unavailable: some may not be marked; doing it again goes on.
        """
        for instance in await self._over():
            marked = 0
            for zone_id in self._logs.all():
                marked += await self._mark(zone_id, await self._open_calls(zone_id, instance))
            if self._closing.is_set():
                return
            await self._sequencer.append(self._settled(instance, marked))
            if marked:
                _log.warning("outcomes_unknown", instance=instance, calls=marked)

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            await self._pause(self._grace_s)
            try:
                await self.settle()
            except Unavailable as fault:
                _log.warning("marking_interrupted", reason=fault.reason.value)
                self._wanted.set()
                await self._pause(self._logs.settings.retry_interval.total_seconds())

    async def _over(self) -> Sequence[str]:
        """Processes that admitted calls, have a successor and are not settled, the oldest first.

        They are settled in this order, so that all before a settled one are.
        """
        query = EvidenceQuery(kind=Kind.SERVICE_START, limit=STARTS_AT_ONCE)
        found: list[str] = []
        last = True
        async for start in self._pages(SYSTEM_LOG, query):
            entry = _read(start)
            if entry.target not in ADMITTING:
                continue
            if not last:
                if await self._is_settled(entry.request):
                    break
                found.append(entry.request)
            last = False
        return found[::-1]

    async def _is_settled(self, instance: str) -> bool:
        query = EvidenceQuery(kind=Kind.EVIDENCE_SETTLE, target=instance, limit=1)
        return bool(await self._store.search(SYSTEM_LOG, query))

    async def _open_calls(self, zone_id: ZoneId, instance: str) -> Sequence[Entry]:
        limit = self._logs.settings.sweep_batch
        query = EvidenceQuery(instance=instance, limit=limit, ascending=True)
        calls: dict[str, Entry] = {}
        async for found in self._pages(zone_id, query):
            entry = _read(found)
            if entry.kind is Kind.CALL and entry.verdict is Verdict.ALLOW:
                calls[entry.mandate] = entry
            elif entry.kind is Kind.CALL_RESULT:
                calls.pop(entry.mandate, None)
        return () if self._closing.is_set() else tuple(calls.values())

    async def _pages(self, zone_id: ZoneId, query: EvidenceQuery) -> AsyncIterator[StoredEntry]:
        while page := await self._store.search(zone_id, query):
            for found in page:
                yield found
            if len(page) < query.limit:
                return
            query = replace(query, after_index=page[-1].index)
            await self._pause(len(page) / self._logs.settings.sweep_rate)
            if self._closing.is_set():
                return

    async def _mark(self, zone_id: ZoneId, calls: Sequence[Entry]) -> int:
        now = self._clock.now_us()
        for start in range(0, len(calls), APPENDS_AT_ONCE):
            group = calls[start : start + APPENDS_AT_ONCE]
            marks = (self._sequencer.append(_unknown(zone_id, call, now)) for call in group)
            for outcome in await asyncio.gather(*marks, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        return len(calls)

    def _settled(self, instance: str, marked: int) -> Entry:
        return Entry(
            format=ENTRY_FORMAT,
            kind=Kind.EVIDENCE_SETTLE,
            zone=SYSTEM_LOG,
            at=self._clock.now_us(),
            request=instance,
            target=instance,
            detail=f"of {marked} calls the outcome is unknown",
        )

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def _read(found: StoredEntry) -> Entry:
    """An entry; one that somebody made unreadable is the sweep's to report, and says nothing here."""
    try:
        return _decode(found.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _NOTHING


def _unknown(zone_id: ZoneId, call: Entry, now: int) -> Entry:
    """The result of a call of which nobody knows the result: it names the process that admitted it."""
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL_RESULT,
        zone=zone_id,
        at=now,
        request=call.request,
        detail="the process ended before it recorded what became of the call",
        application=call.application,
        session=call.session,
        resource=call.resource,
        mandate=call.mandate,
        answers=call.request,
        instance=call.instance,
        error=CallError.OUTCOME_UNKNOWN,
    )
