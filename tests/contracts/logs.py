"""A log as its writer sees it, and the check that a store holds it whole."""

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.ports.evidence import (
    EvidenceStore,
    LogBatch,
    LogPosition,
    StoredEntry,
    TreeNode,
)

BEGIN_US = 1_800_000_000_000_000


class Log:
    """Grows batches for one zone."""

    def __init__(self, zone_id: ZoneId) -> None:
        self.zone_id = zone_id
        self.position = LogPosition(0, ())
        self.before = self.position

    def grow(self, count: int, **fields: str) -> LogBatch:
        """The batch of `count` more entries; the log goes on from after it."""
        size = self.position.size
        return self.append([self.entry(size + at, **fields) for at in range(count)])

    def append(self, records: list[Entry]) -> LogBatch:
        self.before, size = self.position, self.position.size
        data = [msgspec.json.encode(record) for record in records]
        leaves = [leaf_hash(one) for one in data]
        tree, nodes = TreeState(size, self.position.peaks).grow(leaves)
        self.position = LogPosition(tree.size, tree.peaks)
        return LogBatch(
            zone_id=self.zone_id,
            before=self.before,
            after=self.position,
            entries=tuple(
                StoredEntry(size + at, one, leaf)
                for at, (one, leaf) in enumerate(zip(data, leaves, strict=True))
            ),
            records=tuple(records),
            nodes=tuple(TreeNode(node.level, node.index, node.hash) for node in nodes),
        )

    def entry(self, number: int, **fields: str) -> Entry:
        entry = Entry(
            format=1,
            kind=Kind.CALL,
            zone=self.zone_id,
            at=BEGIN_US + number,
            request=f"request-{number}",
            verdict=Verdict.ALLOW,
            application="application",
            session="session",
        )
        return msgspec.structs.replace(entry, **fields) if fields else entry

    def back_to(self, position: LogPosition) -> None:
        self.position = self.before = position

    @staticmethod
    async def verify(store: EvidenceStore, zone_id: ZoneId) -> int:
        """Recompute the whole log from its entries; return its size."""
        position = await store.position(zone_id)
        tree = TreeState()
        count = 0
        async for stored in store.scan(zone_id, 0, position.size):
            assert stored.index == count
            assert stored.leaf_hash == leaf_hash(stored.data)
            tree, nodes = tree.grow([stored.leaf_hash])
            wanted = [(node.level, node.index) for node in nodes]
            found = await store.nodes(zone_id, wanted) if count % 97 == 0 else None
            assert found is None or found == {(node.level, node.index): node.hash for node in nodes}
            count += 1
        assert LogPosition(tree.size, tree.peaks) == position
        return count


def spoiled(batch: LogBatch, **changes: object) -> LogBatch:
    return msgspec.structs.replace(batch, **changes)
