"""Tiles come from a store as they come from the leaves, on both engines."""

from caracal.evidence.tiles import Tile, TileBuilder, edge_tiles, new_tiles
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
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
