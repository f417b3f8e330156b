"""Which stretches of a log may mention a value, so that a look-up need not ask each of their spans.

Thirty-two whole spans make a stretch. Of every value that a stretch mentions, three bytes of its hash are
kept: the first says in which of 256 blocks the other two, its *print*, stand. The rows of a block lie side
by side, a row for each stretch, so a look-up reads one run of small rows. A print that is missing proves
that no span of the stretch mentions the value; one that is there proves nothing. A stretch without rows
may mention anything: it is not whole, older than these rows, mentions too much, or lost its beginning.

Two kinds of values have no prints. Persons: what is forgotten would leave a trace of when it was about
whom. Operations: they are asked for by how they begin.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
)

from caracal_server.adapters.sql.evidence_layout import SPAN, TERMS
from caracal_server.adapters.sql.evidence_terms import OPERATION, PERSON
from caracal_server.adapters.sql.statements import Rendered, RowsInsert
from caracal_server.adapters.sql.tables import evidence_filter, evidence_mention

# INVARIANT: these never change; rows that were made with them are stored.
STRETCH: Final = 32
"""Spans that make a stretch; its row is named by the first of them."""
BLOCKS: Final = 256
PRINT_BYTES: Final = 2

MOST_MENTIONS: Final = 4 * SPAN * STRETCH
"""Mentions in a stretch up to which it gets rows, so that making them never takes long."""
FEW, MANY, FASTER = 8, 512, 8
"""Stretches that are asked at once: few, as what is common is found soon, then ever more."""

_LEFT_OUT: Final = (f"{PERSON}:", f"{OPERATION}:")
_value = evidence_mention.c.value
_mentions = Rendered(
    ("first", "last", "most"),
    lambda _: (
        select(_value)
        .where(evidence_mention.c.span.between(bindparam("first"), bindparam("last")))
        .where(*(or_(_value < tag, _value >= f"{tag[:-1]};") for tag in _LEFT_OUT))
        .limit(bindparam("most"))
    ),
)
_add_rows = RowsInsert(evidence_filter)


def add_filter(connection: Connection, spans: range, most: int = MOST_MENTIONS) -> None:
    """Keep prints of what the spans of a whole stretch mention, if that is all known and not too much."""
    found = _mentions.run(connection, spans[0], spans[-1], most + 1).fetchall()
    values = [row[0] for row in found]
    if len(values) > most or values.count(TERMS) != len(spans):
        return
    rows = enumerate(_prints_of(set(values)))
    _add_rows.run(connection, [(block, spans[0], prints) for block, prints in rows])


def narrowed(
    connection: Connection, spans: range, width: int, values: Sequence[str]
) -> Iterator[list[int]]:
    """The spans in order, some at a time, without stretches of `width` that lack one of the values."""
    low, high = min(spans[0], spans[-1]), max(spans[0], spans[-1])
    firsts = range(low - low % width, high + 1, width)[:: spans.step]
    asked = [value for value in values if not value.startswith(_LEFT_OUT)]
    at_once = FEW
    while firsts:
        some, firsts = firsts[:at_once], firsts[at_once:]
        lacking = _lacking(connection, some, asked)
        yield [
            span
            for first in some
            if first not in lacking
            for span in range(max(first, low), min(first + width, high + 1))[:: spans.step]
        ]
        at_once = min(at_once * FASTER, MANY)


def drop_filters(connection: Connection, first: int, last: int) -> None:
    """Drop the rows of every stretch that has one of the spans from `first` to `last`."""
    table = evidence_filter
    touched = table.c.span.between(first - STRETCH + 1, last)
    connection.execute(delete(table).where(table.c.block.in_(range(BLOCKS)), touched))


def holds_bytes(
    connection: Connection, column: ColumnElement[bytes], part: bytes
) -> ColumnElement[bool]:
    """That these bytes are somewhere in a column."""
    if connection.dialect.name == "sqlite":
        return func.instr(column, part) > 0
    return func.pg_catalog.position(column, literal(part, LargeBinary)) > 0


def _prints_of(values: Iterable[str]) -> Sequence[bytes]:
    """What the row of each block holds."""
    blocks = [bytearray() for _ in range(BLOCKS)]
    for value in values:
        digest = sha256(value.encode()).digest()
        blocks[digest[0]] += digest[1 : 1 + PRINT_BYTES]
    return [bytes(block) for block in blocks]


def _lacking(connection: Connection, firsts: range, values: Sequence[str]) -> set[int]:
    """Those of the stretches that surely lack one of the values."""
    table, lacking = evidence_filter, set[int]()
    for value in values:
        digest = sha256(value.encode(errors="surrogatepass")).digest()
        statement = select(table.c.span).where(
            table.c.block == digest[0],
            table.c.span.between(min(firsts), max(firsts)),
            ~holds_bytes(connection, table.c.prints, digest[1 : 1 + PRINT_BYTES]),
        )
        lacking.update(connection.execute(statement).scalars())
    return lacking
