"""A real database whose next transaction goes wrong in a chosen way."""

import sqlite3
from enum import Enum

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.sql.database import Database


class Wrong(Enum):
    BEFORE = "nothing is done"
    AT_ITS_END = "all is done, and the connection is lost in the place of the commit"
    AFTER = "all is stored, and the answer that it is is lost"
    FULL = "the file may not grow (SQLite)"
    READ_ONLY = "nothing may be written (SQLite)"
    INTERRUPTED = "it is broken off after `steps` (SQLite)"


class FaultyDatabase:
    """Implements `Database` over another; `wrong` befalls every transaction while it is set."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.wrong: Wrong | None = None
        self.steps = 0

    async def transact(self, work):
        wrong = self.wrong
        if wrong is None:
            return await self._real.transact(work)
        if wrong is Wrong.BEFORE:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "made to fail")
        if wrong is Wrong.AFTER:
            await self._real.transact(work)
            raise Unavailable(Reason.STORE_UNAVAILABLE, "made to fail")
        return await self._real.transact(lambda connection: self._spoil(connection, work, wrong))

    def _spoil(self, connection, work, wrong):
        raw = connection.connection.driver_connection
        if wrong is Wrong.AT_ITS_END:
            work(connection)
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("made to fail"))
        if wrong is Wrong.INTERRUPTED:
            raw.set_progress_handler(self._step, 1)
        elif wrong is Wrong.READ_ONLY:
            raw.execute("PRAGMA query_only = ON")
        else:
            (pages,) = raw.execute("PRAGMA page_count").fetchone()
            raw.execute(f"PRAGMA max_page_count = {pages}")
        try:
            return work(connection)
        finally:
            raw.set_progress_handler(None, 1)
            raw.execute("PRAGMA query_only = OFF")
            raw.execute("PRAGMA max_page_count = 1000000")

    def _step(self) -> int:
        self.steps -= 1
        return 1 if self.steps < 0 else 0

    async def read(self, work):
        return await self._real.read(work)

    async def forget(self) -> None:
        await self._real.forget()

    def require_ownership(self) -> None:
        self._real.require_ownership()

    async def close(self) -> None:
        await self._real.close()
