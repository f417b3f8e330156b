"""Reading evidence: searches, single entries, proofs, checkpoints, and the whole log as a bundle."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from caracal.authority.events import Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.proofs import (
    ConsistencyProof,
    InclusionProof,
    consistency_nodes,
    inclusion_nodes,
    prove_consistency,
    prove_inclusion,
)
from caracal.evidence.tree import NodeId, TreeState, peak_nodes
from caracal_server.audit.checkpoints import Checkpointer
from caracal_server.audit.logs import Logs
from caracal_server.audit.receipts import Covering
from caracal_server.ports.evidence import (
    EvidenceQuery,
    EvidenceStore,
    StoredCheckpoint,
    StoredEntry,
)

EXPORT_CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a search, and the index to go on after; `None` on the last page."""

    entries: tuple[StoredEntry, ...]
    next_index: int | None


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry's place in the tree of some size, and the checkpoint that signs for that tree.

    `consistency` leads from that size to the checkpoint's, where the two differ.
    """

    leaf_hash: bytes
    inclusion: InclusionProof
    checkpoint: StoredCheckpoint
    consistency: ConsistencyProof | None


class EvidenceReader:
    """Answers questions about known logs, from the store alone."""

    def __init__(
        self,
        store: EvidenceStore,
        checkpointer: Checkpointer,
        logs: Logs,
        witnessed: Covering | None = None,
    ) -> None:
        """Take what it needs; `witnessed` finds what the witnesses cosigned, where there are any."""
        self._witnessed = witnessed
        self._store = store
        self._checkpointer = checkpointer
        self._logs = logs

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> Page:
        """Return one page; `query.limit` is brought down to the limit of the settings."""
        limit = min(query.limit, self._logs.settings.page_limit)
        found = await self._store.search(zone_id, replace(query, limit=limit + 1))
        if len(found) <= limit:
            return Page(found, None)
        return Page(found[:limit], found[limit - 1].index)

    async def entry(self, zone_id: ZoneId, index: int) -> StoredEntry | Refused:
        found = await self._store.entry(zone_id, index)
        return await self._no_entry(zone_id, index) if found is None else found

    async def _no_entry(self, zone_id: ZoneId, index: int) -> Refused:
        """Why there is no such entry."""
        first = await self._store.first_kept(zone_id)
        return _dropped(first) if 0 <= index < first else _no_such_entry(index)

    async def size(self, zone_id: ZoneId) -> int:
        """How many entries the log has, durable ones alone."""
        return (await self._store.position(zone_id)).size

    async def checkpoint(self, zone_id: ZoneId) -> StoredCheckpoint | Refused:
        """Return the newest checkpoint; refused while none has been signed."""
        found = await self._store.latest_checkpoint(zone_id)
        if found is None:
            return Refused(Reason.REQUEST_MALFORMED, "no checkpoint has been signed yet")
        return found

    async def prove(self, zone_id: ZoneId, index: int, size: int | None) -> Proof | Refused:
        """Prove that an entry stands in the log.

        Args:
            zone_id: a known log.
            index: of the entry.
            size: of the tree to prove it in, such as that of a checkpoint the asker holds; `None` for
                that of the newest checkpoint.
        """
        # The hash outlives the entry: what was dropped is proven as ever.
        leaf = (await self._store.nodes(zone_id, [(0, index)])).get((0, index))
        if leaf is None:
            return _no_such_entry(index)
        checkpoint = await self._covering(zone_id, max(index + 1, size or 0))
        wanted = checkpoint.size if size is None else size
        if not index < wanted <= checkpoint.size:
            return Refused(
                Reason.REQUEST_MALFORMED, f"size is {index + 1} to {checkpoint.size} for this entry"
            )
        nodes = await self._nodes(zone_id, inclusion_nodes(index, wanted))
        inclusion = prove_inclusion(index, wanted, lambda level, at: nodes[level, at])
        if wanted == checkpoint.size:
            return Proof(leaf, inclusion, checkpoint, None)
        more = await self._nodes(zone_id, consistency_nodes(wanted, checkpoint.size))
        consistency = prove_consistency(wanted, checkpoint.size, lambda level, at: more[level, at])
        return Proof(leaf, inclusion, checkpoint, consistency)

    async def export(
        self, zone_id: ZoneId, *, witnessed: bool = False
    ) -> AsyncIterator[bytes] | Refused:
        """Sign a fresh checkpoint, and return the whole log up to it as a bundle, in pieces.

        The store is copied, not judged: the bundle of a falsified log is made, and does not verify.
        When nothing is signed any more, because a log is broken, it goes up to what was signed last.
        Where it is to be `witnessed`, it goes up to what a quorum of witnesses cosigned last.
        Of a log whose beginning was dropped, it is the rest.
        """
        if witnessed:
            cosigned = None if self._witnessed is None else await self._witnessed(zone_id)
            if cosigned is None:
                return Refused(Reason.RECEIPT_NOT_WITNESSED, "no quorum cosigned this log yet")
            return await self._pieces(zone_id, cosigned)
        try:
            checkpoint = await self._checkpointer.sign(zone_id)
        except Unavailable as fault:
            stopped = fault.reason is Reason.EVIDENCE_UNAVAILABLE
            signed = await self._store.latest_checkpoint(zone_id) if stopped else None
            if signed is None:
                raise
            checkpoint = signed
        return await self._pieces(zone_id, checkpoint)

    async def _pieces(
        self, zone_id: ZoneId, checkpoint: StoredCheckpoint
    ) -> AsyncIterator[bytes] | Refused:
        first = await self._store.first_kept(zone_id)
        if first >= checkpoint.size > 0:
            return _dropped(first)
        if first and not await self._says_so(zone_id, checkpoint):
            why = f"that the entries before entry {first} were dropped is not in the checkpoint yet"
            return Refused(Reason.EVIDENCE_DROPPED, f"{why}: try again")
        nodes = await self._nodes(zone_id, peak_nodes(first))
        peaks = [nodes.get((node.level, node.index)) for node in peak_nodes(first)]
        if None in peaks:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the log's tree is not whole")
        before = TreeState(first, tuple(peak for peak in peaks if peak is not None))
        return self._bundle(zone_id, checkpoint, before)

    async def _says_so(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> bool:
        """Whether a checkpoint covers the record of what was dropped, without which no rest verifies."""
        drops = await self._store.search(zone_id, EvidenceQuery(kind=Kind.EVIDENCE_DROP, limit=1))
        return all(one.index < checkpoint.size for one in drops)

    async def _bundle(
        self, zone_id: ZoneId, checkpoint: StoredCheckpoint, before: TreeState
    ) -> AsyncIterator[bytes]:
        key = self._logs.signer_of(zone_id, checkpoint.note)
        writer = BundleWriter(
            checkpoint.note, key, Contents.REST if before.size else Contents.WHOLE, before
        )
        chunk = bytearray(writer.header())
        async for entry in self._store.scan(zone_id, before.size, checkpoint.size):
            chunk += writer.entry(entry.index, entry.data, entry.leaf_hash)
            if len(chunk) >= EXPORT_CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        chunk += writer.closing()
        yield bytes(chunk)

    async def _covering(self, zone_id: ZoneId, size: int) -> StoredCheckpoint:
        latest = await self._store.latest_checkpoint(zone_id)
        if latest is not None and latest.size >= size:
            return latest
        return await self._checkpointer.sign(zone_id)

    async def _nodes(
        self, zone_id: ZoneId, places: tuple[NodeId, ...]
    ) -> dict[tuple[int, int], bytes]:
        if not places:
            return {}
        return await self._store.nodes(zone_id, [(node.level, node.index) for node in places])


def _dropped(first: int) -> Refused:
    return Refused(Reason.EVIDENCE_DROPPED, f"the entries before entry {first} have been dropped")


def _no_such_entry(index: int) -> Refused:
    return Refused(Reason.REQUEST_MALFORMED, f"the log has no entry {index}")
