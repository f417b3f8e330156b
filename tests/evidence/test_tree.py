"""The tree grows as RFC 6962 defines it, from its peaks alone."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    NodeId,
    TreeState,
    leaf_hash,
    node_hash,
    peak_nodes,
)
from tests.evidence.naive_tree import entries_of, naive_root

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc6962.json").read_text())
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["leaves"]]


def grown(size: int) -> TreeState:
    return TreeState().extend([leaf_hash(entry) for entry in entries_of(size)])


def test_the_published_roots_come_out_one_leaf_at_a_time():
    state = TreeState()
    roots = [state.root().hex()]
    for leaf in LEAVES:
        state = state.append(leaf)
        roots.append(state.root().hex())
    assert roots == VECTORS["roots"]
    assert EMPTY_ROOT.hex() == VECTORS["roots"][0]


def test_the_published_nodes_complete():
    state, nodes = TreeState().grow(LEAVES)
    assert state.root().hex() == VECTORS["roots"][-1]
    rows = [[node.hash.hex() for node in nodes if node.level == level] for level in range(4)]
    assert rows == VECTORS["nodes"]
    assert [(node.level, node.index) for node in nodes] == [
        *((0, index) for index in range(8)),
        *((1, index) for index in range(4)),
        (2, 0),
        (2, 1),
        (3, 0),
    ]


def test_every_size_to_70_has_the_root_of_a_naive_recomputation():
    entries = entries_of(70)
    state = TreeState()
    for size in range(71):
        assert state.root() == naive_root(entries[:size])
        state = state.append(leaf_hash(entries[size % 70]))


@given(st.integers(0, 300), st.integers(0, 300))
def test_appending_many_is_appending_each(before, added):
    leaves = [leaf_hash(entry) for entry in entries_of(before + added)]
    start = TreeState().extend(leaves[:before])
    one_by_one = start
    for leaf in leaves[before:]:
        one_by_one = one_by_one.append(leaf)
    grown_state, _ = start.grow(leaves[before:])
    assert start.extend(leaves[before:]) == grown_state == one_by_one


@given(st.lists(st.integers(0, 40), max_size=6))
def test_growing_names_every_complete_node_once(batches):
    entries = entries_of(sum(batches))
    state = TreeState()
    seen: dict[NodeId, bytes] = {}
    for batch in batches:
        leaves = [leaf_hash(entry) for entry in entries[state.size : state.size + batch]]
        state, nodes = state.grow(leaves)
        for node in nodes:
            at = NodeId(node.level, node.index)
            assert at not in seen
            seen[at] = node.hash
    size = len(entries)
    assert seen == {
        NodeId(level, index): naive_root(entries[index << level : (index + 1) << level])
        for level in range(size.bit_length())
        for index in range(size >> level)
    }


@given(st.integers(0, 300))
def test_a_tree_is_taken_up_from_its_stored_peaks(size):
    state, nodes = TreeState().grow([leaf_hash(entry) for entry in entries_of(size)])
    stored = {NodeId(node.level, node.index): node.hash for node in nodes}
    assert TreeState.resume(size, [stored[at] for at in peak_nodes(size)]) == state


@given(st.integers(0, MAX_SIZE))
def test_a_tree_of_any_size_is_summed_up_by_at_most_63_peaks(size):
    peaks = peak_nodes(size)
    assert len(peaks) == size.bit_count() <= 63
    assert sum(1 << at.level for at in peaks) == size


def test_a_tree_of_the_largest_size_still_has_a_root():
    state = TreeState.resume(MAX_SIZE - 1, [bytes([n]) * 32 for n in range(62)])
    assert state.append(bytes(32)).size == MAX_SIZE
    assert state.append(bytes(32)).root() == state.extend([bytes(32)]).root() != state.root()


def test_a_leaf_is_never_mistaken_for_a_node():
    assert leaf_hash(bytes(64)) != node_hash(bytes(32), bytes(32))


@pytest.mark.parametrize(
    ("size", "peaks"),
    [
        (-1, []),
        (0, [bytes(32)]),
        (1, []),
        (3, [bytes(32)]),
        (4, [bytes(32), bytes(32)]),
        (1, [bytes(31)]),
        (MAX_SIZE + 1, [bytes(32)]),
    ],
)
def test_peaks_that_cannot_belong_to_the_size_are_refused(size, peaks):
    with pytest.raises(EvidenceError):
        TreeState.resume(size, peaks)


@pytest.mark.parametrize("leaf", [b"", bytes(31), bytes(33)])
def test_what_is_not_a_hash_is_not_appended(leaf):
    with pytest.raises(EvidenceError, match="32 bytes"):
        TreeState().append(leaf)
    with pytest.raises(EvidenceError, match="32 bytes"):
        grown(3).extend([bytes(32), leaf])
    with pytest.raises(EvidenceError, match="32 bytes"):
        grown(3).grow([leaf])


def test_a_full_tree_refuses_to_grow():
    full = TreeState.resume(MAX_SIZE, [bytes(32)] * 63)
    for grow in (full.extend, full.grow):
        with pytest.raises(EvidenceError, match="full"):
            grow([bytes(32)])
    with pytest.raises(EvidenceError, match="full"):
        full.append(bytes(32))
