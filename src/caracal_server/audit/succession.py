"""The logs' next key: both keys sign for a while, so that whoever knows either can verify.

What is recorded in every log names the next key, and the key before signs for that entry. So an auditor
goes from the one to the other without asking anybody.
"""

import asyncio
from typing import Protocol

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal_server.audit.checkpoints import Checkpointer
from caracal_server.audit.logs import LogKey, Logs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.clock import Clock


class LogKeyFiles(Protocol):
    """Where the keys are kept. Both raise `Unavailable`."""

    def begin(self) -> LogKey:
        """Make the next key, durably, and keep the one before."""
        ...

    def finish(self) -> None:
        """Drop the key before."""
        ...


class LogKeyChange:
    """Changes the key of all logs, in two acts."""

    def __init__(
        self,
        logs: Logs,
        sequencer: Sequencer,
        checkpointer: Checkpointer,
        clock: Clock,
        files: LogKeyFiles,
    ) -> None:
        self._logs = logs
        self._sequencer = sequencer
        self._checkpointer = checkpointer
        self._clock = clock
        self._files = files
        self._one_at_a_time = asyncio.Lock()

    async def rotate(self, actor: str, request: str) -> Refused | None:
        """Make the next key, sign with both, and say so in every log.

        Raises:
            Unavailable: not every log says so yet; `retire` says it again.
        """
        async with self._one_at_a_time:
            keys = self._logs.keys
            if keys.before is not None:
                return Refused(
                    Reason.REQUEST_MALFORMED,
                    "two keys sign already; retire the one before first",
                )
            await self._record(actor, request, detail="make the next key of the evidence logs")
            # Both at once: no checkpoint may lack the signature of the key that auditors know.
            keys.before, keys.current = keys.current, self._files.begin()
            for zone_id in self._logs.all():
                await self._announce(zone_id, keys.before, actor, request, until="is retired")
                await self._checkpointer.sign(zone_id)
            return None

    async def retire(self, actor: str, request: str) -> Refused | None:
        """Say in every log that the key before signs no more, have both sign for that, and drop it.

        Raises:
            Unavailable: not every log says so yet; both keys go on signing.
        """
        async with self._one_at_a_time:
            before = self._logs.keys.before
            if before is None:
                return Refused(Reason.REQUEST_MALFORMED, "there is one key, and it signs")
            await self._record(actor, request, detail="retire the key before of the evidence logs")
            for zone_id in self._logs.all():
                await self._announce(zone_id, before, actor, request, until="signed this entry")
                await self._require_taken_over(zone_id)
            self._files.finish()
            self._logs.keys.before = None
            return None

    async def _record(self, actor: str, request: str, *, detail: str) -> None:
        """Record what is about to be done, in the log that belongs to no zone."""
        for zone_id in self._logs.settings.own_logs:
            await self._append(zone_id, actor, request, "evidence logs", detail)

    async def _announce(
        self, zone_id: ZoneId, before: LogKey, actor: str, request: str, *, until: str
    ) -> None:
        following = self._logs.verifier(zone_id).render()
        leaving = self._logs.verifier_of(before, zone_id).render()
        detail = f"this log is signed by {following}, and by {leaving} until it {until}"
        await self._append(zone_id, actor, request, "evidence log", detail)

    async def _append(
        self, zone_id: ZoneId, actor: str, request: str, target: str, detail: str
    ) -> None:
        await self._sequencer.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.KEY_ROTATE,
                zone=zone_id,
                at=self._clock.now_us(),
                request=request,
                verdict=Verdict.ALLOW,
                target=target,
                detail=detail,
                actor=actor,
            )
        )

    async def _require_taken_over(self, zone_id: ZoneId) -> None:
        latest = await self._checkpointer.sign(zone_id)
        try:
            verify_checkpoint(latest.note, self._logs.verifier(zone_id))
        except EvidenceError as fault:
            raise Unavailable(
                Reason.EVIDENCE_UNAVAILABLE, f"the next key has not signed the log of {zone_id}"
            ) from fault
