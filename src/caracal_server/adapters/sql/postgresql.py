"""PostgreSQL: a pool of connections, a transaction for each work, one owner by advisory lock.

The lock goes with its connection. Whoever loses it refuses everything, tries to take it again, and goes
on if nobody else was the owner meanwhile: each owner leaves its number in the database.
"""

import asyncio
import contextlib
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

BEAT_SECONDS = 1.0
"""How often the connection that holds the lock is asked whether it is there, and how long that may take."""
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts to own the database again; the last one goes on."""

_NUMBER_OWNERS = """
CREATE TABLE IF NOT EXISTS caracal_owner (id smallint PRIMARY KEY CHECK (id = 1), number bigint NOT NULL)
"""
_NEXT_OWNER = """
INSERT INTO caracal_owner VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET number = caracal_owner.number + 1 RETURNING number
"""
_PRESENT_OWNER = "SELECT number FROM caracal_owner WHERE id = 1"
_LOST = "the ownership of the store was lost; trying to have it back"
_TAKEN = "another process has owned the store meanwhile; restart"

_Failures = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresqlDatabase:
    """A database on a server."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._owner: AsyncConnection | None = None
        self._number = 0
        self._refusal: str | None = None
        self._closed = False
        self._recovery: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

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
            await database._become_owner()
        except _Failures as error:
            await engine.dispose()
            raise unavailable(error) from None
        except DatabaseInUse:
            await engine.dispose()
            raise
        return database

    async def transact(self, work: Work[T]) -> T:
        self.require_ownership()
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)
        except _Failures as error:
            raise unavailable(error) from None

    async def read(self, work: Work[T]) -> T:
        self.require_ownership()
        try:
            async with self._reading.connect() as connection:
                return await connection.run_sync(work)
        except _Failures as error:
            raise unavailable(error) from None

    async def forget(self) -> None:
        """Leave it to VACUUM, which the server runs by itself."""
        self.require_ownership()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._refusal = "the store is closed"
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])
        await self._drop_owner()
        await self._engine.dispose()

    async def _become_owner(self) -> None:
        raw = await self._lock()
        await raw.execute(_NUMBER_OWNERS)
        self._number = await raw.fetchval(_NEXT_OWNER)

    async def _lock(self) -> asyncpg.Connection:
        """Take the lock on a connection of its own.

        Raises:
            DatabaseInUse: somebody else holds it.
        """
        self._owner = await self._engine.connect()
        raw = (await self._owner.get_raw_connection()).driver_connection
        if not isinstance(raw, asyncpg.Connection):
            raise StoreClosed("the connection is closed")
        if not await raw.fetchval("SELECT pg_try_advisory_lock($1)", OWNER_LOCK):
            await self._drop_owner()
            raise DatabaseInUse("another process already uses this database; stop it first")
        raw.add_termination_listener(self._lost)
        self._beating = asyncio.get_running_loop().create_task(self._beat(raw))
        return raw

    async def _beat(self, raw: asyncpg.Connection) -> None:
        """Notice a connection that is cut without a word, before others act on what is behind."""
        try:
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                await raw.fetchval("SELECT 1", timeout=BEAT_SECONDS)
        except _Failures:
            raw.terminate()
            self._lost(raw)

    async def _drop_owner(self) -> None:
        owner, self._owner = self._owner, None
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
        if owner is not None:
            with contextlib.suppress(*_Failures):
                await owner.invalidate()

    def _lost(self, _connection: object) -> None:
        """The lock went with its connection: somebody else may own the database now."""
        if self._closed or self._refusal is not None:
            return
        self._refusal = _LOST
        self._recovery = asyncio.get_running_loop().create_task(self._recover())

    async def _recover(self) -> None:
        """Own the database again, unless somebody else did meanwhile: this process is behind then."""
        attempt = 0
        while self._refusal == _LOST:
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1
            await self._drop_owner()
            try:
                raw = await self._lock()
                number = await raw.fetchval(_PRESENT_OWNER)
            except (DatabaseInUse, *_Failures):
                # Whoever holds the lock may be our own connection, which the server still believes in.
                continue
            self._refusal = None if number == self._number else _TAKEN
        if self._refusal is not None:
            await self._drop_owner()

    def require_ownership(self) -> None:
        if self._refusal is not None:
            raise StoreClosed(self._refusal)
