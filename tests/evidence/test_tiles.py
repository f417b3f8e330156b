"""Tiles hold the tree, whole and in one way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.proofs import (
    consistency_nodes,
    inclusion_nodes,
    verify_consistency,
    verify_inclusion,
)
from caracal.evidence.tile_reading import VerifiedTiles, tiles_under
from caracal.evidence.tiles import (
    MAX_ENTRY_BYTES,
    EntryBundle,
    Tile,
    TileBuilder,
    edge_tiles,
    leaves_of,
    new_bundles,
    new_tiles,
    parse_bundle,
    parse_path,
    render_bundle,
    split_hashes,
    tile_at,
)
from caracal.evidence.tree import EMPTY_ROOT, MAX_SIZE, TreeState, leaf_hash, node_hash

SIZE = 66_000
"""Two tiles of level 1, and one of level 2."""

levels = st.integers(0, 6)
widths = st.integers(1, 256)


def entry(number: int) -> bytes:
    return b'{"n":%d}' % number


@pytest.fixture(scope="module")
def leaves():
    return [leaf_hash(entry(number)) for number in range(SIZE)]


@pytest.fixture(scope="module")
def nodes(leaves):
    """Every complete node, level by level, computed by pairs and not by tiles."""
    rows = [leaves]
    while len(rows[-1]) > 1:
        below = rows[-1]
        rows.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return rows


@pytest.fixture(scope="module")
def stored(leaves):
    """Every tile that a log which grew to `SIZE` ever made full, and those at the edge of some sizes."""
    files, builder = {}, TileBuilder()
    for leaf in leaves:
        for tile, data in builder.add(leaf):
            files[tile.path] = data
        if builder.size in SIZES:
            files |= {tile.path: data for tile, data in builder.partial()}
            ROOTS[builder.size] = builder.root()
    return files


SIZES = (1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, SIZE)
ROOTS: dict[int, bytes] = {}


def test_tiles_hold_the_nodes_of_the_levels_that_they_stand_for(stored, nodes):
    for tile in (parse_path(path) for path in stored):
        row = nodes[8 * tile.level]
        expected = row[tile.index * 256 : tile.index * 256 + tile.width]
        assert stored[tile.path] == b"".join(expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_log_has_the_tiles_that_the_specification_counts(stored, size):
    for level in range(3):
        hashes = size // 256**level
        full = [Tile(level, index) for index in range(hashes // 256)]
        edge = [Tile(level, hashes // 256, hashes % 256)] if hashes % 256 else []
        of_level = [tile for tile in new_tiles(0, size) if tile.level == level]
        assert of_level == [*full, *edge]
        assert [tile for tile in edge_tiles(size) if tile.level == level] == edge
        assert all(tile.path in stored for tile in of_level)
        assert all(tile == tile_at(level, tile.index, size) for tile in of_level)


def test_the_examples_of_the_specification_are_kept():
    tiles = list(new_tiles(0, 70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert edge_tiles(70_000) == (Tile(2, 0, 1), Tile(1, 1, 17), Tile(0, 273, 112))
    assert list(new_tiles(0, 256)) == [Tile(1, 0, 1), Tile(0, 0)]
    assert Tile(3, 1_234_067).path == "tile/3/x001/x234/067"
    assert EntryBundle(1_234_067, 7).path == "tile/entries/x001/x234/067.p/7"


@pytest.mark.parametrize("size", SIZES)
def test_the_root_of_the_tiles_is_the_root_of_the_tree(stored, leaves, size):
    root = TreeState().extend(leaves[:size]).root()
    assert ROOTS[size] == root
    VerifiedTiles(size, root, lambda tile: stored[tile.path])


@given(data=st.data())
@settings(max_examples=60)
def test_proofs_from_tiles_verify(stored, leaves, data):
    size = data.draw(st.sampled_from(SIZES))
    index = data.draw(st.integers(0, size - 1))
    tiles = VerifiedTiles(size, ROOTS[size], lambda tile: stored[tile.path])
    verify_inclusion(leaves[index], tiles.inclusion(index, size), ROOTS[size])
    old = data.draw(st.sampled_from([other for other in SIZES if other <= size]))
    verify_consistency(tiles.consistency(old), ROOTS[old], ROOTS[size])
    assert len(tiles_under(inclusion_nodes(index, size), size)) <= 6
    assert len(tiles_under(consistency_nodes(old, size), size)) <= 6


@given(data=st.data())
@settings(max_examples=60)
def test_one_flipped_bit_of_a_tile_is_noticed(stored, data):
    size = data.draw(st.sampled_from(SIZES))
    tile = data.draw(st.sampled_from(list(new_tiles(0, size))))
    at, bit = data.draw(st.integers(0, len(stored[tile.path]) - 1)), data.draw(st.integers(0, 7))

    def read(asked: Tile) -> bytes:
        found = bytearray(stored[asked.path])
        found[at if asked == tile else 0] ^= 1 << bit if asked == tile else 0
        return bytes(found)

    with pytest.raises(EvidenceError):
        VerifiedTiles(size, ROOTS[size], read).hashes(tile)


def test_a_reader_keeps_what_neighbours_share(stored):
    asked = []

    def read(tile: Tile) -> bytes:
        asked.append(tile)
        return stored[tile.path]

    tiles = VerifiedTiles(SIZE, ROOTS[SIZE], read)
    for index in range(300):
        tiles.hashes(tile_at(0, index % 256, SIZE))
        tiles.hashes(tile_at(0, index % 256, SIZE))
    assert len([tile for tile in asked if tile.level]) == len(set(asked)) - 256 - 1


def test_a_tile_of_another_tree_is_not_read(stored):
    tiles = VerifiedTiles(257, ROOTS[257], lambda tile: stored[tile.path])
    for other in (Tile(0, 1), Tile(0, 0, 255), Tile(2, 0, 1)):
        with pytest.raises(EvidenceError, match="no tile of this tree"):
            tiles.hashes(other)
    with pytest.raises(EvidenceError, match="right edge"):
        VerifiedTiles(257, ROOTS[256], lambda tile: stored[tile.path])


def test_an_empty_log_has_no_tile_and_the_empty_root():
    assert not list(new_tiles(0, 0))
    assert not list(new_bundles(0, 0))
    VerifiedTiles(0, EMPTY_ROOT, lambda _tile: b"")


@given(old=st.integers(0, 200_000), grown=st.integers(0, 70_000))
@settings(max_examples=40)
def test_growing_adds_only_what_the_size_before_lacked(old, grown):
    before, after = set(new_tiles(0, old)), set(new_tiles(0, old + grown))
    added = set(new_tiles(old, old + grown))
    assert added == after - before
    assert {one.index for one in new_bundles(old, old + grown)} == {
        tile.index for tile in added if tile.level == 0
    }
    assert all(bundle.end <= old + grown for bundle in new_bundles(old, old + grown))


@given(level=levels, index=st.integers(0, 2**54), width=widths)
@settings(max_examples=100)
def test_paths_are_read_as_they_are_written(level, index, width):
    index >>= 8 * level
    for place in (Tile(level, index, width), EntryBundle(index >> 8, width)):
        assert parse_path(place.path) == place
        assert place.start < place.end


@given(st.from_regex(r"tile/[0-9e]{0,3}/(x[0-9]{2,4}/){0,7}[0-9]{2,4}(\.p/[0-9]{0,4})?"))
@settings(max_examples=100)
def test_a_path_that_is_taken_has_no_other_spelling(text):
    try:
        place = parse_path(text)
    except EvidenceError:
        return
    assert place.path == text


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/x000/001", "tile/00/001", "tile/0/1", "tile/0/0001", "tile/0/001.p/256", "tile/0/001.p/0",
        "tile/0/001.p/01", "tile/0/001.p/999", "tile/64/000", "tile/8/000", "tile/0/001/002", "tile/0/x001",
        "tile/entries/x001", "tile/0/001\n", "/tile/0/001", "tile/0/../001", "tile/0/\u0660\u0660\u0661", "",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)  # fmt: skip
def test_what_is_not_the_path_of_a_tile_is_refused(path):
    with pytest.raises(EvidenceError):
        parse_path(path)


@pytest.mark.parametrize("place", [(0, -1, 1), (-1, 0, 1), (64, 0, 1), (0, 0, 0), (0, 0, 257)])
def test_a_tile_that_no_tree_has_can_not_be_named(place):
    with pytest.raises(EvidenceError):
        Tile(*place)
    with pytest.raises(EvidenceError):
        tile_at(0, 1, 256)


def test_the_last_tile_there_can_be_has_a_path():
    last = Tile(0, MAX_SIZE // 256, 255)
    assert last.end == MAX_SIZE
    assert parse_path(last.path) == last


@given(st.lists(st.binary(max_size=300), max_size=256))
@settings(max_examples=60)
def test_bundles_give_back_their_entries(entries):
    data = render_bundle(entries)
    assert list(parse_bundle(data, len(entries))) == entries
    assert leaves_of(entries) == tuple(leaf_hash(one) for one in entries)
    for other in (data + b"\0", data[:-1]):
        if other:
            with pytest.raises(EvidenceError):
                parse_bundle(other, len(entries))
    with pytest.raises(EvidenceError):
        parse_bundle(data, len(entries) + 1)


def test_a_bundle_says_lengths_of_sixteen_bits_and_no_more():
    longest = b"x" * MAX_ENTRY_BYTES
    assert render_bundle([longest, b"y"]) == b"\xff\xff" + longest + b"\x00\x01y"
    with pytest.raises(EvidenceError):
        render_bundle([b"", longest + b"x"])


def test_a_tile_of_another_width_is_refused():
    assert split_hashes(bytes(64), 2) == (bytes(32), bytes(32))
    for data in (b"", bytes(63), bytes(96)):
        with pytest.raises(EvidenceError):
            split_hashes(data, 2)
