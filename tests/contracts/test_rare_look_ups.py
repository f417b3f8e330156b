"""What one entry says is found by asking few spans, however long the log, and whatever it lacks of filters."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, delete, event, select

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.evidence_filters import BLOCKS, add_filter
from caracal_server.adapters.sql.evidence_layout import SPAN, TERMS, span_of
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.adapters.sql.migrations.alembic_run import upgrade
from caracal_server.adapters.sql.tables import evidence_filter, evidence_log, evidence_mention
from caracal_server.ports.evidence import EvidenceQuery, ShredPerson
from tests.contracts.logs import Log
from tests.contracts.test_openings_are_kept_apart import ALICE, BOB, about, shredding

WIDTH = 2


@pytest.fixture
def store(database):
    return SqlEvidenceStore(database, stretch=WIDTH)


async def grow(store: SqlEvidenceStore, log: Log, spans: int, **fields: str) -> None:
    for _ in range(spans):
        await store.commit([log.grow(SPAN, **fields)])


async def found(store: SqlEvidenceStore, zone_id: ZoneId, **query: object) -> list[int]:
    return [one.index for one in await store.search(zone_id, EvidenceQuery(**query))]


async def number_of(database, zone_id: ZoneId) -> int:
    table = evidence_log
    statement = select(table.c.id).where(table.c.zone_id == zone_id)
    return await database.read(lambda connection: connection.execute(statement).scalar_one())


async def prints_in(database, zone_id: ZoneId) -> dict[int, list[bytes]]:
    """What stands in the blocks of each stretch that has any, sorted, by its first span in the log."""
    log = await number_of(database, zone_id)
    first, beyond = span_of(log, 0), span_of(log + 1, 0)
    table = evidence_filter
    statement = (
        select(table.c.span, table.c.prints)
        .where(table.c.span >= first, table.c.span < beyond)
        .order_by(table.c.span, table.c.block)
    )
    rows = await database.read(lambda connection: connection.execute(statement).all())
    prints: dict[int, list[bytes]] = {}
    for span, in_block in rows:
        pieces = sorted(in_block[at : at + 2] for at in range(0, len(in_block), 2))
        prints.setdefault(span - first, []).append(b"".join(pieces))
    assert all(len(blocks) == BLOCKS for blocks in prints.values())
    return prints


@contextmanager
def counted_probes() -> Iterator[list[int]]:
    """How many spans each statement asks whether they mention a value."""
    probes: list[int] = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if "evidence_mention" in statement and statement.startswith("SELECT"):
            probes.append(len(parameters) - 1)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield probes
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def probes_for(store: SqlEvidenceStore, zone_id: ZoneId, index: int, **query: object) -> int:
    with counted_probes() as probes:
        assert await found(store, zone_id, **query) == [index]
    return sum(probes)


async def test_a_look_up_asks_as_many_spans_in_a_long_log_as_in_a_short_one(
    database, store, zone_id, entropy
):
    log, plain = Log(zone_id), Log(ZoneId(entropy.new_id()))
    asked = []
    for _ in range(3):
        await grow(store, log, 10)
        asked.append(await probes_for(store, zone_id, 7, request="request-7"))
    await grow(SqlEvidenceStore(database), plain, 30)

    assert asked == [WIDTH, WIDTH, WIDTH]
    assert await probes_for(store, plain.zone_id, 7, request="request-7") == 30
    with counted_probes() as probes:
        assert await found(store, zone_id, request="nowhere") == []
        assert await found(store, zone_id, request="nowhere", ascending=True) == []
        assert await found(store, zone_id, request="request-7", session="nowhere") == []
    assert probes == []


async def test_a_term_is_looked_up_like_what_has_a_column(store, zone_id):
    log = Log(zone_id)
    await grow(store, log, 4)
    await store.commit([log.grow(1, target="a-target")])
    await grow(store, log, 4)

    # Each is also asked whether its terms are known.
    assert await probes_for(store, zone_id, 4 * SPAN, target="a-target") == 2 * WIDTH
    assert await found(store, zone_id, operation="GET /") == []


async def test_a_log_from_before_there_were_filters_is_searched_as_a_whole(zone_id, url_of_empty):
    database = await open_database(url_of_empty)
    await database.transact(lambda connection: upgrade(connection, "0006"))
    log = Log(zone_id)
    await grow(SqlEvidenceStore(database), log, 3)
    await migrate(database)
    store = SqlEvidenceStore(database, stretch=WIDTH)
    assert await found(store, zone_id, request="request-7") == [7]
    await grow(store, log, 3)

    # What was under way when the filters came has one.
    assert list(await prints_in(database, zone_id)) == [2, 4]
    for index in range(0, log.position.size, 211):
        assert await found(store, zone_id, request=f"request-{index}") == [index]
    assert await probes_for(store, zone_id, 7, request="request-7") == WIDTH
    await database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url_of_empty(request, tmp_path, entropy):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("postgres").create_database(f"empty-{entropy.new_id()}")


async def test_a_stretch_with_a_span_whose_terms_are_not_known_has_no_filter(
    database, store, zone_id
):
    log = Log(zone_id)
    await grow(store, log, 1, target="a-target")
    first = span_of(await number_of(database, zone_id), 0)
    table = evidence_mention
    older = delete(table).where(table.c.span == first, table.c.value.in_([TERMS, "t:a-target"]))
    await database.transact(lambda connection: connection.execute(older) and None)
    await grow(store, log, 3)

    assert list(await prints_in(database, zone_id)) == [WIDTH]
    assert len(await found(store, zone_id, target="a-target", limit=SPAN)) == SPAN


async def test_a_stretch_that_mentions_too_much_has_no_filter(database, zone_id):
    await grow(SqlEvidenceStore(database), Log(zone_id), 2)
    first = span_of(await number_of(database, zone_id), 0)
    spans = range(first, first + 2)
    table = evidence_mention
    counting = select(table.c.value).where(table.c.span.in_(spans))
    most = len(await database.read(lambda connection: connection.execute(counting).all()))

    await database.transact(lambda connection: add_filter(connection, spans, most - 1))
    assert await prints_in(database, zone_id) == {}
    await database.transact(lambda connection: add_filter(connection, spans, most))
    assert list(await prints_in(database, zone_id)) == [0]


async def test_what_was_dropped_leaves_no_prints_and_what_stayed_is_found(
    database, store, zone_id, entropy
):
    log, other = Log(zone_id), Log(ZoneId(entropy.new_id()))
    for one in (log, other):
        await grow(store, one, 3 * WIDTH)
        await store.commit([one.grow(1)])
    await store.drop(zone_id, SPAN // 2 + SPAN * WIDTH)

    # The second stretch lost its beginning only, and is asked span by span.
    left = await prints_in(database, zone_id)
    assert 0 not in left
    assert WIDTH not in left
    assert list(await prints_in(database, other.zone_id)) == [0, WIDTH, 2 * WIDTH]
    for index, there in ((7, []), (SPAN * WIDTH, []), (SPAN * 3 + 5, [SPAN * 3 + 5])):
        assert await found(store, zone_id, request=f"request-{index}") == there
    await grow(store, log, 2 * WIDTH)
    assert max(await prints_in(database, zone_id)) == 4 * WIDTH
    for index in range(SPAN * WIDTH + SPAN // 2, log.position.size, 97):
        assert await found(store, zone_id, request=f"request-{index}") == [index]


async def test_a_stretch_whose_beginning_was_dropped_before_its_end_came_has_no_filter(
    database, store, zone_id
):
    log = Log(zone_id)
    await grow(store, log, 1)
    await store.commit([log.grow(1)])
    await store.drop(zone_id, SPAN)
    await grow(store, log, 3)

    assert list(await prints_in(database, zone_id)) == [WIDTH]
    assert await found(store, zone_id, request=f"request-{SPAN + 9}") == [SPAN + 9]


async def test_filters_hold_nothing_of_persons_nor_of_operations(database, store, zone_id, entropy):
    log, bare = Log(zone_id), Log(ZoneId(entropy.new_id()))
    persons = {7: ALICE, 8: BOB, SPAN + 3: ALICE}
    for at in range(0, WIDTH * SPAN, SPAN):
        batch = log.grow(SPAN, operation="GET /orders")
        here = {index: who for index, who in persons.items() if at <= index < at + SPAN}
        await store.commit([about(batch, here), bare.grow(SPAN)])

    assert await prints_in(database, zone_id) == await prints_in(database, bare.zone_id)
    assert await found(store, zone_id, person=ALICE) == [SPAN + 3, 7]
    assert len(await found(store, zone_id, operation="GET /or", limit=2000)) == WIDTH * SPAN
    erasure = ShredPerson("a-first-7")
    await store.commit([shredding(log, erasure, log.position.size)])
    await store.erase(zone_id, log.position.size - 1, erasure)
    assert await found(store, zone_id, pseudonym="a-first-7") == []
    assert await found(store, zone_id, person=BOB) == [8]


async def test_zones_that_grow_at_once_have_filters_of_their_own(database, store, entropy):
    logs = [Log(ZoneId(entropy.new_id())) for _ in range(3)]
    await asyncio.gather(
        *(grow(store, log, 2 * WIDTH, application=f"app-{at}") for at, log in enumerate(logs))
    )
    for at, log in enumerate(logs):
        assert len(await found(store, log.zone_id, application=f"app-{at}", limit=5)) == 5
        with counted_probes() as probes:
            assert await found(store, log.zone_id, application=f"app-{at + 1}") == []
        assert probes == []
