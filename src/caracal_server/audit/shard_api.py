"""What a shard answers the Audit that it belongs to."""

from dataclasses import dataclass

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused, Unavailable
from caracal.evidence.checkpoints import parse_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_note
from caracal.evidence.proofs import consistency_nodes, prove_consistency
from caracal_server.audit.erasures import Erasures
from caracal_server.audit.logs import Logs
from caracal_server.audit.opened import Opened
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.receipts import Receipts
from caracal_server.ports.evidence import EvidenceStore, StoredCheckpoint
from caracal_server.ports.shards import Found, Grown, KnownTree, Shredded, Shredding
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.messages import (
    Fault,
    KnownTrees,
    SearchShard,
    ShardReceipt,
    ShardReceiptAsked,
    decode,
)
from caracal_server.web.peers.services import Ask, Service


@dataclass(frozen=True, slots=True)
class ShardPeerApi:
    """The handlers; `answers` is the table."""

    store: EvidenceStore
    reader: EvidenceReader
    opened: Opened
    receipts: Receipts
    erasures: Erasures
    logs: Logs

    def answers(self) -> tuple[Answer, ...]:
        return (
            Answer(Ask.SHARD_CHECKPOINTS, self.grown),
            Answer(Ask.SEARCH_SHARD, self.search),
            Answer(Ask.SHARD_RECEIPT, self.receipt),
            Answer(Ask.SHRED_IN_SHARD, self.shred),
        )

    async def grown(self, _caller: Service, body: bytes) -> tuple[Grown, ...]:
        """What was signed for since; a log that got smaller, or has gone, is named without a proof."""
        known = decode(body, KnownTrees).trees
        signed = await self.store.latest_checkpoints()
        found: list[Grown] = []
        for zone_id in dict.fromkeys((*signed, *known)):
            before, latest = known.get(zone_id), signed.get(zone_id)
            if before is not None and latest is not None and _is_of(latest, before):
                continue
            verifiers = [self.logs.verifier_of(key, zone_id) for key in self.logs.keys.all()]
            keys = tuple(one.render() for one in verifiers)
            if latest is None:
                found.append(Grown(zone_id, "", keys))
                continue
            size = 0 if before is None else before.size
            hashes = await self._continued(zone_id, size, latest)
            found.append(Grown(zone_id, latest.note, keys, hashes))
        return tuple(found)

    async def _continued(
        self, zone_id: ZoneId, before: int, latest: StoredCheckpoint
    ) -> tuple[bytes, ...]:
        if not 0 < before < latest.size:
            return ()
        places = [(one.level, one.index) for one in consistency_nodes(before, latest.size)]
        nodes = await self.store.nodes(zone_id, places)
        if len(nodes) != len(places):
            return ()
        return prove_consistency(before, latest.size, lambda level, at: nodes[level, at]).hashes

    async def search(self, _caller: Service, body: bytes) -> Found:
        asked = decode(body, SearchShard)
        page = await self.reader.search(asked.zone_id, asked.query)
        return Found(page.entries, await self.opened.of(asked.zone_id, page.entries))

    async def shred(self, _caller: Service, body: bytes) -> Shredded:
        """Erase what Audit was asked to erase, by an operator that it proved."""
        outcome = await self.erasures.shred(decode(body, Shredding))
        if isinstance(outcome, Refused):
            raise Unavailable(outcome.reason, outcome.detail)
        return outcome

    async def receipt(self, _caller: Service, body: bytes) -> ShardReceipt:
        asked = decode(body, ShardReceiptAsked)
        outcome = await self.receipts.fetch(asked.reference, witnessed=asked.witnessed)
        if isinstance(outcome, Refused):
            return ShardReceipt(refused=Fault(outcome.reason, outcome.detail))
        return ShardReceipt(outcome)


def _is_of(latest: StoredCheckpoint, tree: KnownTree) -> bool:
    """Whether a checkpoint is of this tree; one that can not be read is of none."""
    if latest.size != tree.size:
        return False
    try:
        return parse_checkpoint(parse_note(latest.note).text).root == tree.root
    except EvidenceError:
        return False
