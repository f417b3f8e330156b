"""Inclusion and consistency proofs (RFC 9162 sections 2.1.3 and 2.1.4).

Generating is split in two, so that an asynchronous store can fetch everything in one
read: `inclusion_nodes` and `consistency_nodes` name the complete nodes that are needed,
`prove_inclusion` and `prove_consistency` take them from a reader. Verifying needs
nothing but the proof; it raises, and returns nothing that could be ignored.
"""

from collections.abc import Callable
from itertools import chain

import msgspec

from caracal.evidence.errors import EvidenceError
from caracal.evidence.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    MAX_SIZE,
    NodeId,
    cover,
    fold,
    node_hash,
)

NodeReader = Callable[[int, int], bytes]
"""Returns the hash of the complete node at (level, index)."""

_Range = tuple[int, int]


class InclusionProof(msgspec.Struct, frozen=True):
    """That some leaf stands at `index` in the tree of `size` leaves."""

    index: int
    size: int
    hashes: tuple[bytes, ...]


class ConsistencyProof(msgspec.Struct, frozen=True):
    """That the tree of `old_size` leaves is how the tree of `new_size` began."""

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]


def inclusion_nodes(index: int, size: int) -> tuple[NodeId, ...]:
    """Name every node that `prove_inclusion` will read.

    Raises:
        EvidenceError: there is no leaf `index` in a tree of `size`.
    """
    return _nodes(_inclusion_ranges(index, size))


def prove_inclusion(index: int, size: int, node: NodeReader) -> InclusionProof:
    """Prove that the leaf at `index` is in the tree of `size` leaves.

    Raises:
        EvidenceError: there is no leaf `index` in a tree of `size`.
    """
    return InclusionProof(index, size, _hashes(_inclusion_ranges(index, size), node))


def consistency_nodes(old_size: int, new_size: int) -> tuple[NodeId, ...]:
    """Name every node that `prove_consistency` will read.

    Raises:
        EvidenceError: a tree of `new_size` was never a tree of `old_size`.
    """
    return _nodes(_consistency_ranges(old_size, new_size))


def prove_consistency(old_size: int, new_size: int, node: NodeReader) -> ConsistencyProof:
    """Prove that the tree only grew between the two sizes.

    Raises:
        EvidenceError: a tree of `new_size` was never a tree of `old_size`.
    """
    hashes = _hashes(_consistency_ranges(old_size, new_size), node)
    return ConsistencyProof(old_size, new_size, hashes)


def verify_inclusion(leaf: bytes, proof: InclusionProof, root: bytes) -> None:
    """Verify that the leaf hash `leaf` is in the tree whose root is `root`.

    The caller must have `root` and `proof.size` from one verified checkpoint.

    Raises:
        EvidenceError: it does not verify.

    Source: RFC 9162 section 2.1.3.2.
    """
    _require_leaf(proof.index, proof.size)
    _require_hashes(leaf, root, *proof.hashes)
    at, last, value = proof.index, proof.size - 1, leaf
    for sibling in proof.hashes:
        if last == 0:
            raise EvidenceError("the inclusion proof is too long")
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            skipped = _trailing_zeros(at)
            at, last = at >> skipped, last >> skipped
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise EvidenceError("the inclusion proof is too short")
    if value != root:
        raise EvidenceError("the inclusion proof does not lead to the root")


def verify_consistency(proof: ConsistencyProof, old_root: bytes, new_root: bytes) -> None:
    """Verify that the tree under `new_root` began as the tree under `old_root`.

    An empty tree is how every tree began, and every tree began as itself; both are
    proven by an empty proof.

    Raises:
        EvidenceError: it does not verify.

    Source: RFC 9162 section 2.1.4.2.
    """
    _require_growth(proof.old_size, proof.new_size)
    _require_hashes(old_root, new_root, *proof.hashes)
    if proof.old_size in (0, proof.new_size):
        if proof.hashes:
            raise EvidenceError("the consistency proof is too long")
        if proof.old_size == proof.new_size and old_root != new_root:
            raise EvidenceError("two roots for one size")
        if proof.old_size == 0 and old_root != EMPTY_ROOT:
            raise EvidenceError("the root of an empty tree is the hash of nothing")
        return
    old, new = _replay_consistency(proof, old_root)
    if old != old_root:
        raise EvidenceError("the consistency proof does not lead to the old root")
    if new != new_root:
        raise EvidenceError("the consistency proof does not lead to the new root")


def _replay_consistency(proof: ConsistencyProof, old_root: bytes) -> tuple[bytes, bytes]:
    """Compute both roots from the proof, where neither tree is empty or the other."""
    at, last = proof.old_size - 1, proof.new_size - 1
    skipped = _trailing_zeros(proof.old_size)
    at, last = at >> skipped, last >> skipped
    # A tree of 2**k leaves is itself a node of the larger one; the proof leaves it out.
    path = proof.hashes if at else (old_root, *proof.hashes)
    if not path:
        raise EvidenceError("the consistency proof is too short")
    old = new = path[0]
    for value in path[1:]:
        if last == 0:
            raise EvidenceError("the consistency proof is too long")
        if at & 1 or at == last:
            old, new = node_hash(value, old), node_hash(value, new)
            skipped = _trailing_zeros(at)
            at, last = at >> skipped, last >> skipped
        else:
            new = node_hash(new, value)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise EvidenceError("the consistency proof is too short")
    return old, new


def _inclusion_ranges(index: int, size: int) -> list[_Range]:
    """List the leaf ranges whose hashes prove inclusion, from the leaf to the root."""
    _require_leaf(index, size)
    ranges: list[_Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(old_size: int, new_size: int) -> list[_Range]:
    """List the leaf ranges whose hashes prove consistency, lowest first."""
    _require_growth(old_size, new_size)
    ranges: list[_Range] = []
    start, end = 0, new_size
    while old_size not in (0, end):
        middle = _split(start, end)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 divides the leaves [start, end) into two subtrees."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _nodes(ranges: list[_Range]) -> tuple[NodeId, ...]:
    return tuple(chain.from_iterable(cover(start, end) for start, end in ranges))


def _hashes(ranges: list[_Range], node: NodeReader) -> tuple[bytes, ...]:
    return tuple(
        fold([node(at.level, at.index) for at in cover(start, end)]) for start, end in ranges
    )


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _require_leaf(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise EvidenceError("no such leaf in a tree of this size")


def _require_growth(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise EvidenceError("a tree of this size never had that size")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise EvidenceError("a hash has 32 bytes")
