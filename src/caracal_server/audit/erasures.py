"""Erasing what opens commitments: first on record, then done, and gone on with whatever came between.

The entry alone says what is to be erased, in its `target`. Storing it makes the erasure wait, in the same
transaction, until it has been done.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.audit.logs import Logs
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import (
    Erasure,
    EvidenceLog,
    EvidenceStore,
    Redact,
    ShredBefore,
    ShredPerson,
)
from caracal_server.ports.shards import Shredded, Shredding

_PERSON: Final = "person"
_BEFORE: Final = "before"
_ENTRY: Final = "entry"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_decode = msgspec.json.Decoder(Entry).decode
_log = structlog.get_logger("caracal.audit")


class Erasures:
    """Shreds and redacts, for operators."""

    def __init__(
        self, store: EvidenceStore, evidence: EvidenceLog, logs: Logs, clock: Clock
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._logs = logs
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._resuming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on with what was on record and not done when the process before ended."""
        self._resuming = asyncio.create_task(self._resume(), name="evidence erasures")

    async def close(self) -> None:
        """End; what waits is gone on with by the next process."""
        task, self._resuming = self._resuming, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def shred(self, asked: Shredding) -> Shredded | Refused:
        """Erase what opens commitments about a person, or of entries decided before an instant.

        Nothing goes on record if there is nothing to erase.

        Raises:
            Unavailable: it may be on record and not be done; the next start, or doing it again, goes on.
        """
        refused = _unfit(asked)
        if refused is not None:
            return refused
        async with self._one_at_a_time:
            await self._go_on(asked.zone_id)
            erasure = await self._erasure(asked)
            if erasure is None:
                return Shredded(0, None)
            return await self._erase(asked.zone_id, erasure, asked.why, asked.actor, asked.request)

    async def _erasure(self, asked: Shredding) -> Erasure | None:
        """What is to be erased; `None` where the log knows nothing of the person."""
        if asked.before is not None:
            return ShredBefore((asked.before - _EPOCH) // _MICROSECOND)
        if asked.person is None:
            return None
        pseudonym = await self._store.pseudonym(asked.zone_id, asked.person)
        return None if pseudonym is None else ShredPerson(pseudonym)

    async def redact(
        self, zone_id: ZoneId, erasure: Redact, why: str, actor: str, request: str
    ) -> Shredded | Refused:
        """Erase what opens one commitment of one entry.

        Raises:
            Unavailable: as `shred`.
        """
        stored = await self._store.entry(zone_id, erasure.index)
        if stored is None:
            return Refused(Reason.REQUEST_MALFORMED, f"the log has no entry {erasure.index}")
        if erasure.field not in _decode(stored.data).committed:
            return Refused(
                Reason.REQUEST_MALFORMED,
                f"entry {erasure.index} commits to no {erasure.field}: what an entry says itself stays",
            )
        async with self._one_at_a_time:
            await self._go_on(zone_id)
            return await self._erase(zone_id, erasure, why, actor, request)

    async def _erase(
        self, zone_id: ZoneId, erasure: Erasure, why: str, actor: str, request: str
    ) -> Shredded:
        count = await self._store.count_erased(zone_id, erasure)
        if not count:
            return Shredded(0, None)
        receipt = await self._evidence.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.EVIDENCE_REDACT if isinstance(erasure, Redact) else Kind.EVIDENCE_SHRED,
                zone=zone_id,
                at=self._clock.now_us(),
                request=request,
                verdict=Verdict.ALLOW,
                target=target_of(erasure),
                detail=f"what opened commitments of {count} entries: {why}",
                actor=actor,
            )
        )
        await self._store.erase(zone_id, receipt.index, erasure)
        return Shredded(count, receipt.index)

    async def _go_on(self, zone_id: ZoneId) -> None:
        for index in await self._store.waiting_erasures(zone_id):
            stored = await self._store.entry(zone_id, index)
            erasure = None if stored is None else erasure_of(_decode(stored.data))
            if erasure is None:
                _log.error("erasure_unreadable", zone=zone_id, index=index)
                continue
            await self._store.erase(zone_id, index, erasure)
            _log.info("erasure_resumed", zone=zone_id, index=index)

    async def _resume(self) -> None:
        for zone_id in self._logs.all():
            while True:
                try:
                    async with self._one_at_a_time:
                        await self._go_on(zone_id)
                    break
                except Unavailable as fault:
                    _log.warning("erasure_interrupted", zone=zone_id, reason=fault.reason.value)
                    await asyncio.sleep(self._logs.settings.retry_interval.total_seconds())


def _unfit(asked: Shredding) -> Refused | None:
    """Why this is not to be asked."""
    if (asked.person is None) == (asked.before is None):
        why = "either a person or an instant is shredded"
        return Refused(Reason.REQUEST_MALFORMED, why)
    if asked.person is not None and asked.person.name in asked.why:
        return Refused(Reason.REQUEST_MALFORMED, "the reason would name whom it is to forget")
    return None


def target_of(erasure: Erasure) -> str:
    """How an entry names what is erased."""
    match erasure:
        case ShredPerson(pseudonym):
            return f"{_PERSON} {pseudonym}"
        case ShredBefore(at_us):
            return f"{_BEFORE} {(_EPOCH + at_us * _MICROSECOND).isoformat()}"
        case Redact(index, field):
            return f"{_ENTRY} {index} {field}"


def erasure_of(entry: Entry) -> Erasure | None:
    """What an entry says is to be erased; `None` for every other entry."""
    if entry.kind is Kind.EVIDENCE_SHRED:
        match entry.target.split(" "):
            case [what, pseudonym] if what == _PERSON and pseudonym:
                return ShredPerson(pseudonym)
            case [what, instant] if what == _BEFORE:
                with contextlib.suppress(ValueError):
                    return ShredBefore((datetime.fromisoformat(instant) - _EPOCH) // _MICROSECOND)
    elif entry.kind is Kind.EVIDENCE_REDACT:
        match entry.target.split(" "):
            case [what, index, field] if what == _ENTRY and index.isdecimal():
                return Redact(int(index), field)
    return None
