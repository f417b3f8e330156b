"""Evidence: every zone's log, its tree and its checkpoints. How they lie: `evidence_layout.py`."""

from collections.abc import AsyncIterator, Iterable, Sequence

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, insert, literal, select, union

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings
from caracal.evidence.tiles import WIDTH, Tile
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.evidence_erasure import SqlErasures
from caracal_server.adapters.sql.evidence_filters import STRETCH, add_filter
from caracal_server.adapters.sql.evidence_layout import (
    LOG_PLACES,
    SPAN,
    TERMS,
    completed_spans,
    completed_stretches,
    index_of,
    peaks_of,
    place_of,
    row_hashes,
    span_of,
)
from caracal_server.adapters.sql.evidence_nodes import PAGE, read_nodes, read_tile
from caracal_server.adapters.sql.evidence_openings import (
    add_openings,
    await_erasures,
    pseudonym_of,
    pseudonyms_in,
    read_openings,
)
from caracal_server.adapters.sql.evidence_retention import drop_some, first_kept
from caracal_server.adapters.sql.evidence_search import fetch_entries, search, select_entries
from caracal_server.adapters.sql.evidence_terms import read_found, terms_of
from caracal_server.adapters.sql.instants import from_us, to_us
from caracal_server.adapters.sql.statements import (
    Rendered,
    Row,
    RowsInsert,
    Upsert,
    insert_into,
    names_of,
)
from caracal_server.adapters.sql.tables import (
    evidence_checkpoint,
    evidence_entry,
    evidence_log,
    evidence_mention,
    evidence_span,
)
from caracal_server.ports.evidence import (
    Erasure,
    EvidenceQuery,
    LogBatch,
    LogPosition,
    StoredCheckpoint,
    StoredEntry,
)

_first_place = cast(evidence_log.c.id, BigInteger) * LOG_PLACES
_last_place = (
    select(evidence_entry.c.place)
    .where(evidence_entry.c.place >= _first_place)
    .where(evidence_entry.c.place < _first_place + LOG_PLACES)
    .order_by(evidence_entry.c.place.desc())
    .limit(1)
    .scalar_subquery()
)
_find_log = Rendered(
    ("zone",),
    lambda _: select(evidence_log.c.id, _last_place).where(
        evidence_log.c.zone_id == bindparam("zone")
    ),
)
_add_entries = RowsInsert(evidence_entry)
_add_mentions = RowsInsert(evidence_mention)


def _save_checkpoint(dialect: str) -> Upsert:
    statement = insert_into(dialect, evidence_checkpoint)
    return statement.on_conflict_do_update(
        index_elements=list(evidence_checkpoint.primary_key.columns),
        set_={"note": statement.excluded.note, "at": statement.excluded.at},
        where=evidence_checkpoint.c.at <= statement.excluded.at,
    )


_put_checkpoint = Rendered(names_of(evidence_checkpoint), _save_checkpoint)


