"""The tables that the code names are the tables that the migrations make."""

import asyncio
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.migrations import HEAD, UnknownRevision, migrate
from caracal_server.adapters.sql.migrations.alembic_run import scripts
from caracal_server.adapters.sql.tables import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path, entropy):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/caracal.db"
    return request.getfixturevalue("postgres").create_database(f"empty-{entropy.new_id()}")


def migrated(_object, name, kind, _reflected, _compared):
    # Who owns a database is settled before anything is migrated in it.
    return not (kind == "table" and name == "caracal_owner")


def differences(connection):
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_object": migrated,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_migrations_make_exactly_the_tables_of_the_code(database):
    assert await database.read(differences) == []


async def test_a_table_that_no_migration_makes_would_be_noticed(sqlite_database):
    await sqlite_database.transact(lambda c: c.execute(text("DROP INDEX session_live")) and None)

    assert len(await sqlite_database.read(differences)) == 1


def test_the_head_is_the_newest_file():
    assert scripts().get_heads() == [HEAD]


async def test_migrating_twice_is_as_once(empty_url):
    database = await open_database(empty_url)
    await migrate(database)
    await migrate(database)

    assert await database.read(differences) == []
    await database.close()


async def test_a_database_of_a_newer_version_is_left_alone(empty_url):
    database = await open_database(empty_url)
    await migrate(database)
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await database.transact(lambda connection: connection.execute(newer) and None)

    with pytest.raises(UnknownRevision):
        await migrate(database)

    revision = text("SELECT version_num FROM alembic_version")
    assert await database.read(lambda c: c.execute(revision).scalar()) == "9999"
    await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url):
    database = await open_database(empty_url)
    await database.transact(lambda c: c.execute(text("CREATE TABLE session (id INTEGER)")) and None)

    with pytest.raises(Unavailable):
        await migrate(database)

    tables = await database.read(differences)
    assert {change[1].name for change in tables if change[0] == "add_table"} >= {
        "zone",
        "delegation",
    }
    await database.close()


async def test_a_database_that_is_up_to_date_starts_without_alembic(sqlite_url):
    program = (
        "import asyncio, sys\n"
        "from caracal_server.adapters.sql.database import open_database\n"
        "from caracal_server.adapters.sql.migrations import migrate\n"
        "async def main():\n"
        "    database = await open_database(sys.argv[1])\n"
        "    await migrate(database)\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules, 'asyncpg' in sys.modules)\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, sqlite_url],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout.split() == ["False", "False"]
