"""Statements rendered once for each engine and run with plain tuples.

SQLAlchemy's own path costs 30 us a statement and more, ten times what SQLite takes for it. Here it only
renders the statement, and the driver gets the values as they are: str, int, bytes, bool and None.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Insert, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

Value = str | int | bytes | bool | None
Row = tuple[Value, ...]

MAX_ROWS = 64
_ANY_COUNT = 16
"""Up to here a statement is rendered for each number of rows, above for powers of two."""

Upsert = sqlite.Insert | postgresql.Insert


class Result(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Sequence[Any] | None: ...

    def fetchall(self) -> Sequence[Sequence[Any]]: ...


def _execute(connection: Connection, sql: str, row: Row) -> Result:
    if connection.dialect.name == "sqlite":
        raw: sqlite3.Cursor = connection.connection.cursor()  # type: ignore[assignment]  # the dialect's
        return raw.execute(sql, row)
    # A driver that may lose its server is left to SQLAlchemy, which then mends its pool.
    return connection.exec_driver_sql(sql, row)


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as an engine takes it.

    Attributes:
        order: where each of the engine's parameters is found in the given row and, after it, the
            constants; `None` when they are the row.
    """

    sql: str
    order: Callable[[Row], Row] | None
    constants: Row


class Rendered:
    """A statement whose parameters are given as a tuple in the order of `names`."""

    __slots__ = ("_build", "_names", "_texts")

    def __init__(self, names: Sequence[str], build: Callable[[str], ClauseElement]) -> None:
        """Prepare to render what `build` makes for an engine's name."""
        self._names = tuple(names)
        self._build = build
        self._texts: dict[str, _Text] = {}

    def run(self, connection: Connection, *row: Value) -> Result:
        text = self._text(connection)
        if text.order is not None:
            row = text.order(row + text.constants)
        return _execute(connection, text.sql, row)

    def run_many(self, connection: Connection, rows: Sequence[Row]) -> None:
        for row in rows:
            self.run(connection, *row)

    def _text(self, connection: Connection) -> _Text:
        text = self._texts.get(connection.dialect.name)
        if text is None:
            text = self._texts[connection.dialect.name] = self._render(connection)
        return text

    def _render(self, connection: Connection) -> _Text:
        compiled = self._build(connection.dialect.name).compile(dialect=connection.dialect)
        if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None:
            raise TypeError("only statements with positional parameters are rendered")
        keys = tuple(compiled.positiontup)
        if keys == self._names:
            return _Text(str(compiled), None, ())
        constants = {key: value for key, value in compiled.params.items() if key not in self._names}
        known = (*self._names, *constants)
        # A getter of one position answers a bare value; the second keeps it a tuple.
        get = itemgetter(*(known.index(key) for key in keys), 0)
        return _Text(str(compiled), lambda row: get(row)[:-1], tuple(constants.values()))


class RowsInsert:
    """INSERT of many whole rows by few statements.

    A driver lets other threads run between any two statements, and getting back the interpreter from a
    busy event loop takes up to its switch interval: one statement for many rows waits once.
    """

    __slots__ = ("_table", "_texts")

    def __init__(self, table: Table) -> None:
        self._table = table
        self._texts: dict[tuple[str, int], str] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        at = 0
        while at < len(rows):
            left = len(rows) - at
            count = left if left <= _ANY_COUNT else 1 << min(left, MAX_ROWS).bit_length() - 1
            values = tuple(chain.from_iterable(rows[at : at + count]))
            _execute(connection, self._text(connection, count), values)
            at += count

    def _text(self, connection: Connection, count: int) -> str:
        key = (connection.dialect.name, count)
        text = self._texts.get(key)
        if text is None:
            row = dict.fromkeys(names_of(self._table))
            statement = insert(self._table).values([row] * count)
            text = self._texts[key] = str(statement.compile(dialect=connection.dialect))
        return text


def names_of(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def insert_into(dialect: str, table: Table) -> Upsert:
    """An INSERT of the engine, which can say what to do about a row that is there already."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table).values(dict.fromkeys(names_of(table)))


def insert_of(table: Table) -> Rendered:
    """INSERT of whole rows, in the order of the table's columns."""
    return Rendered(names_of(table), lambda dialect: insert_into(dialect, table))


def upsert_of(table: Table, *, newer: str, or_equal: bool = False) -> Rendered:
    """INSERT, or UPDATE of the whole row where the stored one's `newer` column is lower."""

    def build(dialect: str) -> Insert:
        statement = insert_into(dialect, table)
        stored, given = table.c[newer], statement.excluded[newer]
        keys = {column.name for column in table.primary_key.columns}
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: statement.excluded[name] for name in names_of(table) if name not in keys},
            where=stored <= given if or_equal else stored < given,
        )

    return Rendered(names_of(table), build)
