"""A shard of Audit, asked as a peer."""

from collections.abc import Mapping
from dataclasses import dataclass

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.ports.evidence import EvidenceQuery
from caracal_server.ports.shards import Found, Grown, KnownTree, Shredded, Shredding
from caracal_server.web.peers.messages import (
    KnownTrees,
    SearchShard,
    ShardReceipt,
    ShardReceiptAsked,
)
from caracal_server.web.peers.services import Ask


@dataclass(frozen=True, slots=True)
class RemoteShard:
    """Implements `Shard`."""

    channel: PeerChannel

    async def grown(self, known: Mapping[ZoneId, KnownTree]) -> tuple[Grown, ...]:
        asked = KnownTrees(dict(known))
        return await self.channel.ask(Ask.SHARD_CHECKPOINTS, asked, tuple[Grown, ...])

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> Found:
        return await self.channel.ask(Ask.SEARCH_SHARD, SearchShard(zone_id, query), Found)

    async def shred(self, shredding: Shredding) -> Shredded:
        return await self.channel.ask(Ask.SHRED_IN_SHARD, shredding, Shredded)

    async def receipt(self, reference: str, *, witnessed: bool) -> str | Refused:
        asked = ShardReceiptAsked(reference, witnessed)
        answer = await self.channel.ask(Ask.SHARD_RECEIPT, asked, ShardReceipt)
        if answer.refused is not None:
            return Refused(answer.refused.reason, answer.refused.detail)
        return answer.text
