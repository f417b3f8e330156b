"""Every contract runs on both engines, over tables that the migrations made."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sql.database import Database, open_database
from caracal_server.adapters.sql.migrations import migrate
from tests.support.postgres import PostgresServer

ENGINES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("migrated") / "caracal.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgres_url(postgres: PostgresServer) -> str:
    url = postgres.create_database("contracts")
    asyncio.run(_migrate(url))
    return url


async def _migrate(url: str) -> None:
    database = await open_database(url)
    await migrate(database)
    await database.close()


@pytest.fixture
def sqlite_url(migrated_file, tmp_path) -> str:
    path = tmp_path / "caracal.db"
    shutil.copy(migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> str:
    """A migrated database. PostgreSQL's is shared: tests keep to zones of their own."""
    name = "sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    return request.getfixturevalue(name)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def entropy() -> SystemEntropy:
    return SystemEntropy()


@pytest.fixture
def zone_id(entropy: SystemEntropy) -> ZoneId:
    return ZoneId(entropy.new_id())
