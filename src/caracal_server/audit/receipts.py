"""Receipts for whoever holds a reference: the entry and its proof, as soon as a checkpoint covers it.

A reference that is not genuine is answered like one to an entry that does not exist, after the same
steps. The store is copied, not judged: what was falsified there does not verify.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.proofs import inclusion_nodes, prove_inclusion
from caracal.evidence.receipts import Receipt
from caracal_server.audit.references import Named, References, parse_reference
from caracal_server.ports.evidence import EvidenceStore, StoredCheckpoint, StoredEntry
from caracal_server.ports.shards import Shard

WAIT_SECONDS: Final = 1.5
"""How long to wait for the checkpoint that covers an entry; one is signed every half second."""

_LOOK_SECONDS: Final = 0.1
_NO_LEAF: Final = bytes(32)
_UNKNOWN: Final = Refused(Reason.RECEIPT_UNKNOWN)
NO_SHARDS: Final[Mapping[str, Shard]] = MappingProxyType({})


Covering = Callable[[ZoneId], Awaitable[StoredCheckpoint | None]]
"""Finds the newest checkpoint of a log, or the newest that some rule holds for."""


class Receipts:
    """Answers receipts, from the store alone."""

    def __init__(
        self,
        store: EvidenceStore,
        references: References,
        *,
        witnessed: Covering | None = None,
        shards: Mapping[str, Shard] = NO_SHARDS,
        wait_s: float = WAIT_SECONDS,
    ) -> None:
        """Take what it needs; `witnessed` finds what the witnesses cosigned, where there are any."""
        self._store = store
        self._shards = shards
        self._witnessed = witnessed
        self._references = references
        self._looks = round(wait_s / _LOOK_SECONDS)

    async def fetch(self, reference: str, *, witnessed: bool = False) -> str | Refused:
        """The receipt that `reference` stands for, as the text of a `.tlog-proof` file.

        Args:
            reference: what an answer said.
            witnessed: only with a checkpoint that the witnesses cosigned.

        Raises:
            Unavailable: the store can not be reached, or the shard that the reference names.
        """
        named = parse_reference(reference)
        if named is not None and named.shard in self._shards:
            return await self._shards[named.shard].receipt(reference, witnessed=witnessed)
        if named is None or named.shard != self._references.shard:
            return _UNKNOWN
        entry = await self._store.entry(named.zone_id, named.index)
        genuine = self._references.genuine(named, _NO_LEAF if entry is None else entry.leaf_hash)
        if entry is None or not genuine:
            return _UNKNOWN
        find = self._witnessed if witnessed else self._store.latest_checkpoint
        if find is None:
            return Refused(Reason.RECEIPT_NOT_WITNESSED, "this deployment has no witnesses")
        checkpoint = await self._covering(named, find)
        if checkpoint is None:
            return Refused(Reason.RECEIPT_NOT_WITNESSED if witnessed else Reason.RECEIPT_NOT_READY)
        return await self._rendered(named, entry, checkpoint)

    async def _covering(self, named: Named, find: Covering) -> StoredCheckpoint | None:
        """What `find` finds, if it covers the entry in time."""
        for look in range(self._looks + 1):
            if look:
                await asyncio.sleep(_LOOK_SECONDS)
            latest = await find(named.zone_id)
            if latest is not None and latest.size > named.index:
                return latest
        return None

    async def _rendered(
        self, named: Named, entry: StoredEntry, checkpoint: StoredCheckpoint
    ) -> str:
        places = [
            (node.level, node.index) for node in inclusion_nodes(named.index, checkpoint.size)
        ]
        nodes = await self._store.nodes(named.zone_id, places) if places else {}
        if len(nodes) != len(places):
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the log's tree is not whole")
        proof = prove_inclusion(named.index, checkpoint.size, lambda level, at: nodes[level, at])
        return Receipt(entry.data, named.index, proof.hashes, checkpoint.note).render()
