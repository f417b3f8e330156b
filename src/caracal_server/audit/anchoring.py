"""The shards' checkpoints, as entries of the zone's own log: who vouches for that, vouches for all of them.

A checkpoint is recorded only if it continues the one that was recorded before. A shard that was rewritten
or set back is a finding, and what was recorded of it convicts it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.checkpoints import Checkpoint, verify_checkpoint_by_any
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey, parse_note, parse_verifier_key
from caracal.evidence.proofs import ConsistencyProof, verify_consistency
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import Logs, may_have_a_log
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog, EvidenceQuery, EvidenceStore
from caracal_server.ports.shards import Grown, KnownTree, Shard

ANCHOR_SECONDS: Final = 2.0
MAX_NOTE: Final = 16 * 1024

_decode = msgspec.json.Decoder(Entry).decode
_log = structlog.get_logger("caracal.audit")


def _nobody_to_tell(_zone_id: ZoneId) -> None:
    """Whoever knows the zones knows their logs."""


@dataclass(frozen=True, slots=True)
class Sharding:
    """The shards of these logs, by name; `on_new_log` is told of logs that only they had until now."""

    shards: Mapping[str, Shard] = field(default_factory=dict)
    on_new_log: Callable[[ZoneId], None] = _nobody_to_tell


class Anchoring:
    """Asks every shard at an interval. `check` is one of readiness."""

    def __init__(
        self,
        sharding: Sharding,
        store: EvidenceStore,
        evidence: EvidenceLog,
        logs: Logs,
        clock: Clock,
        integrity: Integrity,
        *,
        interval_s: float = ANCHOR_SECONDS,
    ) -> None:
        self._shards = sharding.shards
        self._store = store
        self._evidence = evidence
        self._logs = logs
        self._clock = clock
        self._integrity = integrity
        self._on_new_log = sharding.on_new_log
        self._interval_s = interval_s
        self._known: dict[str, dict[ZoneId, KnownTree]] = {}
        self._failing = dict.fromkeys(sharding.shards, "has not been asked yet")
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        self._tasks = tuple(
            asyncio.create_task(self._run(shard), name=f"checkpoints of shard {shard}")
            for shard in self._shards
        )

    async def close(self) -> None:
        """End; what was not recorded yet is recorded by the next process."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def check(self) -> str | None:
        """Name every shard whose checkpoints could not be recorded when it was asked last, and why."""
        failing = [f"shard {shard}: {why}" for shard, why in self._failing.items() if why]
        return "; ".join(failing) or None

    async def anchor(self, shard: str) -> None:
        """Record what a shard signed for since.

        Raises:
            Unavailable: it does not answer, or nothing can be recorded.
        """
        known = self._known.get(shard)
        if known is None:
            known = self._known[shard] = await self._recorded(shard)
        found = await self._shards[shard].grown(known)
        if not all(may_have_a_log(grown.zone_id) for grown in found):
            raise Unavailable(Reason.PEER_UNAVAILABLE, "names a log that no zone can have")
        for grown in found:
            if grown.zone_id not in known:
                known |= await self._recorded_of(shard, grown.zone_id)
            before = known.get(grown.zone_id)
            try:
                checkpoint, key = self._verified(shard, grown, before)
            except EvidenceError as fault:
                finding = f"its log in shard {shard}: {fault}"
                self._integrity.report(grown.zone_id, finding, shard=shard)
                continue
            if before is None or checkpoint.size > before.size:
                await self._record(grown, checkpoint, key, 0 if before is None else before.size)
            known[grown.zone_id] = KnownTree(checkpoint.size, checkpoint.root)

    async def _run(self, shard: str) -> None:
        while True:
            try:
                await self.anchor(shard)
                self._failing[shard] = ""
            except Unavailable as fault:
                self._failing[shard] = fault.detail
            except Exception as fault:  # noqa: BLE001 (one shard's answer must not end the watch over it)
                self._failing[shard] = f"fault: {type(fault).__name__}"
                _log.error("shard_not_anchored", shard=shard, error=type(fault).__name__)
            await asyncio.sleep(self._interval_s)

    async def _recorded(self, shard: str) -> dict[ZoneId, KnownTree]:
        found: dict[ZoneId, KnownTree] = {}
        for zone_id in self._logs.all():
            found |= await self._recorded_of(shard, zone_id)
        return found

    async def _recorded_of(self, shard: str, zone_id: ZoneId) -> dict[ZoneId, KnownTree]:
        query = EvidenceQuery(
            kind=Kind.SHARD_CHECKPOINT, target=self._logs.origin_of(zone_id, shard), limit=1
        )
        for stored in await self._store.search(zone_id, query):
            entry = _decode(stored.data)
            return {zone_id: KnownTree(entry.end_index, bytes.fromhex(entry.digest))}
        return {}

    def _verified(
        self, shard: str, grown: Grown, before: KnownTree | None
    ) -> tuple[Checkpoint, VerifierKey]:
        """The checkpoint, once it is known to be of this log and to continue what was recorded."""
        origin = self._logs.origin_of(grown.zone_id, shard)
        if before is not None and not grown.note:
            raise EvidenceError(f"has gone, and {before.size} entries were recorded")
        keys = [parse_verifier_key(text) for text in grown.keys]
        if not keys or any(key.name != origin for key in keys):
            raise EvidenceError("its keys are not of this log")
        if len(grown.note) > MAX_NOTE:
            raise EvidenceError("its checkpoint is longer than an entry may be")
        checkpoint = verify_checkpoint_by_any(grown.note, keys)
        # What goes on record must verify with the key that the record names.
        signed = {(line.name, line.key_id) for line in parse_note(grown.note).signatures}
        key = next(one for one in keys if (one.name, one.key_id) in signed)
        if before is not None:
            if checkpoint.size < before.size:
                raise EvidenceError(
                    f"has {checkpoint.size} entries, and {before.size} were recorded"
                )
            proof = ConsistencyProof(before.size, checkpoint.size, grown.hashes)
            verify_consistency(proof, before.root, checkpoint.root)
        return checkpoint, key

    async def _record(
        self, grown: Grown, checkpoint: Checkpoint, key: VerifierKey, before: int
    ) -> None:
        await self._evidence.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.SHARD_CHECKPOINT,
                zone=grown.zone_id,
                at=self._clock.now_us(),
                request=f"{checkpoint.origin} {checkpoint.size}",
                target=checkpoint.origin,
                digest=checkpoint.root.hex(),
                first_index=before,
                end_index=checkpoint.size,
                checkpoint=grown.note,
                detail=f"verify with {key.render()}",
            )
        )
        self._on_new_log(grown.zone_id)
