"""Having every log's newest checkpoint cosigned, in a task of its own: no decision ever waits for it.

A round takes the newest checkpoint of a log to every witness that has not cosigned it, or not lately; what
was signed in between is skipped. Cosignatures are verified, merged into the stored note, and counted
only then.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import SignedNote, parse_note
from caracal.evidence.witness_keys import Cosigned, cosigned_by
from caracal.evidence.witness_policy import PolicyWitness
from caracal_server.audit.logs import Logs
from caracal_server.audit.submission import Contradicted, NotCosigned, Submission
from caracal_server.audit.witness_standing import LogStanding, WitnessSettings
from caracal_server.ports.evidence import StoredCheckpoint

LOGS_AT_ONCE: Final = 8
LOOKED_BACK: Final = 5_000
"""Checkpoints that are looked through at a start, for the newest that a quorum cosigned."""

_PAGE: Final = 500
_TICK_S: Final = 1.0
_REFRESHES: Final = 3
"""How often an idle log's newest checkpoint is cosigned anew while its quorum would become stale."""

_log = structlog.get_logger("caracal.audit")


class Witnessing:
    """The rounds, and what they led to."""

    def __init__(self, submission: Submission, logs: Logs, settings: WitnessSettings) -> None:
        self.settings = settings
        self.standings: dict[ZoneId, LogStanding] = {}
        self.failures: dict[str, int] = {one.name: 0 for one in settings.policy.witnesses}
        self._submission = submission
        self._store = submission.store
        self._clock = submission.clock
        self._logs = logs
        self._stale_s = settings.stale.total_seconds()
        self._gate = asyncio.Semaphore(LOGS_AT_ONCE)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find out how old each log's quorum is, and begin.

        Raises:
            Unavailable: the store can not be reached.
        """
        for zone_id in self._logs.all():
            await self._take_up(zone_id)
        self._task = asyncio.create_task(self._run(), name="evidence witnesses")

    async def close(self) -> None:
        """End; what was not cosigned by now is, after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def signed(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> None:
        """Take note of a checkpoint that was signed and stored."""
        standing = self.standings.get(zone_id)
        if standing is None:
            self.standings[zone_id] = LogStanding(checkpoint, int(self.now()))
        elif standing.newest.size < checkpoint.size:
            standing.newest = checkpoint
        self._news.set()

    async def witnessed(self, zone_id: ZoneId) -> StoredCheckpoint | None:
        """The newest checkpoint of a log that a quorum cosigned."""
        standing = self.standings.get(zone_id)
        return None if standing is None else standing.witnessed

    def now(self) -> float:
        return self._clock.now().timestamp()

    def stale(self, zone_id: ZoneId) -> bool:
        """Whether the quorum of a log is too old. A log that signed nothing yet has none to be old."""
        standing = self.standings.get(zone_id)
        if standing is None or self.settings.none_needed:
            return False
        return standing.age(self.now()) > self._stale_s

    def refuses(self, zone_id: ZoneId) -> bool:
        """Whether nothing new may be decided, because nobody else vouches for the log any more."""
        return self.settings.refusing and self.stale(zone_id)

    def check(self) -> str | None:
        """Say who contradicts a log and, where a quorum is required, which logs have none."""
        if self._task is None or self._task.done():
            return "not running"
        found = [
            f"zone {zone_id}: the witness {name} {one.finding}"
            for zone_id, standing in self.standings.items()
            for name, one in standing.witnesses.items()
            if one.finding
        ]
        if self.settings.required:
            found += [
                f"zone {zone_id}: no quorum of witnesses for {standing.age(self.now()):.0f} seconds"
                for zone_id, standing in self.standings.items()
                if self.stale(zone_id)
            ]
        return "; ".join(found) or None

    async def round(self, zone_id: ZoneId) -> None:
        """Ask whoever is to be asked about a log, and keep what they signed."""
        standing = self.standings[zone_id]
        asked = self._due(standing)
        checkpoint = standing.newest
        async with self._gate:
            answers = await asyncio.gather(
                *(self._ask(zone_id, standing, checkpoint, witness) for witness in asked)
            )
        signed = [answer for answer in answers if answer is not None]
        if signed:
            await self._keep(zone_id, standing, checkpoint, signed)

    def _due(self, standing: LogStanding) -> list[PolicyWitness]:
        ticks, refreshed = self._clock.monotonic(), self.now() - self._stale_s / _REFRESHES
        found = []
        for witness in self.settings.policy.witnesses:
            one = standing.of(witness.name)
            size, at = one.signed
            wanted = size < standing.newest.size or at < refreshed
            if witness.url and wanted and ticks >= one.not_before:
                found.append(witness)
        return found

    async def _ask(
        self,
        zone_id: ZoneId,
        standing: LogStanding,
        checkpoint: StoredCheckpoint,
        witness: PolicyWitness,
    ) -> tuple[PolicyWitness, SignedNote, Cosigned] | None:
        one = standing.of(witness.name)
        try:
            note, cosigned = await self._submission.submit(
                zone_id, checkpoint.note, witness, one.held
            )
        except Contradicted as fault:
            if one.finding != str(fault):
                _log.error(
                    "witness_contradicts", zone=zone_id, witness=witness.name, finding=str(fault)
                )
            one.finding = str(fault)
            self._failed(zone_id, standing, witness, str(fault))
            return None
        except (NotCosigned, Unavailable) as fault:
            self._failed(zone_id, standing, witness, str(fault))
            return None
        one.succeeded(checkpoint.size, cosigned.at)
        return witness, note, cosigned

    def _failed(
        self, zone_id: ZoneId, standing: LogStanding, witness: PolicyWitness, why: str
    ) -> None:
        self.failures[witness.name] += 1
        one = standing.of(witness.name)
        if not one.problem:
            _log.warning("witness_did_not_cosign", zone=zone_id, witness=witness.name, why=why)
        one.failed(why, self._clock.monotonic())

    async def _keep(
        self,
        zone_id: ZoneId,
        standing: LogStanding,
        checkpoint: StoredCheckpoint,
        signed: Sequence[tuple[PolicyWitness, SignedNote, Cosigned]],
    ) -> None:
        """Merge cosignatures into the stored note, and count them once they are there."""
        note = parse_note(checkpoint.note)
        for witness, of_witness, _ in signed:
            lines = [line for line in of_witness.signatures if witness.key.signed(line)]
            others = [line for line in note.signatures if not witness.key.signed(line)]
            note = SignedNote(note.text, (*others, *lines))
        merged = StoredCheckpoint(checkpoint.size, note.render(), checkpoint.at)
        try:
            await self._store.save_checkpoint(zone_id, merged)
        except Unavailable as fault:
            _log.warning("cosignatures_not_stored", zone=zone_id, reason=fault.reason.value)
            for witness, _, _ in signed:
                standing.of(witness.name).signed = (0, 0)
            return
        if standing.newest.size == merged.size:
            standing.newest = merged
        quorum = self.settings.policy.judge(note)
        if quorum.at is not None:
            standing.witnessed, standing.at = merged, quorum.at

    async def _take_up(self, zone_id: ZoneId) -> None:
        """Look through the stored checkpoints, newest first, until one is cosigned by a quorum."""
        below: int | None = None
        for _ in range(LOOKED_BACK // _PAGE):
            page = await self._store.checkpoints(zone_id, below=below, limit=_PAGE)
            for checkpoint in page:
                if self._recall(zone_id, checkpoint):
                    return
            if len(page) < _PAGE:
                return
            below = page[-1].size

    def _recall(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> bool:
        since = int(checkpoint.at.timestamp())
        standing = self.standings.setdefault(zone_id, LogStanding(checkpoint, since))
        standing.since = since
        try:
            note = parse_note(checkpoint.note)
            quorum = self.settings.policy.judge(note)
            for witness in self.settings.policy.witnesses:
                found = cosigned_by(note, witness.key)
                one = standing.of(witness.name)
                if found is not None and not one.held:
                    one.held, one.signed = checkpoint.size, (checkpoint.size, found.at)
        except EvidenceError as fault:
            _log.error(
                "stored_cosignature_false", zone=zone_id, size=checkpoint.size, why=str(fault)
            )
            if standing.newest == checkpoint:
                standing.newest = self._without_cosignatures(checkpoint)
            return False
        if quorum.at is not None:
            standing.witnessed, standing.at = checkpoint, quorum.at
        return quorum.at is not None

    def _without_cosignatures(self, checkpoint: StoredCheckpoint) -> StoredCheckpoint:
        """A checkpoint as the log signed it, to be cosigned anew."""
        note = parse_note(checkpoint.note)
        keys = [one.key for one in self.settings.policy.witnesses]
        lines = [line for line in note.signatures if not any(key.signed(line) for key in keys)]
        whole = SignedNote(note.text, tuple(lines)).render()
        return StoredCheckpoint(checkpoint.size, whole, checkpoint.at)

    async def _run(self) -> None:
        while True:
            due = [zone_id for zone_id, one in self.standings.items() if self._due(one)]
            results = await asyncio.gather(*map(self.round, due), return_exceptions=True)
            for zone_id, fault in zip(due, results, strict=True):
                if isinstance(fault, Exception):
                    _log.error("witness_round_failed", zone=zone_id, error=type(fault).__name__)
            self._tell_changes()
            await asyncio.sleep(self.settings.interval.total_seconds())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._news.wait()
            self._news.clear()

    def _tell_changes(self) -> None:
        for zone_id, standing in self.standings.items():
            lost = self.stale(zone_id)
            if lost != standing.lost:
                standing.lost = lost
                if lost:
                    age = round(standing.age(self.now()))
                    _log.error("witness_quorum_lost", zone=zone_id, age_seconds=age)
                else:
                    _log.info("witness_quorum_regained", zone=zone_id)
