"""Signing checkpoints: the log's promise, so each one continues every one before it, or none is made."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.proofs import consistency_nodes, prove_consistency, verify_consistency
from caracal.evidence.tree import TreeState
from caracal_server.audit.integrity import Integrity, LogBroken
from caracal_server.audit.logs import Logs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceStore, StoredCheckpoint

_STOPPED: Final = "no checkpoint is signed any more, because a log is broken"

Signed = Callable[[ZoneId, StoredCheckpoint], None]
"""Is told of every checkpoint that was signed and stored."""

_log = structlog.get_logger("caracal.audit")


class Checkpointer:
    """Signs what is durable: at an interval while there is traffic, on demand, and when it closes."""

    def __init__(
        self,
        store: EvidenceStore,
        sequencer: Sequencer,
        logs: Logs,
        clock: Clock,
        integrity: Integrity,
    ) -> None:
        self._store = store
        self._sequencer = sequencer
        self._logs = logs
        self._clock = clock
        self._integrity = integrity
        self._interval_s = logs.settings.checkpoint_interval.total_seconds()
        self._latest: dict[ZoneId, StoredCheckpoint] = {}
        self._attempted: dict[ZoneId, set[str]] = {}
        self._grown: set[ZoneId] = set()
        self._traffic = asyncio.Event()
        self._closing = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._failing = ""
        self._signed: Signed = _unwatched

    def watch(self, signed: Signed) -> None:
        """Have `signed` called with every checkpoint once it is stored."""
        self._signed = signed

    async def start(self) -> None:
        """Hold every log to its latest checkpoint, and begin to sign."""
        self._sequencer.watch(self._note)
        self._grown.update(self._logs.all())
        await self._sign_all()
        self._task = asyncio.create_task(self._run(), name="evidence checkpoints")

    async def close(self) -> None:
        """Sign what is durable by now, and end; to be called after the sequencer has closed."""
        self._closing.set()
        self._traffic.set()
        task, self._task = self._task, None
        if task is not None:
            await task
            await self._sign_all()

    def check(self) -> str | None:
        """Say why no checkpoints are signed, for readiness."""
        if self._integrity.halted:
            return _STOPPED
        if self._task is None or self._task.done():
            return "not running"
        return self._failing or None

    async def sign(self, zone_id: ZoneId) -> StoredCheckpoint:
        """Sign and store a checkpoint of everything that is durable; the latest, if it covers that.

        That of an empty log is not stored: there is nothing it could be held to.

        Raises:
            Unavailable: the store can not be reached, or a log is broken.
        """
        async with self._one_at_a_time:
            try:
                return await self._sign(zone_id)
            except LogBroken as fault:
                self._integrity.halt(zone_id, str(fault))
                raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, _STOPPED) from fault

    async def _sign(self, zone_id: ZoneId) -> StoredCheckpoint:
        if self._integrity.halted:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, _STOPPED)
        tree = await self._sequencer.durable_tree(zone_id)
        latest = await self._load_latest(zone_id)
        if latest is not None:
            signed = self._read(zone_id, latest)
            await self._require_continues(zone_id, signed, tree)
            self._latest[zone_id] = latest
            if signed.size == tree.size:
                return latest
        fresh = StoredCheckpoint(
            tree.size, self._logs.sign(zone_id, tree.size, tree.root()), self._clock.now()
        )
        if not tree.size:
            return fresh
        self._attempted.setdefault(zone_id, set()).add(fresh.note)
        await self._store.save_checkpoint(zone_id, fresh)
        self._attempted.pop(zone_id)
        self._latest[zone_id] = fresh
        self._signed(zone_id, fresh)
        return fresh

    async def _load_latest(self, zone_id: ZoneId) -> StoredCheckpoint | None:
        stored = await self._store.latest_checkpoint(zone_id)
        known = self._latest.get(zone_id)
        if known is not None and (stored is None or stored.size < known.size):
            raise LogBroken(f"the checkpoint of size {known.size} is gone")
        if known is not None and stored is not None and stored.size > known.size:
            self._require_own(zone_id, stored)
        return stored

    def _require_own(self, zone_id: ZoneId, stored: StoredCheckpoint) -> None:
        """Raise unless one of our attempts to store a checkpoint succeeded after all."""
        if stored.note not in self._attempted.get(zone_id, ()):
            raise LogBroken(f"a checkpoint of size {stored.size} was signed elsewhere")

    def _read(self, zone_id: ZoneId, stored: StoredCheckpoint) -> Checkpoint:
        try:
            signed = self._logs.read(zone_id, stored.note)
        except EvidenceError as fault:
            raise LogBroken(f"the checkpoint of size {stored.size}: {fault}") from fault
        if signed.size != stored.size:
            raise LogBroken(f"the checkpoint of size {stored.size} says {signed.size}")
        return signed

    async def _require_continues(
        self, zone_id: ZoneId, signed: Checkpoint, tree: TreeState
    ) -> None:
        """Raise unless the tree began as the one that was signed last.

        Raises:
            LogBroken: it did not.
        """
        if tree.size < signed.size:
            raise LogBroken(f"the log has {tree.size} entries, and {signed.size} were signed for")
        places = [(node.level, node.index) for node in consistency_nodes(signed.size, tree.size)]
        nodes = await self._store.nodes(zone_id, places) if places else {}
        try:
            proof = prove_consistency(
                signed.size, tree.size, lambda level, index: nodes[level, index]
            )
            verify_consistency(proof, signed.root, tree.root())
        except (EvidenceError, KeyError) as fault:
            raise LogBroken(
                f"the log of {tree.size} entries does not continue the checkpoint of size {signed.size}"
            ) from fault

    def _note(self, zone_id: ZoneId, _size: int) -> None:
        self._grown.add(zone_id)
        self._traffic.set()

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._traffic.wait()
            self._traffic.clear()
            await self._sign_all()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _sign_all(self) -> None:
        if self._integrity.halted:
            return
        grown, self._grown = self._grown, set()
        failed = ""
        for zone_id in grown:
            try:
                await self.sign(zone_id)
            except Exception as fault:  # noqa: BLE001 (tried again at the next interval)
                failed = f"signing failed: {type(fault).__name__}"
                _log.error("checkpoint_failed", zone=zone_id, error=type(fault).__name__)
                self._note(zone_id, 0)
        self._failing = failed


def _unwatched(_zone_id: ZoneId, _checkpoint: StoredCheckpoint) -> None:
    """Nobody asked to be told."""
