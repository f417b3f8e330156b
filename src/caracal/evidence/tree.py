"""The Merkle tree of RFC 6962, grown from its right edge.

A node is named by its level (0 for leaves) and its index within the level; the node
(level, index) covers the leaves from `index << level` up to `(index + 1) << level`. Only
*complete* nodes, whose every leaf exists, are ever named: they never change once made,
so they can be stored. A tree of n leaves is summed up by its peaks, the complete nodes
under the binary digits of n: O(log n) bytes, whatever n.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from caracal.evidence.errors import EvidenceError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = sha256(b"").digest()


class NodeId(msgspec.Struct, frozen=True, gc=False):
    """Where a complete node stands."""

    level: int
    index: int


class Node(msgspec.Struct, frozen=True, gc=False):
    """A complete node: where it stands and its hash."""

    level: int
    index: int
    hash: bytes


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children into their parent (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash complete nodes that stand side by side, wider ones left, into the one above.

    Raises:
        IndexError: there are none.
    """
    folded = hashes[-1]
    for left in hashes[-2::-1]:
        folded = node_hash(left, folded)
    return folded


def cover(start: int, end: int) -> tuple[NodeId, ...]:
    """Name the widest complete nodes that together cover the leaves [start, end).

    `start` must be a multiple of every power of two not above `end - start`, as the
    ranges of RFC 6962 are.
    """
    nodes: list[NodeId] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(NodeId(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def peak_nodes(size: int) -> tuple[NodeId, ...]:
    """Name the nodes whose hashes, in this order, are the peaks of a tree of `size`."""
    return cover(0, size)


class TreeState(msgspec.Struct, frozen=True):
    """A tree of `size` leaves, of which only the peaks are kept, widest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def resume(cls, size: int, peaks: Iterable[bytes]) -> "TreeState":
        """Take up a tree from stored peaks, in the order of `peak_nodes(size)`.

        Raises:
            EvidenceError: these cannot be the peaks of a tree of that size.
        """
        state = cls(size, tuple(peaks))
        if not 0 <= size <= MAX_SIZE or len(state.peaks) != size.bit_count():
            raise EvidenceError("the peaks do not belong to a tree of this size")
        _require_hashes(state.peaks)
        return state

    def append(self, leaf: bytes) -> "TreeState":
        """Return the tree with one more leaf hash.

        Raises:
            EvidenceError: `leaf` is not a hash, or the tree is full.
        """
        if len(leaf) != HASH_BYTES:
            raise EvidenceError("a hash has 32 bytes")
        if self.size == MAX_SIZE:
            raise EvidenceError("the tree is full")
        peaks = list(self.peaks)
        unmerged = self.size
        while unmerged & 1:
            leaf = node_hash(peaks.pop(), leaf)
            unmerged >>= 1
        return TreeState(self.size + 1, (*peaks, leaf))

    def extend(self, leaves: Sequence[bytes]) -> "TreeState":
        """Return the tree with these leaf hashes appended; faster than one by one.

        Raises:
            EvidenceError: one of `leaves` is not a hash, or the tree is full.
        """
        return self._state_after(self._new_rows(leaves), len(leaves))

    def grow(self, leaves: Sequence[bytes]) -> tuple["TreeState", tuple[Node, ...]]:
        """Extend the tree and tell which nodes became complete, the new leaves included.

        Nodes come level by level from the leaves up, by rising index within a level. A
        store that keeps them all can serve any proof from O(log n) reads.

        Raises:
            EvidenceError: one of `leaves` is not a hash, or the tree is full.
        """
        rows = self._new_rows(leaves)
        nodes = tuple(
            Node(level, index, value)
            for level, row in enumerate(rows)
            for index, value in enumerate(row, self.size >> level)
        )
        return self._state_after(rows, len(leaves)), nodes

    def root(self) -> bytes:
        """Return the tree's Merkle root; `EMPTY_ROOT` when it has no leaf."""
        return fold(self.peaks) if self.peaks else EMPTY_ROOT

    def _new_rows(self, leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
        """Return, per level from the leaves up, the hashes of the nodes that complete."""
        _require_hashes(leaves)
        if len(leaves) > MAX_SIZE - self.size:
            raise EvidenceError("the tree is full")
        rows: list[Sequence[bytes]] = []
        row: Sequence[bytes] = leaves
        peaks = iter(reversed(self.peaks))
        before = self.size
        while row:
            rows.append(row)
            if before & 1:
                row = [next(peaks), *row]
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
            before >>= 1
        return rows

    def _state_after(self, rows: Sequence[Sequence[bytes]], count: int) -> "TreeState":
        size = self.size + count
        top = len(rows)  # from this level up nothing is new
        kept = self.peaks[: (self.size >> top).bit_count()]
        new = (rows[level][-1] for level in range(top - 1, -1, -1) if size >> level & 1)
        return TreeState(size, (*kept, *new))


def _require_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise EvidenceError("a hash has 32 bytes")
