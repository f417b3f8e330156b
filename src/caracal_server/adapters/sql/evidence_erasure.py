"""Erasing what opens commitments, piece by piece, so that what is to be recorded need not wait for long."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Delete, and_, delete, exists, func, select, update

from caracal.authority.identifiers import ZoneId
from caracal.evidence.commitments import parse_openings, render_openings
from caracal.evidence.errors import EvidenceError
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.evidence_layout import (
    LOG_PLACES,
    SPAN,
    SPAN_BITS,
    index_of,
    place_of,
    span_of,
)
from caracal_server.adapters.sql.evidence_terms import PERSON
from caracal_server.adapters.sql.tables import (
    evidence_erasure,
    evidence_mention,
    evidence_opening,
    evidence_person,
)
from caracal_server.ports.evidence import Erasure, Redact, ShredPerson

SPANS_AT_ONCE = 16
ROWS_AT_ONCE = 4096

WHO_FIELDS = frozenset({"subject", "subject_issuer", "target"})
"""Fields that say who a person is."""

FindLog = Callable[[Connection, ZoneId], tuple[int | None, int]]


class SqlErasures:
    """The erasures of an `EvidenceStore` over a database."""

    def __init__(self, database: Database, find_log: FindLog) -> None:
        self._database = database
        self._find_log = find_log

    async def count(self, zone_id: ZoneId, erasure: Erasure) -> int:
        def work(connection: Connection) -> int:
            log, size = self._find_log(connection, zone_id)
            if log is None:
                return 0
            if isinstance(erasure, Redact):
                return int(erasure.field in _fields(connection, log, erasure.index))
            statement = select(func.count()).select_from(evidence_opening)
            doomed = _doomed(log, size, erasure)
            if not isinstance(erasure, ShredPerson):
                return connection.execute(statement.where(doomed)).scalar_one()
            return sum(
                connection.execute(statement.where(doomed, _within(span))).scalar_one()
                for span in _spans_about(connection, log, size, erasure.pseudonym)
            )

        return await self._database.read(work)

    async def erase(self, zone_id: ZoneId, recorded: int, erasure: Erasure) -> None:
        log, size = await self._database.read(lambda one: self._find_log(one, zone_id))
        if log is None:
            return
        if isinstance(erasure, Redact):
            await self._database.transact(lambda one: _redact(one, log, erasure))
        else:
            await self._shred(log, min(size, recorded), size, erasure)
        await self.forget_persons(zone_id)
        await self._database.forget()
        done = delete(evidence_erasure).where(evidence_erasure.c.place == place_of(log, recorded))
        await self._database.transact(lambda connection: _run(connection, done))

    async def waiting(self, zone_id: ZoneId) -> tuple[int, ...]:
        def work(connection: Connection) -> tuple[int, ...]:
            log, _ = self._find_log(connection, zone_id)
            if log is None:
                return ()
            place, base = evidence_erasure.c.place, place_of(log, 0)
            statement = select(place).where(place >= base, place < base + LOG_PLACES)
            found = connection.execute(statement.order_by(place)).scalars()
            return tuple(index_of(one) for one in found)

        return await self._database.read(work)

    async def forget_persons(self, zone_id: ZoneId) -> None:
        """Forget who those are whom no opening is about any more."""

        def unheard_of(connection: Connection) -> tuple[int | None, int, list[str]]:
            log, size = self._find_log(connection, zone_id)
            if log is None:
                return None, 0, []
            person, opening = evidence_person, evidence_opening
            known = select(person.c.pseudonym).where(person.c.log_id == log)
            base = place_of(log, 0)
            about = select(opening.c.pseudonym).where(
                opening.c.place >= base, opening.c.place < base + LOG_PLACES
            )
            left = set(connection.execute(about.distinct()).scalars())
            return (
                log,
                size,
                [one for one in connection.execute(known).scalars() if one not in left],
            )

        log, size, pseudonyms = await self._database.read(unheard_of)
        for start in range(0, len(pseudonyms), SPANS_AT_ONCE):
            some = pseudonyms[start : start + SPANS_AT_ONCE]
            if log is not None:
                await self._database.transact(_forgetting(log, size, some))

    async def _shred(self, log: int, stop: int, size: int, erasure: Erasure) -> None:
        doomed = _doomed(log, stop, erasure)
        if isinstance(erasure, ShredPerson):
            pseudonym = erasure.pseudonym
            spans = await self._database.read(
                lambda connection: list(_spans_about(connection, log, size, pseudonym))
            )
            await self._erase_in(spans, doomed)
            return
        following = place_of(log, 0)
        while spans := await self._database.read(_next_spans(following, doomed)):
            await self._erase_in(spans, doomed)
            following = (spans[-1] + 1) * SPAN

    async def _erase_in(self, spans: Sequence[int], doomed: ColumnElement[bool]) -> None:
        for start in range(0, len(spans), SPANS_AT_ONCE):
            some = spans[start : start + SPANS_AT_ONCE]
            await self._database.transact(_erasing(some, doomed))


def _run(connection: Connection, statement: Delete) -> None:
    connection.execute(statement)


def _doomed(log: int, stop: int, erasure: Erasure) -> ColumnElement[bool]:
    """Which openings a shredding is about.

    A pseudonym is given to no entry after the one that says it is to be forgotten, so all that have it go.
    """
    table, base = evidence_opening, place_of(log, 0)
    if isinstance(erasure, ShredPerson):
        within = and_(table.c.place >= base, table.c.place < base + LOG_PLACES)
        return and_(within, table.c.pseudonym == erasure.pseudonym)
    if isinstance(erasure, Redact):
        return table.c.place == place_of(log, erasure.index)
    within = and_(table.c.place >= base, table.c.place < place_of(log, stop))
    return and_(within, table.c.at < erasure.at_us)


def _within(span: int) -> ColumnElement[bool]:
    return evidence_opening.c.place.between(span * SPAN, (span + 1) * SPAN - 1)


def _spans_about(connection: Connection, log: int, size: int, pseudonym: str) -> Iterator[int]:
    """The spans that may hold openings about a person: those that mention them, and the last one."""
    table, first = evidence_mention, span_of(log, 0)
    last = first + (size >> SPAN_BITS)
    statement = select(table.c.span).where(
        table.c.span >= first, table.c.span < last, table.c.value == f"{PERSON}:{pseudonym}"
    )
    yield from connection.execute(statement.order_by(table.c.span)).scalars()
    yield last


def _next_spans(following: int, doomed: ColumnElement[bool]) -> Callable[[Connection], list[int]]:
    place = evidence_opening.c.place
    statement = select(place).where(doomed, place >= following).order_by(place).limit(ROWS_AT_ONCE)

    def work(connection: Connection) -> list[int]:
        return sorted({one >> SPAN_BITS for one in connection.execute(statement).scalars()})

    return work


def _erasing(spans: Sequence[int], doomed: ColumnElement[bool]) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for span in spans:
            connection.execute(delete(evidence_opening).where(doomed, _within(span)))
            _unmention(connection, span)

    return work


def _unmention(connection: Connection, span: int) -> None:
    """Let a span mention no person that no opening in it is about any more."""
    table = evidence_mention
    called = f"{PERSON}:" + evidence_opening.c.pseudonym
    connection.execute(
        delete(table).where(
            table.c.span == span,
            table.c.value >= f"{PERSON}:",
            table.c.value < f"{PERSON};",
            ~exists().where(_within(span), called == table.c.value),
        )
    )


def _forgetting(log: int, size: int, pseudonyms: Sequence[str]) -> Callable[[Connection], None]:
    """Who came up since the log was `size` long is not forgotten."""
    person, opening = evidence_person, evidence_opening
    since = exists().where(
        opening.c.place >= place_of(log, size),
        opening.c.place < place_of(log, 0) + LOG_PLACES,
        opening.c.pseudonym == person.c.pseudonym,
    )
    statement = delete(person).where(
        person.c.log_id == log, person.c.pseudonym.in_(pseudonyms), ~since
    )

    def work(connection: Connection) -> None:
        connection.execute(statement)

    return work


def _fields(connection: Connection, log: int, index: int) -> frozenset[str]:
    table = evidence_opening
    statement = select(table.c.data).where(table.c.place == place_of(log, index))
    data = connection.execute(statement).scalar()
    try:
        return frozenset() if data is None else frozenset(parse_openings(data))
    except EvidenceError:
        return frozenset()


def _redact(connection: Connection, log: int, erasure: Redact) -> None:
    table, place = evidence_opening, place_of(log, erasure.index)
    data = connection.execute(select(table.c.data).where(table.c.place == place)).scalar()
    if data is None:
        return
    left = {name: one for name, one in parse_openings(data).items() if name != erasure.field}
    if not left:
        connection.execute(delete(table).where(table.c.place == place))
    else:
        change: dict[str, object] = {"data": render_openings(left)}
        if erasure.field in WHO_FIELDS:
            change["pseudonym"] = ""
        connection.execute(update(table).where(table.c.place == place).values(**change))
    _unmention(connection, place >> SPAN_BITS)
