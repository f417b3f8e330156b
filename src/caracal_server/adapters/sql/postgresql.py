"""PostgreSQL: a pool of connections, a transaction for each work, one owner by advisory lock."""

from typing import TypeVar

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from caracal_server.adapters.sql.database import DatabaseInUse, Work
from caracal_server.adapters.sql.faults import StoreClosed, unavailable

T = TypeVar("T")

CONNECTIONS = 8
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 10
OWNER_LOCK = 0x0CA2ACA1
"""Key of the advisory lock that the owner of a database holds."""

_Failures = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresqlDatabase:
    """A database on a server."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._owner: AsyncConnection | None = None
        self._refusal: str | None = None

    @classmethod
    async def open(cls, url: URL) -> "PostgresqlDatabase":
        """Connect and take the ownership.

        Raises:
            DatabaseInUse: another process owns the database.
            Unavailable: it can not be reached.
        """
        engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=STATEMENT_SECONDS,
            hide_parameters=True,
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": "caracal", "synchronous_commit": "on"},
            },
        )
        database = cls(engine)
        try:
            await database._take_ownership()
        except _Failures as error:
            await engine.dispose()
            raise unavailable(error) from None
        except DatabaseInUse:
            await engine.dispose()
            raise
        return database

    async def transact(self, work: Work[T]) -> T:
        self._require_ownership()
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)
        except _Failures as error:
            raise unavailable(error) from None

    async def read(self, work: Work[T]) -> T:
        self._require_ownership()
        try:
            async with self._reading.connect() as connection:
                return await connection.run_sync(work)
        except _Failures as error:
            raise unavailable(error) from None

    async def close(self) -> None:
        if self._owner is None:
            return
        owner, self._owner = self._owner, None
        self._refusal = self._refusal or "the store is closed"
        await owner.invalidate()
        await self._engine.dispose()

    async def _take_ownership(self) -> None:
        self._owner = await self._engine.connect()
        raw = (await self._owner.get_raw_connection()).driver_connection
        if not isinstance(raw, asyncpg.Connection):
            raise StoreClosed("the connection is closed")
        if not await raw.fetchval("SELECT pg_try_advisory_lock($1)", OWNER_LOCK):
            await self._owner.invalidate()
            raise DatabaseInUse("another process already uses this database; stop it first")
        raw.add_termination_listener(self._lost)

    def _lost(self, _connection: object) -> None:
        """The lock went with its connection: somebody else may own the database now."""
        self._refusal = self._refusal or "the ownership of the store was lost; restart"

    def _require_ownership(self) -> None:
        if self._refusal is not None:
            raise StoreClosed(self._refusal)
