"""Proofs prove what they say, and nothing else."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.proofs import (
    ConsistencyProof,
    InclusionProof,
    consistency_nodes,
    inclusion_nodes,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from caracal.evidence.tree import EMPTY_ROOT, MAX_SIZE, NodeId, TreeState, leaf_hash
from tests.evidence.naive_tree import entries_of, naive_consistency, naive_path, naive_root

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc6962.json").read_text())
PUBLISHED_LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["leaves"]]
PUBLISHED_ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]
ENTRIES = entries_of(70)
ROOTS = [naive_root(ENTRIES[:size]) for size in range(71)]

sizes = st.integers(1, 70)
flips = st.integers(0, 255)


class StoredNodes:
    """Every complete node of a tree, and which of them have been read."""

    def __init__(self, leaves):
        _, nodes = TreeState().grow(leaves)
        self.nodes = {NodeId(node.level, node.index): node.hash for node in nodes}
        self.read = []

    def __call__(self, level, index):
        at = NodeId(level, index)
        self.read.append(at)
        return self.nodes[at]


def stored(size=70):
    return StoredNodes([leaf_hash(entry) for entry in ENTRIES[:size]])


def flipped(value, bit):
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(value))


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_the_published_inclusion_proofs(case):
    index, size = case["index"], case["size"]
    proof = prove_inclusion(index, size, StoredNodes(PUBLISHED_LEAVES[:size]))
    assert [value.hex() for value in proof.hashes] == case["hashes"]
    verify_inclusion(PUBLISHED_LEAVES[index], proof, PUBLISHED_ROOTS[size])


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_the_published_consistency_proofs(case):
    old, new = case["old_size"], case["new_size"]
    proof = prove_consistency(old, new, StoredNodes(PUBLISHED_LEAVES[:new]))
    assert [value.hex() for value in proof.hashes] == case["hashes"]
    verify_consistency(proof, PUBLISHED_ROOTS[old], PUBLISHED_ROOTS[new])


@pytest.mark.parametrize("size", range(1, 71))
def test_every_leaf_of_every_size_is_proven_as_the_rfc_defines(size):
    reader = stored(size)
    for index in range(size):
        proof = prove_inclusion(index, size, reader)
        assert proof == InclusionProof(index, size, tuple(naive_path(index, ENTRIES[:size])))
        verify_inclusion(leaf_hash(ENTRIES[index]), proof, ROOTS[size])


@pytest.mark.parametrize("new", range(71))
def test_every_growth_is_proven_as_the_rfc_defines(new):
    reader = stored(new)
    for old in range(new + 1):
        proof = prove_consistency(old, new, reader)
        expected = tuple(naive_consistency(old, ENTRIES[:new]))
        assert proof == ConsistencyProof(old, new, expected)
        verify_consistency(proof, ROOTS[old], ROOTS[new])


@given(sizes, st.data())
def test_a_proof_reads_exactly_the_nodes_named_beforehand(size, data):
    index = data.draw(st.integers(0, size - 1))
    reader = stored(size)
    prove_inclusion(index, size, reader)
    assert tuple(reader.read) == inclusion_nodes(index, size)
    reader.read.clear()
    prove_consistency(index, size, reader)
    assert tuple(reader.read) == consistency_nodes(index, size)


@given(st.integers(1, MAX_SIZE), st.data())
def test_a_proof_reads_few_nodes_in_a_tree_of_any_size(size, data):
    index = data.draw(st.integers(0, size - 1))
    for nodes in (inclusion_nodes(index, size), consistency_nodes(index, size)):
        assert len(nodes) <= 2 * 63
        assert all((at.index + 1) << at.level <= size for at in nodes)


@given(sizes, flips, st.data())
def test_one_flipped_bit_fails_every_inclusion_proof(size, bit, data):
    index = data.draw(st.integers(0, size - 1))
    leaf, root = leaf_hash(ENTRIES[index]), ROOTS[size]
    proof = prove_inclusion(index, size, stored())
    broken = [(flipped(leaf, bit), proof, root), (leaf, proof, flipped(root, bit))]
    for at, value in enumerate(proof.hashes):
        hashes = (*proof.hashes[:at], flipped(value, bit), *proof.hashes[at + 1 :])
        broken.append((leaf, msgspec.structs.replace(proof, hashes=hashes), root))
    for case in broken:
        with pytest.raises(EvidenceError):
            verify_inclusion(*case)


@given(sizes, flips, st.data())
def test_one_flipped_bit_fails_every_consistency_proof(new, bit, data):
    old = data.draw(st.integers(0, new))
    proof = prove_consistency(old, new, stored())
    broken = [(proof, flipped(ROOTS[old], bit), ROOTS[new])]
    if old:  # that a tree was once empty says nothing about it
        broken.append((proof, ROOTS[old], flipped(ROOTS[new], bit)))
    for at, value in enumerate(proof.hashes):
        hashes = (*proof.hashes[:at], flipped(value, bit), *proof.hashes[at + 1 :])
        broken.append((msgspec.structs.replace(proof, hashes=hashes), ROOTS[old], ROOTS[new]))
    for case in broken:
        with pytest.raises(EvidenceError):
            verify_consistency(*case)


@given(sizes, sizes, st.data())
def test_an_inclusion_proof_holds_for_one_leaf_at_one_place_only(size, other_size, data):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, other_size - 1))
    proof = prove_inclusion(index, size, stored())
    if other != index:
        with pytest.raises(EvidenceError):
            verify_inclusion(leaf_hash(ENTRIES[other]), proof, ROOTS[size])
        moved = InclusionProof(other, size, proof.hashes)
        with pytest.raises(EvidenceError):
            verify_inclusion(leaf_hash(ENTRIES[index]), moved, ROOTS[size])
    if other_size != size:
        with pytest.raises(EvidenceError):
            verify_inclusion(leaf_hash(ENTRIES[index]), proof, ROOTS[other_size])


@given(sizes, st.data())
def test_a_rewritten_history_is_never_consistent(new, data):
    old = data.draw(st.integers(1, new))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*ENTRIES[:at], b"rewritten", *ENTRIES[at + 1 : new]]
    proof = prove_consistency(old, new, StoredNodes([leaf_hash(e) for e in rewritten]))
    verify_consistency(proof, naive_root(rewritten[:old]), naive_root(rewritten))
    with pytest.raises(EvidenceError):
        verify_consistency(proof, ROOTS[old], naive_root(rewritten))


@given(sizes, st.data())
def test_a_proof_of_another_length_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    inclusion = prove_inclusion(index, size, stored())
    consistency = prove_consistency(index, size, stored())
    for proof, check in (
        (inclusion, lambda p: verify_inclusion(leaf_hash(ENTRIES[index]), p, ROOTS[size])),
        (consistency, lambda p: verify_consistency(p, ROOTS[index], ROOTS[size])),
    ):
        check(proof)
        with pytest.raises(EvidenceError):
            check(msgspec.structs.replace(proof, hashes=(*proof.hashes, bytes(32))))
        if proof.hashes:
            with pytest.raises(EvidenceError):
                check(msgspec.structs.replace(proof, hashes=proof.hashes[:-1]))
            with pytest.raises(EvidenceError):
                check(msgspec.structs.replace(proof, hashes=()))


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (6, 5), (0, 0), (0, 2**63)])
def test_a_leaf_that_is_not_there_is_never_proven(index, size):
    with pytest.raises(EvidenceError, match="no such leaf"):
        prove_inclusion(index, size, stored())
    with pytest.raises(EvidenceError, match="no such leaf"):
        inclusion_nodes(index, size)
    with pytest.raises(EvidenceError, match="no such leaf"):
        verify_inclusion(bytes(32), InclusionProof(index, size, ()), bytes(32))


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, 0), (1, 2**63)])
def test_a_tree_that_shrank_is_never_consistent(old, new):
    with pytest.raises(EvidenceError, match="never had that size"):
        prove_consistency(old, new, stored())
    with pytest.raises(EvidenceError, match="never had that size"):
        consistency_nodes(old, new)
    with pytest.raises(EvidenceError, match="never had that size"):
        verify_consistency(ConsistencyProof(old, new, ()), bytes(32), bytes(32))


def test_every_log_was_once_empty():
    verify_consistency(ConsistencyProof(0, 5, ()), EMPTY_ROOT, ROOTS[5])
    with pytest.raises(EvidenceError, match="hash of nothing"):
        verify_consistency(ConsistencyProof(0, 5, ()), ROOTS[1], ROOTS[5])
    with pytest.raises(EvidenceError, match="hash of nothing"):
        verify_consistency(ConsistencyProof(0, 0, ()), ROOTS[1], ROOTS[1])


def test_two_roots_for_one_size_are_a_fork():
    with pytest.raises(EvidenceError, match="two roots"):
        verify_consistency(ConsistencyProof(5, 5, ()), ROOTS[5], ROOTS[6])


@pytest.mark.parametrize("short", [b"", bytes(31), bytes(33)])
def test_what_is_not_a_hash_proves_nothing(short):
    with pytest.raises(EvidenceError, match="32 bytes"):
        verify_inclusion(short, InclusionProof(0, 1, ()), short)
    with pytest.raises(EvidenceError, match="32 bytes"):
        verify_inclusion(bytes(32), InclusionProof(0, 2, (short,)), bytes(32))
    with pytest.raises(EvidenceError, match="32 bytes"):
        verify_consistency(ConsistencyProof(1, 2, (short,)), bytes(32), bytes(32))


@given(
    st.integers(-2, 80),
    st.integers(-2, 80),
    st.lists(st.binary(min_size=32, max_size=32), max_size=9).map(tuple),
)
def test_made_up_proofs_are_refused_and_never_crash(first, second, hashes):
    with pytest.raises(EvidenceError):
        verify_inclusion(b"l" * 32, InclusionProof(first, second, hashes), b"r" * 32)
    with pytest.raises(EvidenceError):
        verify_consistency(ConsistencyProof(first, second, hashes), b"o" * 32, b"n" * 32)
