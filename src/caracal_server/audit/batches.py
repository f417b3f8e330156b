"""From entries that wait to what one commit stores: canonical bytes, leaf hashes, new nodes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.evidence.tree import TreeState, leaf_hash, node_hash
from caracal_server.ports.evidence import LogBatch, LogPosition, Receipt, StoredEntry, TreeNode

Refer = Callable[[ZoneId, int, bytes], str]
"""Makes the reference to an entry from its zone, its index and its leaf hash."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Pending:
    """An entry that waits; `future` is `None` for a result, whose caller does not.

    `stored` is set when a commit turns out to have succeeded after all.
    """

    __slots__ = ("data", "entry", "future", "leaf", "stored")

    def __init__(self, entry: Entry, future: "asyncio.Future[Receipt] | None") -> None:
        try:
            data = _encode(entry)
        except UnicodeEncodeError:
            entry = _without_surrogates(entry)
            data = _encode(entry)
        self.entry = entry
        self.data = data
        self.leaf = leaf_hash(data)
        self.future = future
        self.stored = False


class Plan:
    """What a commit adds to one log, and the tree it leaves."""

    __slots__ = ("after", "batch", "before", "pending")

    def __init__(self, zone_id: ZoneId, before: TreeState, pending: Sequence[Pending]) -> None:
        self.before = before
        self.pending = pending
        self.after, nodes = _grow(before, pending)
        self.batch = LogBatch(
            zone_id,
            LogPosition(before.size, before.peaks),
            LogPosition(self.after.size, self.after.peaks),
            tuple(
                StoredEntry(index, waiting.data, waiting.leaf)
                for index, waiting in enumerate(pending, before.size)
            ),
            tuple([waiting.entry for waiting in pending]),
            tuple(nodes),
        )

    def resolve(self, refer: Refer) -> None:
        """Hand every caller the receipt of its entry, which is durable now."""
        zone_id = self.batch.zone_id
        for index, waiting in enumerate(self.pending, self.before.size):
            if waiting.future is not None and not waiting.future.done():
                leaf = waiting.leaf
                waiting.future.set_result(
                    Receipt(zone_id, index, leaf, refer(zone_id, index, leaf))
                )


def _grow(tree: TreeState, pending: Sequence[Pending]) -> tuple[TreeState, list[TreeNode]]:
    """Append as `TreeState.grow` does, but without its start-up cost, which small batches pay alone."""
    peaks = list(tree.peaks)
    nodes: list[TreeNode] = []
    size = tree.size
    for waiting in pending:
        value, level, at = waiting.leaf, 0, size
        nodes.append(TreeNode(0, at, value))
        while at & 1:
            value = node_hash(peaks.pop(), value)
            level += 1
            at >>= 1
            nodes.append(TreeNode(level, at, value))
        peaks.append(value)
        size += 1
    return TreeState(size, tuple(peaks)), nodes


def refuse(pending: Iterable[Pending], fault: Unavailable) -> None:
    """Refuse the callers that still wait."""
    for waiting in pending:
        if waiting.future is not None and not waiting.future.done():
            waiting.future.set_exception(Unavailable(fault.reason, fault.detail))


def canonical_entry(entry: Entry) -> bytes:
    """Render an entry as RFC 8785 JSON: sorted ASCII keys, no floats, integers below 2**53."""
    return _encode(entry)


def _without_surrogates(entry: Entry) -> Entry:
    """Spell out lone surrogates, which a request can bring in and JSON cannot hold."""
    fields = msgspec.structs.asdict(entry)
    return msgspec.structs.replace(
        entry, **{name: _spelt_out(value) for name, value in fields.items()}
    )


def _spelt_out(value: object) -> object:
    if type(value) is str:
        return value.encode(errors="backslashreplace").decode()
    if type(value) is tuple:
        return tuple(_spelt_out(item) for item in value)
    return value
