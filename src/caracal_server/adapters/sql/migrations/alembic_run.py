"""Running Alembic inside a transaction that is already open."""

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from caracal_server.adapters.sql import migrations


def scripts() -> ScriptDirectory:
    folder = Path(__file__).parent
    return ScriptDirectory(folder, version_locations=[str(folder / "versions")])


def upgrade(connection: Connection, revision: str) -> None:
    """Run the steps up to `revision`.

    Raises:
        UnknownRevision: the database is at a revision that is not among the steps.
    """
    script = scripts()

    def steps(current: Any, _context: MigrationContext) -> Any:
        return script._upgrade_revs(revision, current)  # noqa: SLF001 (what Alembic's own command calls)

    with EnvironmentContext(
        Config(), script, fn=steps, as_sql=False, destination_rev=revision
    ) as run:
        # Alembic commits unless it sees that the caller has begun.
        connection.execute(text("SELECT 1"))
        run.configure(connection=connection, transactional_ddl=True)
        try:
            run.run_migrations()
        except CommandError:
            raise migrations.UnknownRevision(
                "the database was written by a newer version of Caracal; upgrade the program"
            ) from None
