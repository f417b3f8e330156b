"""From entries that wait to what one commit stores: canonical bytes, leaf hashes, new nodes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.commitments import Openings
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tiles import MAX_ENTRY_BYTES
from caracal.evidence.tree import TreeState, leaf_hash, node_hash
from caracal.wire.opened_entries import opened_entry
from caracal_server.audit.committing import Committed
from caracal_server.audit.erasures import erasure_of
from caracal_server.ports.evidence import LogBatch, LogPosition, Receipt, StoredEntry, TreeNode

Refer = Callable[[ZoneId, int, bytes], str]
"""Makes the reference to an entry from its zone, its index and its leaf hash."""

CommitTo = Callable[[Entry], tuple[Entry, Committed | None]]
"""Takes values out of an entry, as `Committer` does."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Entry).decode

_AFTER: Final = tuple(
    (name, f',"{name}":'.encode())
    for name in sorted(Entry.__struct_fields__)
    if name > "sequenced_at"
)
"""The fields that follow in the canonical form, with what begins them there."""


MAX_BARE_BYTES: Final = MAX_ENTRY_BYTES - len(b',"sequenced_at":') - len(str(2**53))
"""Of an entry before it is sequenced: what an entry bundle can hold, less what that adds."""


def said(entry: Entry) -> tuple[Entry, None]:
    """An entry says what it was given, and commits to nothing."""
    return entry, None


class Pending:
    """An entry that waits; `future` is `None` for a result, whose caller does not.

    `data` lacks the instant of sequencing until `sequenced` has been called, every time it is planned.
    `entry` is what is recorded, with its commitments, and `committed` what opens those.
    `stored` is set when a commit turns out to have succeeded after all.

    Raises:
        Unavailable: on construction, for an entry that no entry bundle could hold.
    """

    __slots__ = ("_bare", "_cut", "committed", "data", "entry", "future", "leaf", "stored")

    def __init__(
        self,
        entry: Entry,
        future: "asyncio.Future[Receipt] | None",
        commit_to: CommitTo = said,
    ) -> None:
        if entry.sequenced_at:
            entry = msgspec.structs.replace(entry, sequenced_at=0)
        try:
            recorded, self.committed = commit_to(entry)
            data = _encode(recorded)
        except ValueError:
            recorded, self.committed = commit_to(_without_surrogates(entry))
            data = _encode(recorded)
        if len(data) > MAX_BARE_BYTES:
            raise Unavailable(
                Reason.EVIDENCE_UNAVAILABLE,
                f"an entry of {len(data)} bytes is longer than a log takes",
            )
        self.entry = entry = recorded
        self.data = self._bare = data
        self._cut = _cut(entry, data)
        self.leaf = b""
        self.future = future
        self.stored = False

    def sequenced(self, stamp: bytes) -> None:
        """Put the instant in its place in the canonical form; one pass over the bytes, no new encoding."""
        self.data = self._bare[: self._cut] + stamp + self._bare[self._cut :]
        self.leaf = leaf_hash(self.data)


class Plan:
    """What a commit adds to one log, and the tree it leaves."""

    __slots__ = ("after", "batch", "before", "pending")

    def __init__(
        self, zone_id: ZoneId, before: TreeState, pending: Sequence[Pending], sequenced_at: int
    ) -> None:
        stamp = b',"sequenced_at":%d' % sequenced_at
        for waiting in pending:
            waiting.sequenced(stamp)
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
            tuple(
                [
                    waiting.committed.at(index, waiting.entry)
                    for index, waiting in enumerate(pending, before.size)
                    if waiting.committed is not None
                ]
            ),
            tuple(
                [
                    (index, erasure)
                    for index, waiting in enumerate(pending, before.size)
                    if (erasure := erasure_of(waiting.entry)) is not None
                ]
            ),
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


def sequenced_at(stored: bytes) -> int:
    """When a stored entry got its place; 0 if it says nothing of that, as in older logs.

    Raises:
        msgspec.DecodeError: it is no entry.
    """
    return _decode(stored).sequenced_at


def records(stored: bytes, openings: Openings, entry: Entry) -> bool:
    """Whether a stored entry is this one, whenever it got its place, once its commitments are opened."""
    try:
        found = opened_entry(_decode(stored), openings)
    except (msgspec.DecodeError, EvidenceError):
        return False
    plain = msgspec.structs.replace(entry, committed={})
    return _encode(msgspec.structs.replace(found, sequenced_at=0)) == Pending(plain, None).data


def _cut(entry: Entry, data: bytes) -> int:
    """Where the instant of sequencing belongs: before the first field that follows it and is there.

    From the right: a field that was named likewise inside of another one would stand further left, and
    a quotation mark inside of a text never stands alone.
    """
    for name, begin in _AFTER:
        if getattr(entry, name):
            return data.rindex(begin)
    raise ValueError("an entry without a zone")


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
