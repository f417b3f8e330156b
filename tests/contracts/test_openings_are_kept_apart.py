"""What opens commitments is stored with its entry, found by person, and erased so that it is gone."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from caracal.authority.events import Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.subjects import User
from caracal.evidence.commitments import make_opening
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.evidence_layout import SPAN
from caracal_server.ports.evidence import (
    EvidenceQuery,
    LogBatch,
    Redact,
    ShredBefore,
    ShredPerson,
    StoredOpenings,
)
from tests.contracts.conftest import ENGINES
from tests.contracts.logs import BEGIN_US, Log
from tests.support.evidence_store import MemoryEvidenceStore

ALICE = User("https://login.example", "alice.of.the.lake@example.com")
BOB = User("https://login.example", "bob")
NAMES = {ALICE: "a-first", BOB: "b-first"}


def opened(index: int, person: User, pseudonym: str = "", **more: str) -> StoredOpenings:
    fields = {"subject": person.name, "subject_issuer": person.issuer} | more
    openings = {name: make_opening(os.urandom(32), value) for name, value in fields.items()}
    return StoredOpenings(
        index, BEGIN_US + index, openings, person, pseudonym or f"{NAMES[person]}-{index}"
    )


def about(batch: LogBatch, persons: dict[int, User], **more: str) -> LogBatch:
    """The batch with openings of some of its entries."""
    made = (opened(index, person, **more) for index, person in persons.items())
    return replace(batch, openings=tuple(made))


def shredding(log: Log, erasure: object, index: int) -> LogBatch:
    batch = log.append([replace(log.entry(index), kind=Kind.EVIDENCE_SHRED)])
    return replace(batch, erasures=((index, erasure),))


@pytest.fixture(params=[*ENGINES, "memory"])
def store_url(request):
    if request.param == "memory":
        return None
    name = "sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    return request.getfixturevalue(name)


@pytest.fixture
async def store(store_url):
    if store_url is None:
        yield MemoryEvidenceStore()
        return
    database = await open_database(store_url)
    yield SqlEvidenceStore(database)
    await database.close()


@pytest.fixture
def sql_store(database):
    return SqlEvidenceStore(database)


async def indexes(store, zone_id, **query: object) -> list[int]:
    return [one.index for one in await store.search(zone_id, EvidenceQuery(**query))]


async def test_openings_come_back_with_their_entries_and_only_with_those(store, zone_id):
    batch = about(Log(zone_id).grow(5), {1: ALICE, 3: BOB})
    await store.commit([batch])

    assert await store.openings(zone_id, [0, 1, 2, 3, 9]) == {
        one.index: one.openings for one in batch.openings
    }
    assert await store.openings(ZoneId("nowhere"), [1]) == {}


async def test_a_person_keeps_the_pseudonym_that_the_log_gave_them_first(store, zone_id, entropy):
    log, other = Log(zone_id), Log(ZoneId(entropy.new_id()))
    await store.commit([about(log.grow(3), {1: ALICE, 2: ALICE})])
    await store.commit([about(log.grow(3), {4: ALICE}), about(other.grow(3), {2: ALICE})])

    assert await store.pseudonym(zone_id, ALICE) == "a-first-1"
    assert await store.pseudonym(other.zone_id, ALICE) == "a-first-2"
    assert await store.pseudonym(zone_id, BOB) is None
    assert await indexes(store, zone_id, person=ALICE) == [4, 2, 1]
    assert await indexes(store, zone_id, person=ALICE, request="request-2") == [2]
    assert await indexes(store, zone_id, pseudonym="a-first-1", ascending=True) == [1, 2, 4]
    assert await indexes(store, zone_id, person=BOB) == []
    assert await indexes(store, zone_id, person=ALICE, pseudonym="b-first-1") == []


async def test_shredding_a_person_leaves_the_entries_and_what_is_about_others(store, zone_id):
    log = Log(zone_id)
    await store.commit([about(log.grow(4), {0: ALICE, 1: BOB, 3: ALICE})])
    erasure = ShredPerson("a-first-0")
    assert await store.count_erased(zone_id, erasure) == 2

    await store.commit([shredding(log, erasure, 4)])
    assert await store.waiting_erasures(zone_id) == (4,)
    await store.erase(zone_id, 4, erasure)

    assert list(await store.openings(zone_id, range(5))) == [1]
    assert await store.waiting_erasures(zone_id) == ()
    assert await store.pseudonym(zone_id, ALICE) is None
    assert await indexes(store, zone_id, pseudonym="a-first-0") == []
    assert await indexes(store, zone_id, person=BOB) == [1]
    assert await Log.verify(store, zone_id) == 5


async def test_who_comes_again_after_being_forgotten_is_somebody_new(store, zone_id):
    log = Log(zone_id)
    await store.commit([about(log.grow(1), {0: ALICE})])
    await store.commit([shredding(log, ShredPerson("a-first-0"), 1)])
    await store.commit([about(log.grow(1), {2: ALICE})])
    await store.erase(zone_id, 1, ShredPerson("a-first-0"))

    assert list(await store.openings(zone_id, range(3))) == [2]
    assert await store.pseudonym(zone_id, ALICE) == "a-first-2"
    assert await indexes(store, zone_id, person=ALICE) == [2]


async def test_shredding_what_is_old_spares_what_came_later(store, zone_id):
    log = Log(zone_id)
    await store.commit([about(log.grow(6), {0: ALICE, 2: BOB, 5: BOB})])
    erasure = ShredBefore(BEGIN_US + 5)
    assert await store.count_erased(zone_id, erasure) == 2
    await store.commit([shredding(log, erasure, 6)])
    await store.erase(zone_id, 6, erasure)
    await store.erase(zone_id, 6, erasure)

    assert list(await store.openings(zone_id, range(7))) == [5]
    assert await store.pseudonym(zone_id, ALICE) is None
    assert await store.pseudonym(zone_id, BOB) == "b-first-2"
    assert await indexes(store, zone_id, person=BOB) == [5]


async def test_redacting_takes_one_value_and_forgets_who_it_was_if_it_said_so(store, zone_id):
    log = Log(zone_id)
    await store.commit([about(log.grow(2), {0: ALICE, 1: ALICE}, detail="by alice")])
    for index, field, still in (
        (0, "detail", [1, 0]),
        (0, "subject", [1]),
        (0, "subject_issuer", [1]),
    ):
        erasure = Redact(index, field)
        assert await store.count_erased(zone_id, erasure) == 1
        await store.erase(zone_id, 2, erasure)
        await store.erase(zone_id, 2, erasure)
        assert await store.count_erased(zone_id, erasure) == 0
        assert await indexes(store, zone_id, person=ALICE) == still
    assert list(await store.openings(zone_id, [0, 1])) == [1]

    await store.erase(zone_id, 2, Redact(1, "subject"))
    assert await store.pseudonym(zone_id, ALICE) is None
    assert set((await store.openings(zone_id, [1]))[1]) == {"subject_issuer", "detail"}


async def test_whole_spans_mention_persons_until_they_are_forgotten(sql_store, zone_id):
    log = Log(zone_id)
    await sql_store.commit([about(log.grow(SPAN), {7: ALICE, 8: BOB})])
    await sql_store.commit([about(log.grow(SPAN), {SPAN + 3: BOB})])
    await sql_store.commit([about(log.grow(10), {2 * SPAN + 2: ALICE, 2 * SPAN + 4: ALICE})])

    assert await indexes(sql_store, zone_id, person=ALICE) == [2 * SPAN + 4, 2 * SPAN + 2, 7]
    pages = await indexes(sql_store, zone_id, person=ALICE, limit=1, after_index=2 * SPAN + 2)
    assert pages == [7]
    erasure = ShredPerson("a-first-7")
    assert await sql_store.count_erased(zone_id, erasure) == 3
    await sql_store.commit([shredding(log, erasure, log.position.size)])
    await sql_store.erase(zone_id, log.position.size - 1, erasure)

    assert await indexes(sql_store, zone_id, pseudonym="a-first-7") == []
    assert await indexes(sql_store, zone_id, person=BOB) == [SPAN + 3, 8]
    assert await sql_store.count_erased(zone_id, ShredPerson("b-first-8")) == 2


async def test_dropping_entries_drops_what_opens_them_and_who_they_were(sql_store, zone_id):
    log = Log(zone_id)
    await sql_store.commit([about(log.grow(SPAN + 1), {7: ALICE, 8: BOB, SPAN: BOB})])
    await sql_store.drop(zone_id, SPAN)

    assert await sql_store.openings(zone_id, [7, 8]) == {}
    assert await sql_store.pseudonym(zone_id, ALICE) is None
    assert await indexes(sql_store, zone_id, person=BOB) == [SPAN]


async def test_nothing_of_a_shredded_value_is_left_in_the_file_of_sqlite(sqlite_url, entropy):
    """Several logs grow by turns, so that pages split and rows move before anything is deleted."""
    database = await open_database(sqlite_url)
    store = SqlEvidenceStore(database)
    logs = [Log(ZoneId(entropy.new_id())) for _ in range(3)]
    for _ in range(40):
        await store.commit([_of_both(log) for log in logs])
    for log in logs:
        pseudonym = await store.pseudonym(log.zone_id, ALICE)
        assert _found(sqlite_url, ALICE.name)
        await store.commit([shredding(log, ShredPerson(pseudonym), log.position.size)])
        await store.erase(log.zone_id, log.position.size - 1, ShredPerson(pseudonym))

    assert not _found(sqlite_url, ALICE.name)
    await database.close()
    assert not _found(sqlite_url, ALICE.name)
    assert _found(sqlite_url, BOB.name)


def _of_both(log: Log) -> LogBatch:
    size = log.position.size
    persons = {size + at: ALICE if at % 3 else BOB for at in range(7)}
    return about(log.grow(7), persons, detail="x" * (size % 300))


def _found(url: str, value: str) -> bool:
    path = Path(url.removeprefix("sqlite:///"))
    files = [path, path.with_name(f"{path.name}-wal")]
    return any(one.exists() and value.encode() in one.read_bytes() for one in files)
