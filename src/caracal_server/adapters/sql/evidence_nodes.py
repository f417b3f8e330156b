"""Hashes of a log's tree, wherever they lie: single nodes, and whole tiles."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from caracal.evidence.tiles import HEIGHT, WIDTH, Tile, subtree
from caracal_server.adapters.sql.evidence_layout import (
    HASH_BYTES,
    hash_at,
    last_entry_under,
    place_of,
)
from caracal_server.adapters.sql.tables import evidence_entry, evidence_tile

PAGE = 512
"""Rows that are read at once."""


def read_nodes(
    connection: Connection, log: int, size: int, wanted: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Those of the nodes, by level and index, that a log of `size` entries has."""
    found: dict[tuple[int, int], bytes] = {}
    table = evidence_entry
    for at in range(0, len(wanted), PAGE):
        rows: dict[int, list[tuple[int, int]]] = {}
        for level, index in wanted[at : at + PAGE]:
            last = last_entry_under(level, index)
            if 0 <= last < size:
                rows.setdefault(place_of(log, last), []).append((level, index))
        statement = select(table.c.place, table.c.hashes).where(table.c.place.in_(list(rows)))
        for place, hashes in connection.execute(statement):
            found |= {node: hash_at(hashes, node[0]) for node in rows.pop(place)}
        if rows:
            found |= _dropped_nodes(connection, rows)
    return found


def _dropped_nodes(
    connection: Connection, rows: Mapping[int, Sequence[tuple[int, int]]]
) -> dict[tuple[int, int], bytes]:
    """Nodes whose rows, by place, are gone: from what is left of dropped entries."""
    found: dict[tuple[int, int], bytes] = {}
    by_tile: dict[int, list[tuple[int, int]]] = {}
    for place, nodes in rows.items():
        by_tile.setdefault(place >> HEIGHT, []).extend(nodes)
    statement = select(evidence_tile).where(evidence_tile.c.tile.in_(list(by_tile)))
    for number, hashes in connection.execute(statement):
        for level, index in by_tile[number]:
            if level >= HEIGHT:
                found[level, index] = hash_at(hashes, WIDTH + level - HEIGHT)
            else:
                first = (index << level) % WIDTH
                leaves = [hash_at(hashes, first + at) for at in range(1 << level)]
                found[level, index] = subtree(leaves)
    return found


def read_tile(connection: Connection, log: int, tile: Tile) -> bytes | None:
    """The hashes of a tile that the log is long enough for; `None` when one of them is gone."""
    if tile.level == 0:
        table = evidence_entry
        within = table.c.place.between(place_of(log, tile.start), place_of(log, tile.end - 1))
        statement = select(table.c.hashes).where(within).order_by(table.c.place)
        hashes = [row[:HASH_BYTES] for row in connection.execute(statement).scalars()]
        if not hashes:
            kept = select(evidence_tile.c.hashes).where(
                evidence_tile.c.tile == place_of(log, tile.start) >> HEIGHT
            )
            row = connection.execute(kept).scalar()
            return None if row is None else bytes(row[: tile.width * HASH_BYTES])
    else:
        first = tile.start >> HEIGHT * tile.level
        wanted = [(HEIGHT * tile.level, first + at) for at in range(tile.width)]
        nodes = read_nodes(connection, log, tile.end, wanted)
        hashes = [nodes[node] for node in wanted if node in nodes]
    return b"".join(hashes) if len(hashes) == tile.width else None
