"""Finding entries: first which spans of a log may hold them, then within those."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select

from caracal_server.adapters.sql.evidence_filters import holds_bytes, narrowed
from caracal_server.adapters.sql.evidence_layout import (
    HASH_BYTES,
    SPAN_BITS,
    TERMS,
    index_of,
    place_of,
    span_of,
)
from caracal_server.adapters.sql.evidence_openings import about_person, pseudonym_of
from caracal_server.adapters.sql.evidence_terms import PERSON, bounds_of_term, fits, wanted_terms
from caracal_server.adapters.sql.instants import to_us
from caracal_server.adapters.sql.tables import evidence_entry, evidence_mention, evidence_span
from caracal_server.ports.evidence import EvidenceQuery, StoredEntry

SPANS_AT_ONCE = 512
_ELSEWHERE = frozenset({"k", "v", PERSON})
"""Tags of terms that need not be read in the entries."""

EntrySelect = Select[int, bytes, bytes]


def search(
    connection: Connection, log: int, size: int, query: EvidenceQuery, stretch: int
) -> tuple[StoredEntry, ...]:
    """The entries of a log of `size` that match, in the query's order; `stretch` spans make a stretch."""
    start, stop = 0, size
    if query.after_index is not None and query.ascending:
        start = max(query.after_index + 1, 0)
    elif query.after_index is not None:
        stop = max(min(query.after_index, size), 0)
    if query.person is not None:
        pseudonym = pseudonym_of(connection, log, query.person)
        if pseudonym is None or query.pseudonym not in {None, pseudonym}:
            return ()
        query = replace(query, pseudonym=pseudonym)
    if start >= stop or query.limit < 1:
        return ()
    matching = _matching(connection, query)
    if not _selective(query):
        return _fetch(connection, log, (start, stop), matching, query.limit, query)
    found: list[StoredEntry] = []
    for span in _candidates(connection, log, (start, stop), size, query, stretch):
        low, high = span << SPAN_BITS, (span + 1) << SPAN_BITS
        bounds = (max(low, start), min(high, stop))
        found += _fetch(connection, log, bounds, matching, query.limit - len(found), query)
        if len(found) == query.limit:
            break
    return tuple(found)


def select_entries(log: int, start: int, stop: int) -> EntrySelect:
    table = evidence_entry
    return select(table.c.place, table.c.hashes, table.c.data).where(
        table.c.place >= place_of(log, start), table.c.place < place_of(log, stop)
    )


def fetch_entries(connection: Connection, statement: EntrySelect) -> tuple[StoredEntry, ...]:
    return tuple(
        StoredEntry(index_of(place), data, hashes[:HASH_BYTES])
        for place, hashes, data in connection.execute(statement)
    )


def _fetch(
    connection: Connection,
    log: int,
    bounds: tuple[int, int],
    matching: Sequence[ColumnElement[bool]],
    limit: int,
    query: EvidenceQuery,
) -> tuple[StoredEntry, ...]:
    place = evidence_entry.c.place
    wanted = _in_entries(query)
    found: list[StoredEntry] = []
    start, stop = bounds
    while start < stop and len(found) < limit:
        statement = (
            select_entries(log, start, stop)
            .where(*matching)
            .order_by(place.asc() if query.ascending else place.desc())
            .limit(limit - len(found))
        )
        rows = fetch_entries(connection, statement)
        found += (row for row in rows if not wanted or fits(row.data, wanted))
        if not wanted or not rows:
            break
        start, stop = (rows[-1].index + 1, stop) if query.ascending else (start, rows[-1].index)
    return tuple(found)


def _in_entries(query: EvidenceQuery) -> dict[str, str]:
    """The wanted terms that only the entries themselves have."""
    return {tag: value for tag, value in wanted_terms(query).items() if tag not in _ELSEWHERE}


def _holds(connection: Connection, value: str) -> ColumnElement[bool]:
    """That an entry has this text somewhere: less work than to read it, and `fits` decides."""
    return holds_bytes(connection, evidence_entry.c.data, msgspec.json.encode(value)[1:-1])


def _matching(connection: Connection, query: EvidenceQuery) -> list[ColumnElement[bool]]:
    table = evidence_entry
    conditions = [
        column == str(wanted)
        for column, wanted in (
            (table.c.request, query.request),
            (table.c.session, query.session),
            (table.c.application, query.application),
            (table.c.kind, query.kind),
            (table.c.verdict, query.verdict),
        )
        if wanted is not None
    ]
    if query.since is not None:
        conditions.append(table.c.at >= to_us(query.since))
    if query.until is not None:
        conditions.append(table.c.at < to_us(query.until))
    if query.pseudonym is not None:
        conditions.append(about_person(query.pseudonym))
    conditions += (_holds(connection, value) for value in _in_entries(query).values())
    return conditions


def _selective(query: EvidenceQuery) -> bool:
    terms = _mentioned(query) or wanted_terms(query)
    return bool(terms) or query.since is not None or query.until is not None


def _mentioned(query: EvidenceQuery) -> list[str]:
    return [value for value in (query.request, query.session, query.application) if value]


def _candidates(
    connection: Connection,
    log: int,
    bounds: tuple[int, int],
    size: int,
    query: EvidenceQuery,
    stretch: int,
) -> Iterator[int]:
    """The spans that may hold a match, in the query's order; the last, unfinished one always may."""
    base, unfinished = span_of(log, 0), span_of(log, size)
    spans = range(span_of(log, bounds[0]), span_of(log, bounds[1] - 1) + 1)
    terms = (bounds_of_term(tag, value)[0] for tag, value in wanted_terms(query).items())
    values = [*_mentioned(query), *terms]
    ordered = spans if query.ascending else spans[::-1]
    for left in narrowed(connection, ordered, stretch, values):
        for at in range(0, len(left), SPANS_AT_ONCE):
            group = left[at : at + SPANS_AT_ONCE]
            possible = _possible(connection, [one for one in group if one < unfinished], query)
            yield from (one - base for one in group if one >= unfinished or one in possible)


def _possible(connection: Connection, spans: list[int], query: EvidenceQuery) -> set[int]:
    left = spans
    mention, times = evidence_mention, evidence_span
    for value in _mentioned(query):
        if left:
            statement = select(mention.c.span).where(
                mention.c.span.in_(left), mention.c.value == value
            )
            left = list(connection.execute(statement).scalars())
    wanted = wanted_terms(query)
    if left and wanted:
        left = _with_terms(connection, left, wanted)
    if left and (query.since is not None or query.until is not None):
        statement = select(times.c.span).where(times.c.span.in_(left))
        if query.since is not None:
            statement = statement.where(times.c.last_at >= to_us(query.since))
        if query.until is not None:
            statement = statement.where(times.c.first_at < to_us(query.until))
        left = list(connection.execute(statement).scalars())
    return set(left)


def _with_terms(connection: Connection, spans: list[int], wanted: dict[str, str]) -> list[int]:
    """Those of the spans that mention every wanted term, or were never asked for their terms."""
    table = evidence_mention
    summed = select(table.c.span).where(table.c.span.in_(spans), table.c.value == TERMS)
    unknown = set(spans).difference(connection.execute(summed).scalars())
    left = spans
    for tag, value in wanted.items():
        first, beyond = bounds_of_term(tag, value)
        statement = select(table.c.span).where(table.c.span.in_(left))
        if first == beyond:
            statement = statement.where(table.c.value == first)
        else:
            statement = statement.where(table.c.value >= first, table.c.value < beyond)
        mentioning = unknown.union(connection.execute(statement).scalars())
        left = [span for span in left if span in mentioning]
    return left
