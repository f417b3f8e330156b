"""The sweep: reads every stored entry again and recomputes the tree, to find what was altered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from caracal.authority.events import Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tiles import WIDTH, Tile, split_hashes
from caracal.evidence.tree import Node, TreeState, leaf_hash
from caracal_server.audit.integrity import Integrity, LogBroken
from caracal_server.audit.logs import Logs
from caracal_server.audit.retention import dropped_by
from caracal_server.ports.evidence import (
    EvidenceQuery,
    EvidenceStore,
    LogPosition,
    StoredEntry,
)

_log = structlog.get_logger("caracal.audit")


@dataclass(slots=True)
class _Pass:
    """One reading of one log: up to where it stood at the start, and how far the reading is.

    Of the entries before `first`, which were dropped, there are the hashes alone.
    """

    zone_id: ZoneId
    position: LogPosition
    checkpoint: Checkpoint | None
    first: int = 0
    tree: TreeState = field(default_factory=TreeState)


class Sweep:
    """Goes through the logs one after the other, at a bounded rate, and reports what is wrong.

    A pass that the store interrupts is taken up where it stopped.
    """

    def __init__(self, store: EvidenceStore, logs: Logs, integrity: Integrity) -> None:
        self._store = store
        self._logs = logs
        self._integrity = integrity
        self._settings = logs.settings
        self._pass: _Pass | None = None
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.completed = 0
        """How many times every log has been gone through."""

    def start(self) -> None:
        """Begin at once, and again after every interval."""
        self._task = asyncio.create_task(self._run(), name="evidence sweep")

    async def close(self) -> None:
        """End between two reads."""
        self._closing.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    def check(self) -> str | None:
        """Say what was found, for readiness."""
        return self._integrity.check()

    async def verify(self, zone_id: ZoneId) -> None:
        """Go through one log from its first entry to its last, and report what is wrong.

        Raises:
            Unavailable: the store can not be reached; the next call goes on where this one stopped.
        """
        try:
            if self._pass is None or self._pass.zone_id != zone_id:
                self._pass = await self._begin(zone_id)
            await self._go_through(self._pass)
        except LogBroken as fault:
            self._integrity.report(zone_id, str(fault))
        self._pass = None

    async def _run(self) -> None:
        while not self._closing.is_set():
            for zone_id in self._logs.all():
                await self._verify_patiently(zone_id)
            self.completed += 1
            await self._pause(self._settings.sweep_interval.total_seconds())

    async def _verify_patiently(self, zone_id: ZoneId) -> None:
        while not self._closing.is_set():
            try:
                await self.verify(zone_id)
            except Unavailable as fault:
                _log.warning("sweep_interrupted", zone=zone_id, reason=fault.reason.value)
                await self._pause(self._settings.retry_interval.total_seconds())
            else:
                return

    async def _begin(self, zone_id: ZoneId) -> _Pass:
        # The checkpoint first: a log that grows in between still covers it.
        stored = await self._store.latest_checkpoint(zone_id)
        position = await self._store.position(zone_id)
        first = await self._store.first_kept(zone_id)
        if stored is None:
            return _Pass(zone_id, position, None, first)
        try:
            checkpoint = self._logs.read(zone_id, stored.note)
        except EvidenceError as fault:
            raise LogBroken(f"the checkpoint of size {stored.size}: {fault}") from fault
        if checkpoint.size > position.size:
            raise LogBroken(f"entry {position.size} is missing: {checkpoint.size} were signed for")
        return _Pass(zone_id, position, checkpoint, first)

    async def _go_through(self, reading: _Pass) -> None:
        _require_signed(reading)
        while reading.tree.size < reading.position.size and not self._closing.is_set():
            start = reading.tree.size
            await self._read_on(reading)
            _require_signed(reading)
            await self._pause((reading.tree.size - start) / self._settings.sweep_rate)
        if reading.tree.size == reading.position.size:
            _require_position(reading)
            await self._require_recorded(reading)

    async def _read_on(self, reading: _Pass) -> None:
        start = reading.tree.size
        stop = min(start + self._settings.sweep_batch, reading.position.size)
        if reading.checkpoint is not None and start < reading.checkpoint.size:
            stop = min(stop, reading.checkpoint.size)
        leaves = await self._leaves(reading, start, stop)
        tree, nodes = reading.tree.grow(leaves)
        await self._require_nodes(reading.zone_id, nodes)
        reading.tree = tree

    async def _leaves(self, reading: _Pass, start: int, stop: int) -> Sequence[bytes]:
        if start < reading.first:
            return await self._dropped_leaves(reading, start, min(stop, reading.first))
        try:
            return await self._kept_leaves(reading.zone_id, start, stop)
        except LogBroken:
            reading.first = await self._store.first_kept(reading.zone_id)
            if start >= reading.first:
                raise
            # They were dropped meanwhile.
            return await self._dropped_leaves(reading, start, min(stop, reading.first))

    async def _kept_leaves(self, zone_id: ZoneId, start: int, stop: int) -> Sequence[bytes]:
        leaves: list[bytes] = []
        async for entry in self._store.scan(zone_id, start, stop):
            leaves.append(_verified_leaf(entry, start + len(leaves)))
        if len(leaves) < stop - start:
            raise LogBroken(f"entry {start + len(leaves)} is missing")
        return leaves

    async def _dropped_leaves(self, reading: _Pass, start: int, stop: int) -> Sequence[bytes]:
        """What is left of dropped entries, up to the end of a bundle."""
        tile = Tile(0, start // WIDTH)
        hashes = await self._store.tile(reading.zone_id, tile)
        if hashes is None:
            raise LogBroken(f"entry {start} is missing, and so is its hash")
        return split_hashes(hashes, WIDTH)[start - tile.start : stop - tile.start]

    async def _require_recorded(self, reading: _Pass) -> None:
        """Raise unless an entry says of those that are gone that they were dropped."""
        if not reading.first:
            return
        query = EvidenceQuery(kind=Kind.EVIDENCE_DROP, limit=1)
        for found in await self._store.search(reading.zone_id, query):
            if dropped_by(found) >= reading.first:
                return
        raise LogBroken(
            f"the entries before entry {reading.first} are gone, and no entry says they were dropped"
        )

    async def _require_nodes(self, zone_id: ZoneId, nodes: Sequence[Node]) -> None:
        stored = await self._store.nodes(zone_id, [(node.level, node.index) for node in nodes])
        wrong = [node for node in nodes if stored.get((node.level, node.index)) != node.hash]
        if wrong:
            first = min(wrong, key=lambda node: (node.index << node.level, node.level))
            raise LogBroken(
                f"entry {first.index << first.level} does not lead to the node of level {first.level} "
                "that was stored over it"
            )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def _verified_leaf(entry: StoredEntry, index: int) -> bytes:
    if entry.index != index:
        raise LogBroken(f"entry {index} is missing")
    leaf = leaf_hash(entry.data)
    if leaf != entry.leaf_hash:
        raise LogBroken(f"entry {index} does not have the leaf hash recorded for it")
    return leaf


def _require_signed(reading: _Pass) -> None:
    signed = reading.checkpoint
    if signed is None or signed.size != reading.tree.size:
        return
    if signed.root != reading.tree.root():
        raise LogBroken(
            f"the entries before entry {signed.size} do not have the root that was signed"
        )


def _require_position(reading: _Pass) -> None:
    if reading.tree.peaks != reading.position.peaks:
        raise LogBroken(
            f"the entries before entry {reading.position.size} do not lead to the log's position"
        )
