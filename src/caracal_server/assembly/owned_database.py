"""The database of a service that runs apart: opened, brought up to date, and closed with the process."""

from contextlib import AsyncExitStack

from caracal_server.adapters.sql.database import Database, open_database
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.assembly.service_process import Ground


async def owned_database(ground: Ground, stack: AsyncExitStack) -> Database:
    """Take the service's database.

    Raises:
        DatabaseInUse: another process owns it.
        Unavailable: it can not be had.
    """
    database = await open_database(ground.database)
    stack.push_async_callback(database.close)
    await migrate(database)
    return database
