"""Hashes of a log's tree, wherever they lie: single nodes, and whole tiles."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from caracal.evidence.tiles import HEIGHT, Tile
from caracal_server.adapters.sql.evidence_layout import (
    HASH_BYTES,
    hash_at,
    last_entry_under,
    place_of,
)
from caracal_server.adapters.sql.tables import evidence_entry

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
            found |= {node: hash_at(hashes, node[0]) for node in rows[place]}
    return found


def read_tile(connection: Connection, log: int, tile: Tile) -> bytes | None:
    """The hashes of a tile that the log is long enough for; `None` when one of them is gone."""
    if tile.level == 0:
        table = evidence_entry
        within = table.c.place.between(place_of(log, tile.start), place_of(log, tile.end - 1))
        statement = select(table.c.hashes).where(within).order_by(table.c.place)
        hashes = [row[:HASH_BYTES] for row in connection.execute(statement).scalars()]
    else:
        first = tile.start >> HEIGHT * tile.level
        wanted = [(HEIGHT * tile.level, first + at) for at in range(tile.width)]
        nodes = read_nodes(connection, log, tile.end, wanted)
        hashes = [nodes[node] for node in wanted if node in nodes]
    return b"".join(hashes) if len(hashes) == tile.width else None
