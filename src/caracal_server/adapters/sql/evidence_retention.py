"""Dropping entries from the front of a log: what they said goes, their hashes stay."""

from sqlalchemy import Connection, delete, insert, select

from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.tiles import HEIGHT, WIDTH
from caracal_server.adapters.sql.evidence_filters import drop_filters
from caracal_server.adapters.sql.evidence_layout import (
    HASH_BYTES,
    LOG_PLACES,
    index_of,
    place_of,
    span_of,
    tile_of,
)
from caracal_server.adapters.sql.tables import (
    evidence_entry,
    evidence_mention,
    evidence_opening,
    evidence_span,
    evidence_tile,
)

TILES_AT_ONCE = 16
"""Bundles that one transaction drops, so that what is to be recorded need not wait for long."""


def first_kept(connection: Connection, log: int) -> int:
    """Index of the first entry of a log that is still there."""
    place, base = evidence_entry.c.place, place_of(log, 0)
    statement = select(place).where(place >= base, place < base + LOG_PLACES)
    first = connection.execute(statement.order_by(place).limit(1)).scalar()
    return 0 if first is None else index_of(first)


def drop_some(connection: Connection, log: int, stop: int) -> bool:
    """Drop bundles before `stop`, as many as one transaction takes; tell whether there are more."""
    first = first_kept(connection, log)
    end = min(stop, first + TILES_AT_ONCE * WIDTH)
    for start in range(first, end, WIDTH):
        _drop_tile(connection, log, start)
    spans = range(span_of(log, first), span_of(log, max(first, end)))
    for table in (evidence_mention, evidence_span):
        if spans:
            connection.execute(
                delete(table).where(table.c.span >= spans[0], table.c.span <= spans[-1])
            )
    if end > first:
        # Of a stretch that lost its beginning as well: what the dropped entries said goes.
        drop_filters(connection, span_of(log, first), span_of(log, end - 1))
    return end < stop


def _drop_tile(connection: Connection, log: int, start: int) -> None:
    entry = evidence_entry
    within = entry.c.place.between(place_of(log, start), place_of(log, start + WIDTH - 1))
    statement = select(entry.c.hashes).where(within).order_by(entry.c.place)
    rows = list(connection.execute(statement).scalars())
    if start % WIDTH or len(rows) != WIDTH:
        raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, f"entries after {start} are missing")
    hashes = b"".join(row[:HASH_BYTES] for row in rows) + rows[-1][HEIGHT * HASH_BYTES :]
    connection.execute(insert(evidence_tile).values(tile=tile_of(log, start), hashes=hashes))
    opening = evidence_opening.c.place
    first, last = place_of(log, start), place_of(log, start + WIDTH - 1)
    connection.execute(delete(evidence_opening).where(opening.between(first, last)))
    connection.execute(delete(entry).where(within))
