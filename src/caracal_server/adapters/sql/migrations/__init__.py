"""Migrations: how the tables came to be, step by step, and bringing a database up to now.

Each file in `versions/` is one step and is never changed after its release. Alembic runs them; it is not
even imported where the database is up to date.
"""

from sqlalchemy import Connection, inspect, text

from caracal_server.adapters.sql.database import Database

HEAD = "0013"
"""The newest revision. A test holds it to the files."""


class UnknownRevision(Exception):
    """The database was written by a newer version of this program, or by another one."""


async def migrate(database: Database) -> None:
    """Bring the tables up to `HEAD`, all of it or nothing.

    Raises:
        UnknownRevision: nothing was changed.
        Unavailable: nothing was changed.
    """
    if await database.read(_revision) != HEAD:
        await database.transact(_upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    from caracal_server.adapters.sql.migrations.alembic_run import upgrade  # noqa: PLC0415 (slow to import)

    upgrade(connection, HEAD)