class SqlEvidenceStore:
    """An `EvidenceStore` over a database."""

    def __init__(self, database: Database, *, stretch: int = STRETCH) -> None:
        """Store evidence; the spans that make a stretch are fewer in tests, and nowhere else."""
        self._database = database
        self._stretch = stretch
        self._erasures = SqlErasures(database, find_log)

    async def position(self, zone_id: ZoneId) -> LogPosition:
        def work(connection: Connection) -> LogPosition:
            log, size = find_log(connection, zone_id)
            wanted = peaks_of(size)
            found = {} if log is None else read_nodes(connection, log, size, wanted)
            if len(found) != len(wanted):
                raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "entries are missing from the log")
            return LogPosition(size, tuple(found[peak] for peak in wanted))

        return await self._database.read(work)

    async def commit(self, batches: Sequence[LogBatch]) -> None:
        rows = [_rows(batch) for batch in batches]

        def work(connection: Connection) -> None:
            for batch, of_batch in zip(batches, rows, strict=True):
                _commit(connection, batch, of_batch, self._stretch)

        await self._database.transact(work)

    async def save_checkpoint(self, zone_id: ZoneId, checkpoint: StoredCheckpoint) -> None:
        def work(connection: Connection) -> None:
            log, size = find_log(connection, zone_id)
            if log is None or checkpoint.size > size:
                raise Unavailable(
                    Reason.EVIDENCE_UNAVAILABLE, "a checkpoint covers entries that were not stored"
                )
            at = to_us(checkpoint.at)
            _put_checkpoint.run(connection, log, checkpoint.size, checkpoint.note, at)

        await self._database.transact(work)

    async def logs(self) -> tuple[ZoneId, ...]:
        """The zones that have entries."""
        statement = select(evidence_log.c.zone_id).order_by(evidence_log.c.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(ZoneId(row.zone_id) for row in rows)

    async def latest_checkpoint(self, zone_id: ZoneId) -> StoredCheckpoint | None:
        found = await self.checkpoints(zone_id, below=None, limit=1)
        return found[0] if found else None

    async def latest_checkpoints(self) -> dict[ZoneId, StoredCheckpoint]:
        table, newest = evidence_checkpoint, evidence_checkpoint.alias()
        # One look into the index for each log: grouping would read every checkpoint there is.
        size = (
            select(func.max(newest.c.size))
            .where(newest.c.log_id == evidence_log.c.id)
            .correlate(evidence_log)
            .scalar_subquery()
        )
        statement = select(
            evidence_log.c.zone_id, table.c.size, table.c.note, table.c.at
        ).join_from(
            evidence_log, table, (table.c.log_id == evidence_log.c.id) & (table.c.size == size)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return {
            ZoneId(row.zone_id): StoredCheckpoint(row.size, row.note, from_us(row.at))
            for row in rows
        }

    async def checkpoints(
        self, zone_id: ZoneId, *, below: int | None, limit: int
    ) -> tuple[StoredCheckpoint, ...]:
        table = evidence_checkpoint
        statement = (
            select(table.c.size, table.c.note, table.c.at)
            .join(evidence_log, evidence_log.c.id == table.c.log_id)
            .where(evidence_log.c.zone_id == zone_id)
            .order_by(table.c.size.desc())
            .limit(limit)
        )
        if below is not None:
            statement = statement.where(table.c.size < below)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(StoredCheckpoint(row.size, row.note, from_us(row.at)) for row in rows)

    async def entry(self, zone_id: ZoneId, index: int) -> StoredEntry | None:
        found = await self._entries(zone_id, index, index + 1)
        return found[0] if found else None

    async def nodes(
        self, zone_id: ZoneId, wanted: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], bytes]:
        def work(connection: Connection) -> dict[tuple[int, int], bytes]:
            log, size = find_log(connection, zone_id)
            return {} if log is None else read_nodes(connection, log, size, wanted)

        return await self._database.read(work)

    async def tile(self, zone_id: ZoneId, tile: Tile) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            log, size = find_log(connection, zone_id)
            return None if log is None or tile.end > size else read_tile(connection, log, tile)

        return await self._database.read(work)

    async def first_kept(self, zone_id: ZoneId) -> int:
        def work(connection: Connection) -> int:
            log, _ = find_log(connection, zone_id)
            return 0 if log is None else first_kept(connection, log)

        return await self._database.read(work)

    async def drop(self, zone_id: ZoneId, stop: int) -> None:
        def work(connection: Connection) -> bool:
            log, size = find_log(connection, zone_id)
            if log is None or stop % WIDTH or not 0 <= stop < size:
                raise ValueError("whole bundles are dropped, and never the last")
            return drop_some(connection, log, stop)

        while await self._database.transact(work):
            pass
        await self._erasures.forget_persons(zone_id)

    async def search(self, zone_id: ZoneId, query: EvidenceQuery) -> tuple[StoredEntry, ...]:
        def work(connection: Connection) -> tuple[StoredEntry, ...]:
            log, size = find_log(connection, zone_id)
            return () if log is None else search(connection, log, size, query, self._stretch)

        return await self._database.read(work)

    async def scan(self, zone_id: ZoneId, start: int, stop: int) -> AsyncIterator[StoredEntry]:
        page = await self._entries(zone_id, start, stop)
        while page:
            for entry in page:
                yield entry
            following = page[-1].index + 1
            page = await self._entries(zone_id, following, stop) if following < stop else ()

    async def openings(self, zone_id: ZoneId, indexes: Sequence[int]) -> dict[int, Openings]:
        def work(connection: Connection) -> dict[int, Openings]:
            log, _ = find_log(connection, zone_id)
            return {} if log is None else read_openings(connection, log, indexes)

        return await self._database.read(work)

    async def pseudonym(self, zone_id: ZoneId, person: User) -> str | None:
        def work(connection: Connection) -> str | None:
            log, _ = find_log(connection, zone_id)
            return None if log is None else pseudonym_of(connection, log, person)

        return await self._database.read(work)

    async def count_erased(self, zone_id: ZoneId, erasure: Erasure) -> int:
        return await self._erasures.count(zone_id, erasure)

    async def erase(self, zone_id: ZoneId, recorded: int, erasure: Erasure) -> None:
        await self._erasures.erase(zone_id, recorded, erasure)

    async def waiting_erasures(self, zone_id: ZoneId) -> tuple[int, ...]:
        return await self._erasures.waiting(zone_id)

    async def _entries(self, zone_id: ZoneId, start: int, stop: int) -> tuple[StoredEntry, ...]:
        def work(connection: Connection) -> tuple[StoredEntry, ...]:
            log, size = find_log(connection, zone_id)
            if log is None:
                return ()
            statement = select_entries(log, max(start, 0), min(stop, size))
            return fetch_entries(connection, statement.order_by(evidence_entry.c.place).limit(PAGE))

        return await self._database.read(work)


def find_log(connection: Connection, zone_id: ZoneId) -> tuple[int | None, int]:
    """The number of a zone's log, if it has one, and its size."""
    row = _find_log.run(connection, zone_id).fetchone()
    if row is None:
        return None, 0
    log, place = row
    return log, 0 if place is None else index_of(place) + 1


def _rows(batch: LogBatch) -> list[Row]:
    """A batch's rows, with the index in the log where the place will stand."""
    return [
        (
            stored.index,
            entry.at,
            entry.kind.value,
            entry.verdict.value,
            entry.request,
            entry.session,
            entry.application,
            hashes,
            stored.data,
        )
        for stored, entry, hashes in zip(
            batch.entries, batch.records, row_hashes(batch), strict=True
        )
    ]


def _commit(connection: Connection, batch: LogBatch, rows: Iterable[Row], stretch: int) -> None:
    log, size = find_log(connection, batch.zone_id)
    if size != batch.before.size:
        raise Unavailable(
            Reason.EVIDENCE_UNAVAILABLE,
            f"the log holds {size} entries, not {batch.before.size}: another process wrote to it",
        )
    if log is None:
        log = _new_log(connection, batch.zone_id)
    base = place_of(log, 0)
    # Two writers that both saw `size` collide on the first place: one of them stores nothing.
    _add_entries.run(connection, [(base + row[0], *row[1:]) for row in rows])  # type: ignore[operator]  # an index
    if batch.openings:
        add_openings(connection, log, batch.openings)
    if batch.erasures:
        await_erasures(connection, log, batch.erasures)
    for span in completed_spans(size, batch.after.size):
        _sum_up(connection, log, span)
    for spans in completed_stretches(log, size, batch.after.size, stretch):
        add_filter(connection, spans)


def _new_log(connection: Connection, zone_id: ZoneId) -> int:
    statement = insert(evidence_log).values(zone_id=zone_id).returning(evidence_log.c.id)
    number: int = connection.execute(statement).scalar_one()
    return number


def _sum_up(connection: Connection, log: int, span: int) -> None:
    """Record what a whole span mentions and which time it covers."""
    entry, number = evidence_entry, span_of(log, span * SPAN)
    within = entry.c.place.between(number * SPAN, (number + 1) * SPAN - 1)
    connection.execute(
        insert(evidence_span).from_select(
            ["span", "first_at", "last_at"],
            select(literal(number), func.min(entry.c.at), func.max(entry.c.at)).where(within),
        )
    )
    mentioned = union(
        *(
            select(literal(number), column).where(within, column != "")
            for column in (entry.c.request, entry.c.session, entry.c.application)
        )
    )
    connection.execute(insert(evidence_mention).from_select(["span", "value"], mentioned))
    terms = {TERMS}
    for (data,) in connection.execute(select(entry.c.data).where(within)):
        terms.update(terms_of(read_found(data)))
    terms.update(pseudonyms_in(connection, number))
    _add_mentions.run(connection, [(number, term) for term in sorted(terms)])
