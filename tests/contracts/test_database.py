"""What `Database` promises: each work whole or not at all, one owner, nothing lost on close."""

import asyncio
import subprocess
import sys

import pytest
from sqlalchemy import text

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sql.database import DatabaseInUse, open_database

TABLE = "graph_epoch"


def put(key: str, epoch: int):
    def work(connection):
        connection.execute(
            text("INSERT INTO graph_epoch (zone_id, epoch) VALUES (:key, :epoch)"),
            {"key": key, "epoch": epoch},
        )

    return work


def keys_like(prefix: str):
    def work(connection):
        statement = text(
            "SELECT zone_id FROM graph_epoch WHERE zone_id LIKE :like ORDER BY zone_id"
        )
        return list(connection.execute(statement, {"like": f"{prefix}%"}).scalars())

    return work


class Wrong(Exception):
    pass


async def test_what_was_stored_is_there_after_opening_again(url, zone_id):
    first = await open_database(url)
    await first.transact(put(zone_id, 1))
    await first.close()

    second = await open_database(url)
    assert await second.read(keys_like(zone_id)) == [zone_id]
    await second.close()


async def test_of_many_writers_at_once_each_is_stored_whole_or_not_at_all(database, zone_id):
    async def write(number: int) -> None:
        def work(connection):
            put(f"{zone_id}-{number:02}-a", number)(connection)
            if number % 3 == 0:
                raise Wrong(number)
            put(f"{zone_id}-{number:02}-b", number)(connection)

        await database.transact(work)

    outcomes = await asyncio.gather(*(write(n) for n in range(60)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [
        Wrong if n % 3 == 0 else type(None) for n in range(60)
    ]
    assert await database.read(keys_like(zone_id)) == [
        f"{zone_id}-{n:02}-{half}" for n in range(60) if n % 3 for half in "ab"
    ]


async def test_a_work_that_breaks_a_rule_of_the_tables_does_not_harm_its_neighbours(
    database, zone_id
):
    await database.transact(put(zone_id, 1))

    repeated, other = await asyncio.gather(
        database.transact(put(zone_id, 2)),
        database.transact(put(f"{zone_id}-other", 2)),
        return_exceptions=True,
    )

    assert isinstance(repeated, Unavailable)
    assert other is None
    assert await database.read(keys_like(zone_id)) == [zone_id, f"{zone_id}-other"]


async def test_an_error_shows_no_value_that_was_being_stored(database, zone_id):
    secret = f"{zone_id}-tops3cret"
    await database.transact(put(secret, 1))

    with pytest.raises(Unavailable) as caught:
        await database.transact(put(secret, 1))

    assert "tops3cret" not in f"{caught.value!r} {caught.value.detail} {caught.value.__cause__!r}"


async def test_a_work_answers_its_caller(database):
    assert await database.transact(lambda c: c.execute(text("SELECT 41 + 1")).scalar()) == 42


async def test_a_read_can_not_write(database, zone_id):
    with pytest.raises(Unavailable):
        await database.read(put(zone_id, 1))

    assert await database.read(keys_like(zone_id)) == []


async def test_reads_go_on_after_reads_that_failed(database, zone_id):
    await database.transact(put(zone_id, 1))
    failing = [database.read(lambda c: c.execute(text("SELECT nothing"))) for _ in range(6)]
    outcomes = await asyncio.gather(*failing, return_exceptions=True)

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert (
        await asyncio.gather(*(database.read(keys_like(zone_id)) for _ in range(6)))
        == [[zone_id]] * 6
    )


async def test_a_read_sees_one_state_whatever_is_written_meanwhile(database, zone_id):
    await database.transact(put(zone_id, 0))
    counting = text("SELECT epoch FROM graph_epoch WHERE zone_id = :key")
    raising = text("UPDATE graph_epoch SET epoch = epoch + 1 WHERE zone_id = :key")

    def look_twice(connection):
        return [connection.execute(counting, {"key": zone_id}).scalar() for _ in range(20)]

    reads, _ = await asyncio.gather(
        asyncio.gather(*(database.read(look_twice) for _ in range(10))),
        asyncio.gather(
            *(
                database.transact(lambda c: c.execute(raising, {"key": zone_id}) and None)
                for _ in range(40)
            )
        ),
    )

    assert all(len(set(seen)) == 1 for seen in reads)
    assert (await database.read(look_twice))[0] == 40


async def test_a_caller_that_gives_up_leaves_the_others_undisturbed(database, zone_id):
    tasks = [asyncio.create_task(database.transact(put(f"{zone_id}-{n:02}", n))) for n in range(20)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    assert outcomes == [None] * 19
    stored = await database.read(keys_like(zone_id))
    assert set(stored) >= {f"{zone_id}-{n:02}" for n in range(20) if n != 3}


async def test_closing_stores_what_waits_and_then_takes_no_more(sqlite_url, zone_id):
    database = await open_database(sqlite_url)
    tasks = [
        asyncio.create_task(database.transact(put(f"{zone_id}-{n:03}", n))) for n in range(500)
    ]
    await asyncio.sleep(0)

    await database.close()

    assert await asyncio.gather(*tasks) == [None] * 500
    again = await open_database(sqlite_url)
    assert len(await again.read(keys_like(zone_id))) == 500
    await again.close()


async def test_a_closed_database_refuses(url, zone_id):
    database = await open_database(url)
    await database.close()
    await database.close()

    with pytest.raises(Unavailable, match="closed"):
        await database.transact(put(zone_id, 1))
    with pytest.raises(Unavailable, match="closed"):
        await database.read(keys_like(zone_id))


async def test_a_database_has_one_owner_until_it_is_closed(url):
    first = await open_database(url)
    with pytest.raises(DatabaseInUse):
        await open_database(url)
    await first.close()

    second = await open_database(url)
    await second.close()


async def test_a_second_process_is_told_who_owns_the_database(sqlite_database, sqlite_url):
    program = (
        "import asyncio, sys\n"
        "from caracal_server.adapters.sql.database import open_database\n"
        "asyncio.run(open_database(sys.argv[1]))\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, sqlite_url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode != 0
    assert "DatabaseInUse: process " in ended.stderr


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/name",
        "postgresql://user:hunter2@host:notaport/name",
        "postgresql+psycopg://user:hunter2@host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "hunter2",
        "",
    ],
)
async def test_a_url_that_can_not_be_used_is_refused_without_showing_it(url):
    with pytest.raises(ValueError, match=r"URL|is not sqlite or postgresql") as caught:
        await open_database(url)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_new_file_can_be_read_by_its_owner_only(tmp_path):
    database = await open_database(f"sqlite:///{tmp_path}/new/caracal.db")
    await database.close()

    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "caracal.db").stat().st_mode & 0o077 == 0
