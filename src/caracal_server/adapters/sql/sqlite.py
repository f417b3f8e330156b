"""SQLite: one writer thread that commits in groups, a few readers, one owner.

A commit costs a sync of the disk whatever is in it. So all works that wait when the writer comes round
share one transaction, each within a savepoint of its own, and one wake-up of the event loop.

A sync takes twice as long when the file became longer, for the file system then syncs its own journal
too. So the write-ahead log gets its full length at the start and is written over from then on.
"""

import asyncio
import contextlib
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from caracal_server.adapters.sql.database import Work
from caracal_server.adapters.sql.faults import StoreClosed, unavailable
from caracal_server.adapters.sql.group_commit import GroupCommit
from caracal_server.adapters.sql.ownership import LockFile

T = TypeVar("T")

READERS = 2
BUSY_TIMEOUT_MS = 2_000
PAGE_BYTES = 4_096
CHECKPOINT_PAGES = 2_000
"""Pages in the write-ahead log before a commit also moves them into the file."""
CUT_ATTEMPTS = 5
"""How often the write-ahead log is waited for, as long as a lock each time, to be used by nobody."""

_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -8000",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
)


class SqliteDatabase:
    """A database in one file."""

    def __init__(self, path: Path, lock: LockFile) -> None:
        self._path = path
        self._lock = lock
        self._inode = path.stat().st_ino
        self._engine = _engine(path)
        self._writer = GroupCommit(self._connect, self._require_file)
        # Only now: the log goes away with the last connection.
        _lengthen_log(path)
        self._readers = ThreadPoolExecutor(READERS, "caracal-sqlite-reader")
        self._local = threading.local()
        self._reading: list[Connection] = []
        self._closed = False

    @classmethod
    def open(cls, path: str) -> "SqliteDatabase":
        """Open a file, made with mode 0600 if there is none, and own it.

        Raises:
            DatabaseInUse: another process owns it.
            Unavailable: it can not be opened.
        """
        file = Path(path).absolute()
        lock: LockFile | None = None
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = LockFile(file.with_name(f"{file.name}.lock"))
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return cls(file, lock)
        except (OSError, DBAPIError, sqlite3.Error) as error:
            if lock is not None:
                lock.release()
            raise unavailable(error) from None

    async def transact(self, work: Work[T]) -> T:
        return await self._writer.submit(work)

    async def read(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreClosed("the store is closed")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._read, work)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise unavailable(error) from None

    def require_ownership(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")
        self._require_file()

    async def forget(self) -> None:
        """Move what was committed into the file, where deleted bytes are zero, and cut the log off."""
        if self._closed:
            raise StoreClosed("the store is closed")
        try:
            await asyncio.to_thread(self._cut_log)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise unavailable(error) from None

    def _cut_log(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            for _ in range(CUT_ATTEMPTS):
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
                if not busy:
                    break
            else:
                raise StoreClosed("the write-ahead log is in use all the time")
        _lengthen_log(self._path)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.join()
        self._readers.shutdown(wait=True)
        for connection in self._reading:
            _discard(connection)
        self._engine.dispose()
        self._lock.release()

    def _read(self, work: Work[T]) -> T:
        self._require_file()
        connection = self._reader()
        try:
            connection.exec_driver_sql("BEGIN")
            try:
                return work(connection)
            finally:
                connection.exec_driver_sql("ROLLBACK")
        except (DBAPIError, sqlite3.Error):
            # Whatever state it is in: this thread's next read opens another.
            self._local.connection = None
            self._reading.remove(connection)
            _discard(connection)
            raise

    def _reader(self) -> Connection:
        """The connection of the calling thread."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.exec_driver_sql("PRAGMA query_only = ON")
            self._reading.append(connection)
        return connection

    def _connect(self) -> Connection:
        return self._engine.connect()

    def _require_file(self) -> None:
        """SQLite goes on writing to a file that was unlinked; nobody would find what it stores.

        Raises:
            StoreClosed: another file, or none, is at the path.
        """
        try:
            present = os.stat(self._path).st_ino == self._inode  # noqa: PTH116 (on the hot path)
        except OSError:
            present = False
        if not present:
            raise StoreClosed("the store's file is gone")


def _engine(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        for setting in _SETTINGS:
            raw.execute(setting)
        if raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raw.close()
            raise OSError("this file system can not hold a write-ahead log")
        return raw

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    engine.connect().close()
    return engine


def _lengthen_log(path: Path) -> None:
    """Give the write-ahead log the length it would grow to; where there is no room, it stays short."""
    raw = sqlite3.connect(path, isolation_level=None)
    try:
        # Pages that do not fit into a small cache go to the log before it is known that nothing is kept.
        raw.execute("PRAGMA cache_size = 10")
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("CREATE TABLE caracal_room (bytes BLOB)")
        raw.execute(
            "INSERT INTO caracal_room VALUES (zeroblob(?))", (CHECKPOINT_PAGES * PAGE_BYTES,)
        )
    except sqlite3.Error:
        pass
    finally:
        with contextlib.suppress(sqlite3.Error):
            raw.rollback()
        raw.close()


def _discard(connection: Connection) -> None:
    with contextlib.suppress(DBAPIError, sqlite3.Error):
        connection.close()
