"""Tiles come from a store as they come from the leaves, on both engines, also of dropped entries."""

import pytest

from caracal.evidence.tiles import Tile, TileBuilder, edge_tiles, new_tiles
from caracal.evidence.tree import TreeState
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.ports.evidence import EvidenceQuery
from tests.contracts.logs import Log

SIZE = 1100


async def test_tiles_of_a_store_are_those_of_its_leaves(database, zone_id):
    store, log, builder = SqlEvidenceStore(database), Log(zone_id), TileBuilder()
    batches = [log.grow(count) for count in (1, 300, 799)]
    await store.commit(batches[:1])
    await store.commit(batches[1:])
    expected = {}
    for batch in batches:
        for stored in batch.entries:
            expected |= dict(builder.add(stored.leaf_hash))
    expected |= dict(builder.partial())

    assert set(expected) == set(new_tiles(0, SIZE))
    assert {tile: await store.tile(zone_id, tile) for tile in expected} == expected
    assert await store.tile(zone_id, Tile(0, 1, 7)) == expected[Tile(0, 1)][: 7 * 32]


async def test_a_store_has_no_tile_beyond_its_entries(database, zone_id):
    store, log = SqlEvidenceStore(database), Log(zone_id)
    assert await store.tile(zone_id, Tile(0, 0, 1)) is None
    await store.commit([log.grow(300)])

    for tile in (Tile(0, 1), Tile(0, 1, 45), Tile(1, 0, 2), Tile(2, 0, 1)):
        assert await store.tile(zone_id, tile) is None
    assert all([await store.tile(zone_id, tile) for tile in edge_tiles(300)])


async def test_dropping_takes_what_entries_say_and_leaves_every_hash(database, zone_id):
    store, log = SqlEvidenceStore(database), Log(zone_id)
    batch = log.grow(5_000)
    await store.commit([batch])
    _, nodes = TreeState().grow([one.leaf_hash for one in batch.entries])
    expected = {(node.level, node.index): node.hash for node in nodes}
    tiles = {tile: await store.tile(zone_id, tile) for tile in new_tiles(0, 5_000)}

    for stop in (0, 256, 4_864):
        await store.drop(zone_id, stop)

        assert await store.first_kept(zone_id) == stop
        assert await store.position(zone_id) == log.position
        assert await store.nodes(zone_id, list(expected)) == expected
        assert {tile: await store.tile(zone_id, tile) for tile in tiles} == tiles
        assert [one.index async for one in store.scan(zone_id, 0, 5_000)] == list(
            range(stop, 5_000)
        )
        found = await store.search(
            zone_id, EvidenceQuery(request=f"request-{stop}", ascending=True)
        )
        assert [one.index for one in found] == [stop]
        assert not stop or not await store.search(zone_id, EvidenceQuery(request="request-7"))
    await store.commit([log.grow(300)])
    assert (await store.position(zone_id)) == log.position


async def test_a_store_drops_whole_bundles_and_never_the_last_entry(database, zone_id):
    store, log = SqlEvidenceStore(database), Log(zone_id)
    with pytest.raises(ValueError, match="whole bundles"):
        await store.drop(zone_id, 256)
    await store.commit([log.grow(512)])

    for stop in (100, 512, 768, -256):
        with pytest.raises(ValueError, match="whole bundles"):
            await store.drop(zone_id, stop)
    assert await store.first_kept(zone_id) == 0
