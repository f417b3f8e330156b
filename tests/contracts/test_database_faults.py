"""A store that is full, locked, gone or unreachable: a typed refusal, and nothing half stored."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.sql.database import DatabaseInUse, open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.migrations import migrate
from tests.contracts.logs import Log


def pragma(statement: str):
    return lambda connection: connection.execute(text(f"PRAGMA {statement}")).scalar()


async def test_a_full_store_refuses_whole_batches_and_works_again_once_there_is_room(
    sqlite_database, zone_id
):
    store = SqlEvidenceStore(sqlite_database)
    log = Log(zone_id)
    await store.commit([log.grow(5)])
    pages = await sqlite_database.read(pragma("page_count"))
    await sqlite_database.transact(pragma(f"max_page_count = {pages + 4}"))
    before = log.position

    with pytest.raises(Unavailable) as caught:
        await store.commit([log.grow(200)])
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert "full" in caught.value.detail
    assert await store.position(zone_id) == before

    log.back_to(before)
    await sqlite_database.transact(pragma("max_page_count = 1000000"))
    await store.commit([log.grow(200)])
    assert await store.position(zone_id) == log.position


async def test_a_store_locked_by_another_program_refuses_and_recovers(
    sqlite_database, sqlite_url, zone_id
):
    store, log = SqlEvidenceStore(sqlite_database), Log(zone_id)
    await sqlite_database.transact(pragma("busy_timeout = 20"))
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"):
        await store.commit([log.grow(3)])
    assert await store.position(zone_id) == log.before

    other.execute("ROLLBACK")
    other.close()
    log.back_to(log.before)
    await store.commit([log.grow(3)])
    assert (await store.position(zone_id)).size == 3


async def test_a_file_that_is_gone_takes_nothing_more(sqlite_database, sqlite_url, zone_id):
    store, log = SqlEvidenceStore(sqlite_database), Log(zone_id)
    await store.commit([log.grow(3)])
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.rename(path.with_name("moved.db"))

    with pytest.raises(Unavailable, match="gone"):
        await store.commit([log.grow(3)])
    with pytest.raises(Unavailable, match="gone"):
        await store.position(zone_id)


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "caracal.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)

    with pytest.raises(Unavailable, match="damaged"):
        await open_database(f"sqlite:///{path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_directory_that_can_not_be_written_is_refused(tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)

    with pytest.raises(Unavailable):
        await open_database(f"sqlite:///{tmp_path}/data/caracal.db")


async def test_a_disk_that_refuses_writes_stores_nothing_and_loses_nothing(sqlite_url, zone_id):
    """The file size limit of a child process stands for the disk."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.contracts.limited_disk", sqlite_url, zone_id],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    acknowledged = int(ended.stdout)

    database = await open_database(sqlite_url)
    store = SqlEvidenceStore(database)
    assert (await store.position(zone_id)).size == acknowledged
    await Log.verify(store, zone_id)
    await database.close()


async def test_a_server_that_does_not_answer_is_unavailable(postgres):
    url = postgres.url("contracts").replace(f":{postgres.port}/", ":1/")

    with pytest.raises(Unavailable) as caught:
        await open_database(url)
    assert caught.value.reason is Reason.STORE_UNAVAILABLE


async def lose_ownership(postgres, name):
    """End the connection that holds the lock; no other process may connect until it is let in."""
    await asyncio.to_thread(
        postgres.execute, "postgres", f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'
    )
    await asyncio.to_thread(
        postgres.execute,
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database ="
        f" (SELECT oid FROM pg_database WHERE datname = '{name}')",
    )


async def let_in(postgres, name):
    await asyncio.to_thread(
        postgres.execute, "postgres", f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'
    )


async def refused_with(store, zone_id, text):
    async with asyncio.timeout(10):
        while True:
            try:
                await store.position(zone_id)
            except Unavailable as refusal:
                if text in refusal.detail:
                    return
            await asyncio.sleep(0)


async def test_who_loses_the_ownership_refuses_until_it_is_the_owner_again(postgres, zone_id):
    name = f"owner-{zone_id}"
    database = await open_database(postgres.create_database(name))
    await migrate(database)
    store, log = SqlEvidenceStore(database), Log(zone_id)
    await store.commit([log.grow(2)])

    await lose_ownership(postgres, name)
    await refused_with(store, zone_id, "ownership")
    more = log.grow(2)
    with pytest.raises(Unavailable, match="ownership"):
        await store.commit([more])

    await let_in(postgres, name)
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Unavailable):
                await store.commit([more])
                break
            await asyncio.sleep(0)
    assert (await store.position(zone_id)).size == 4
    await database.close()


async def test_who_comes_back_after_another_owner_refuses_for_good(postgres, zone_id):
    name = f"taken-{zone_id}"
    url = postgres.create_database(name)
    database = await open_database(url)
    await migrate(database)
    store = SqlEvidenceStore(database)

    # What another owner leaves behind, written before the lock is lost so that nothing races.
    await asyncio.to_thread(postgres.execute, name, "UPDATE caracal_owner SET number = number + 1")
    await lose_ownership(postgres, name)
    await refused_with(store, zone_id, "ownership")
    await let_in(postgres, name)

    await refused_with(store, zone_id, "another process")
    with pytest.raises(Unavailable, match="another process"):
        await store.commit([Log(zone_id).grow(1)])
    await database.close()


async def test_an_owner_that_is_gone_leaves_the_database_to_the_next(postgres, zone_id):
    url = postgres.create_database(f"next-{zone_id}")
    first = await open_database(url)
    with pytest.raises(DatabaseInUse):
        await open_database(url)
    await first.close()
    second = await open_database(url)
    await second.close()


async def test_a_connection_cut_in_the_middle_of_a_transaction_stores_nothing(postgres, zone_id):
    database = await open_database(postgres.create_database(f"cut-{zone_id}"))
    await migrate(database)

    def cut(connection):
        connection.execute(text("INSERT INTO graph_epoch (zone_id, epoch) VALUES ('cut', 1)"))
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Unavailable):
        await database.transact(cut)

    count = text("SELECT count(*) FROM graph_epoch WHERE zone_id = 'cut'")
    assert await database.read(lambda connection: connection.execute(count).scalar()) == 0
    await database.close()


async def test_a_commit_is_on_the_servers_disk_whatever_the_database_is_set_to(postgres, zone_id):
    url = postgres.create_database(f"sync-{zone_id}")
    statement = f'ALTER DATABASE "sync-{zone_id}" SET synchronous_commit = off'
    await asyncio.to_thread(postgres.execute, "postgres", statement)
    database = await open_database(url)
    shown = text("SHOW synchronous_commit")
    assert await database.transact(lambda connection: connection.execute(shown).scalar()) == "on"
    await database.close()
