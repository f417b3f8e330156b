"""Taking up a stored log: what its position says is held to its nodes and its last entry."""

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tree import TreeState, leaf_hash, peak_nodes
from caracal_server.audit.batches import sequenced_at
from caracal_server.audit.integrity import LogBroken
from caracal_server.ports.evidence import EvidenceStore


async def load_tree(store: EvidenceStore, zone_id: ZoneId) -> TreeState:
    """Load where a log stands.

    Raises:
        LogBroken: its position, nodes and last entry contradict each other.
        Unavailable: the store can not be reached.
    """
    position = await store.position(zone_id)
    try:
        tree = TreeState.resume(position.size, position.peaks)
    except EvidenceError as fault:
        raise LogBroken(f"the stored position of size {position.size}: {fault}") from fault
    await require_beginning(store, zone_id, tree)
    if await store.entry(zone_id, tree.size) is not None:
        raise LogBroken(f"entry {tree.size} stands beyond the log's size")
    if tree.size:
        await _require_last_entry(store, zone_id, tree.size - 1)
    return tree


async def last_sequenced(store: EvidenceStore, zone_id: ZoneId, tree: TreeState) -> int:
    """When the last entry of a log got its place, in microseconds; 0 of an empty log.

    Raises:
        LogBroken: it is none of ours.
        Unavailable: the store can not be reached.
    """
    last = await store.entry(zone_id, tree.size - 1) if tree.size else None
    if last is None:
        return 0
    try:
        return sequenced_at(last.data)
    except msgspec.DecodeError as fault:
        raise LogBroken(f"entry {last.index} is no entry: {fault}") from fault


async def require_beginning(store: EvidenceStore, zone_id: ZoneId, tree: TreeState) -> None:
    """Raise unless the stored log began as `tree`, by its nodes.

    Raises:
        LogBroken: it did not.
        Unavailable: the store can not be reached.
    """
    places = [(node.level, node.index) for node in peak_nodes(tree.size)]
    stored = await store.nodes(zone_id, places) if places else {}
    for (level, index), peak in zip(places, tree.peaks, strict=True):
        if stored.get((level, index)) != peak:
            raise LogBroken(
                f"the node over entry {index << level} and on is not what the log's position says"
            )


async def _require_last_entry(store: EvidenceStore, zone_id: ZoneId, index: int) -> None:
    entry = await store.entry(zone_id, index)
    if entry is None:
        raise LogBroken(f"entry {index} is missing")
    leaf = leaf_hash(entry.data)
    stored = await store.nodes(zone_id, [(0, index)])
    if leaf != entry.leaf_hash or leaf != stored.get((0, index)):
        raise LogBroken(f"entry {index} does not have the leaf hash recorded for it")
