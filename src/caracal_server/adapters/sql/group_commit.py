"""Group commit: one thread, one connection, one transaction for all the works that wait."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.sql.database import Work
from caracal_server.adapters.sql.faults import StoreClosed, unavailable

T = TypeVar("T")

MAX_GROUP = 256
MAX_WAITING = 8_192

_Failures = (DBAPIError, sqlite3.Error, OSError)


@dataclass(slots=True)
class _Job:
    """A work, the future that waits for it, and what became of it."""

    work: Work[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupCommit:
    """The only writer of a SQLite database."""

    def __init__(self, connect: Callable[[], Connection], require_file: Callable[[], None]) -> None:
        self._connect = connect
        self._require_file = require_file
        self._connection: Connection | None = connect()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="caracal-sqlite-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Work[T]) -> T:
        """Have `work` committed with whatever else waits.

        Raises:
            Unavailable: it was not stored, or too much waits already.
        """
        if self._closed:
            raise StoreClosed("the store is closed")
        if self._queue.qsize() >= MAX_WAITING:
            raise Unavailable(Reason.OVERLOADED, "too many changes wait to be stored")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, future, loop))
        return await future

    def stop(self) -> None:
        """Take no more; what waits is still committed."""
        self._closed = True
        self._queue.put(None)

    def join(self) -> None:
        """Block until everything is committed and the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            first = self._queue.get()
            running = first is not None
            group = [] if first is None else [first]
            with contextlib.suppress(Empty):
                while len(group) < MAX_GROUP:
                    job = self._queue.get_nowait()
                    if job is None:
                        running = False
                    else:
                        group.append(job)
            if group:
                self._commit(group)
                _wake(group)
        self._drop_connection()

    def _commit(self, group: list[_Job]) -> None:
        try:
            self._require_file()
            if self._connection is None:
                self._connection = self._connect()
            self._run_transaction(self._connection, group)
        except (Unavailable, *_Failures) as error:
            self._drop_connection()
            for job in group:
                job.error = unavailable(error)

    def _run_transaction(self, connection: Connection, group: list[_Job]) -> None:
        """Run every work, commit those that succeeded.

        Raises:
            Unavailable: the transaction is lost as a whole.
        """
        raw = _raw(connection)
        raw.execute("BEGIN IMMEDIATE")
        alone = len(group) == 1
        for job in group:
            if not alone:
                raw.execute("SAVEPOINT work")
            try:
                job.result = job.work(connection)
            except _Failures as error:
                job.error = unavailable(error)
            except Exception as error:  # noqa: BLE001 (a work's own error goes to its caller)
                job.error = error
            if not raw.in_transaction:
                raise job.error or StoreClosed("the transaction ended early")
            if not alone:
                if job.error is not None:
                    raw.execute("ROLLBACK TO work")
                raw.execute("RELEASE work")
        raw.execute("ROLLBACK" if all(job.error for job in group) else "COMMIT")

    def _drop_connection(self) -> None:
        """Close the connection, which undoes what it had not committed; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(*_Failures):
            _raw(connection).rollback()
        with contextlib.suppress(*_Failures):
            connection.close()


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise StoreClosed("the connection is closed")
    return raw


def _wake(group: list[_Job]) -> None:
    """Resolve the futures with one wake-up for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        job.resolve()
