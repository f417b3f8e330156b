"""Every write of every store, failing in every way: whoever asked is told, and there is all of it or nothing."""

import ast
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import caracal_server.adapters.sql
from caracal.authority.graph import GraphChange
from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.adapters.sql.operators import SqlOperatorStore
from caracal_server.adapters.sql.tables import metadata
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.ports.evidence import StoredCheckpoint
from caracal_server.ports.graph import IdempotencyReceipt
from caracal_server.ports.keys import StoredSigningKey
from caracal_server.ports.operators import OperatorScope, OperatorToken
from tests.contracts.logs import Log
from tests.contracts.test_graph_store import AT, delegation_of, session_of
from tests.contracts.test_zone_store import zone_of
from tests.support.faults.faulty_database import FaultyDatabase, Wrong

ADAPTERS = Path(caracal_server.adapters.sql.__file__).parent


async def commit(database, zone_id):
    """Over the end of a span, so that what sums it up is written as well."""
    store, log = SqlEvidenceStore(database), Log(zone_id)
    await store.commit([log.grow(510)])
    batch = log.grow(5)
    return lambda: store.commit([batch])


async def save_checkpoint(database, zone_id):
    store, log = SqlEvidenceStore(database), Log(zone_id)
    await store.commit([log.grow(3)])
    return lambda: store.save_checkpoint(zone_id, StoredCheckpoint(3, "a note", AT))


async def drop(database, zone_id):
    store, log = SqlEvidenceStore(database), Log(zone_id)
    await store.commit([log.grow(600)])
    return lambda: store.drop(zone_id, 256)


async def save_graph(database, zone_id):
    store = SqlGraphStore(database)
    change = GraphChange(
        sessions=tuple(session_of(zone_id, number) for number in range(3)),
        delegations=(delegation_of(zone_id, 0),),
        epoch=3,
    )
    return lambda: store.save(zone_id, change, receipt_of(zone_id, 1))


async def drop_expired(database, zone_id):
    store = SqlGraphStore(database)
    for number in range(3):
        await store.save(zone_id, GraphChange(), receipt_of(zone_id, number))
    return lambda: store.drop_expired(now=AT + timedelta(days=9), limit=2)


def receipt_of(zone_id, number: int) -> IdempotencyReceipt:
    return IdempotencyReceipt(
        zone_id=zone_id,
        operation="start",
        scope="application",
        key_digest=f"digest-{number}",
        request_digest="request",
        status=201,
        body=b"{}",
        result_id="result",
        expires_at=AT + timedelta(days=1),
    )


async def save_zone(database, zone_id):
    store = SqlZoneStore(database)
    record = zone_of(zone_id)
    await store.save(record, expected_revision=0)
    return lambda: store.save(
        replace(record, revision=2, name="anew", providers=(), resources=(), sealed_credentials={},
                credential_fingerprints={}), expected_revision=1)  # fmt: skip


async def add_key(database, zone_id):
    store = SqlKeyStore(database)
    return lambda: store.add(StoredSigningKey(zone_id, zone_id, b"sealed", "{}", AT))


async def replace_sealed(database, zone_id):
    store = SqlKeyStore(database)
    kids = [f"{zone_id}-{number}" for number in range(2)]
    for kid in kids:
        await store.add(StoredSigningKey(kid, zone_id, b"sealed", "{}", AT))
    return lambda: store.replace_sealed(dict.fromkeys(kids, b"anew"))


def token_of(zone_id) -> OperatorToken:
    return OperatorToken(zone_id, "ops", zone_id, frozenset(OperatorScope), AT, None)


async def add_operator(database, zone_id):
    store = SqlOperatorStore(database)
    return lambda: store.add(token_of(zone_id))


async def remove_operator(database, zone_id):
    store = SqlOperatorStore(database)
    await store.add(token_of(zone_id))
    return lambda: store.remove(zone_id)


WRITES = {
    "SqlEvidenceStore.commit": commit,
    "SqlEvidenceStore.save_checkpoint": save_checkpoint,
    "SqlEvidenceStore.drop": drop,
    "SqlGraphStore.save": save_graph,
    "SqlGraphStore.drop_expired": drop_expired,
    "SqlZoneStore.save": save_zone,
    "SqlKeyStore.add": add_key,
    "SqlKeyStore.replace_sealed": replace_sealed,
    "SqlOperatorStore.add": add_operator,
    "SqlOperatorStore.remove": remove_operator,
}
REPEATED = {"SqlEvidenceStore.drop"}
"""Several transactions: what was done of them stays, and the rest is done when it is asked for again."""


def test_no_write_is_left_out():
    found = set()
    for path in ADAPTERS.glob("*.py"):
        for owner in ast.walk(ast.parse(path.read_text())):
            if isinstance(owner, ast.ClassDef) and owner.name.endswith("Store"):
                found |= {f"{owner.name}.{name}" for name in writing_methods(owner)}
    assert found == set(WRITES)


def writing_methods(owner: ast.ClassDef) -> list[str]:
    methods = [part for part in owner.body if isinstance(part, ast.AsyncFunctionDef)]
    return [one.name for one in methods if "self._database.transact" in ast.unparse(one)]


async def everything(database):
    """Every row of every table."""

    def work(connection):
        return {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in metadata.sorted_tables
        }

    return await database.read(work)


@pytest.fixture
def faulty(database):
    return FaultyDatabase(database)


@pytest.mark.parametrize("write", WRITES)
async def test_what_fails_is_there_as_a_whole_or_not_at_all(faulty, zone_id, write):
    act = await WRITES[write](faulty, zone_id)
    before = await everything(faulty)
    for faulty.wrong in (Wrong.BEFORE, Wrong.AT_ITS_END):
        with pytest.raises(Unavailable):
            await act()
        assert await everything(faulty) == before
    faulty.wrong = Wrong.AFTER
    with pytest.raises(Unavailable):
        await act()
    assert await everything(faulty) != before


@pytest.mark.parametrize("write", WRITES)
async def test_a_disk_that_is_full_or_read_only_takes_all_of_it_or_nothing(
    sqlite_database, zone_id, write
):
    faulty = FaultyDatabase(sqlite_database)
    act = await WRITES[write](faulty, zone_id)
    before = await everything(faulty)
    faulty.wrong = Wrong.READ_ONLY
    with pytest.raises(Unavailable, match="can not be written"):
        await act()
    assert await everything(faulty) == before
    faulty.wrong = Wrong.FULL
    refusal = None
    try:
        await act()
    except Unavailable as error:
        refusal = error.detail
    assert refusal is None or "full" in refusal
    assert (await everything(faulty) == before) is (refusal is not None)


@pytest.mark.parametrize("write", sorted(WRITES.keys() - REPEATED))
async def test_wherever_it_is_broken_off_nothing_of_it_is_there(sqlite_database, zone_id, write):
    faulty = FaultyDatabase(sqlite_database)
    act = await WRITES[write](faulty, zone_id)
    before = await everything(faulty)
    faulty.wrong = Wrong.INTERRUPTED
    steps, broken_off = 0, 0
    while True:
        faulty.steps = steps
        try:
            await act()
            break
        except Unavailable:
            broken_off += 1
            assert await everything(faulty) == before
        steps += max(1, steps // 3)
    assert broken_off > 3
    assert await everything(faulty) != before
