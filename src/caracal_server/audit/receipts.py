"""Receipts for whoever holds a reference: the entry and its proof, as soon as a checkpoint covers it.

A reference that is not genuine is answered like one to an entry that does not exist, after the same
steps. The store is copied, not judged: what was falsified there does not verify.
"""

import asyncio
from typing import Final

from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.proofs import inclusion_nodes, prove_inclusion
from caracal.evidence.receipts import Receipt
from caracal_server.audit.references import Named, References, parse_reference
from caracal_server.ports.evidence import EvidenceStore, StoredCheckpoint, StoredEntry

WAIT_SECONDS: Final = 1.5
"""How long to wait for the checkpoint that covers an entry; one is signed every half second."""

_LOOK_SECONDS: Final = 0.05
_NO_LEAF: Final = bytes(32)
_UNKNOWN: Final = Refused(Reason.RECEIPT_UNKNOWN)


class Receipts:
    """Answers receipts, from the store alone."""

    def __init__(
        self, store: EvidenceStore, references: References, *, wait_s: float = WAIT_SECONDS
    ) -> None:
        self._store = store
        self._references = references
        self._looks = round(wait_s / _LOOK_SECONDS)

    async def fetch(self, reference: str) -> str | Refused:
        """The receipt that `reference` stands for, as the text of a `.tlog-proof` file.

        Raises:
            Unavailable: the store can not be reached.
        """
        named = parse_reference(reference)
        if named is None:
            return _UNKNOWN
        entry = await self._store.entry(named.zone_id, named.index)
        genuine = self._references.genuine(named, _NO_LEAF if entry is None else entry.leaf_hash)
        if entry is None or not genuine:
            return _UNKNOWN
        checkpoint = await self._covering(named)
        if checkpoint is None:
            return Refused(Reason.RECEIPT_NOT_READY, "no checkpoint covers the entry yet")
        return await self._rendered(named, entry, checkpoint)

    async def _covering(self, named: Named) -> StoredCheckpoint | None:
        """The newest checkpoint, if it covers the entry in time."""
        for _ in range(self._looks):
            latest = await self._store.latest_checkpoint(named.zone_id)
            if latest is not None and latest.size > named.index:
                return latest
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    async def _rendered(
        self, named: Named, entry: StoredEntry, checkpoint: StoredCheckpoint
    ) -> str:
        places = [
            (node.level, node.index) for node in inclusion_nodes(named.index, checkpoint.size)
        ]
        nodes = await self._store.nodes(named.zone_id, places) if places else {}
        proof = prove_inclusion(named.index, checkpoint.size, lambda level, at: nodes[level, at])
        return Receipt(entry.data, named.index, proof.hashes, checkpoint.note).render()
