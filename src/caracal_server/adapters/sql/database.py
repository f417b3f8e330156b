"""A database, whichever engine it runs on."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

T = TypeVar("T")
Work = Callable[[Connection], T]
"""What runs inside a transaction: plain statements on a connection, no commit of its own."""


class DatabaseInUse(Exception):
    """Another process owns the database."""


class Database(Protocol):
    """Transactions over one database that this process owns alone until it closes it."""

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return once it is durable.

        What `work` raises undoes all it did and is raised here. A caller that is cancelled does not
        know whether its work was stored.

        Raises:
            Unavailable: it may or may not have been stored, but never a part of it.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work` over one consistent state. It can not write.

        Raises:
            Unavailable: the store can not be read.
        """
        ...

    def require_ownership(self) -> None:
        """Check that this process still owns the database, as far as it can tell without asking.

        Raises:
            Unavailable: it does not; what it has in memory may be behind.
        """
        ...

    async def forget(self) -> None:
        """Leave as little of what was deleted as the engine can: `docs/evidence.md` says what that is.

        Raises:
            Unavailable: it is all there still.
        """
        ...

    async def close(self) -> None:
        """Finish the transactions that wait, take no more, and give up the ownership."""
        ...


async def open_database(url: str) -> Database:
    """Open `sqlite:///path` or `postgresql://user:password@host:port/name` and own it.

    Raises:
        ValueError: the URL is neither; the message never shows it.
        DatabaseInUse: another process owns the database.
        Unavailable: it can not be opened.
    """
    parsed = _parse_url(url)
    if parsed.drivername == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.host:
            raise ValueError(
                "a SQLite URL names a file: sqlite:///path or sqlite:////absolute/path"
            )
        from caracal_server.adapters.sql.sqlite import SqliteDatabase  # noqa: PLC0415 (as below)

        return SqliteDatabase.open(parsed.database)
    # Only who uses PostgreSQL needs its driver, and the time it takes to import.
    from caracal_server.adapters.sql.postgresql import PostgresqlDatabase  # noqa: PLC0415 (see above)

    return await PostgresqlDatabase.open(parsed)


def _parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("the database URL can not be read") from None
    if url.drivername not in {"sqlite", "postgresql"}:
        raise ValueError(f"{url.drivername!r} is not sqlite or postgresql")
    return url
