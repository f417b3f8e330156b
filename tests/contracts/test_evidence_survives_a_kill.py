"""kill -9 while evidence is being committed loses nothing that was acknowledged."""

import asyncio
import sys

import pytest

from caracal_server.adapters.sql.database import DatabaseInUse, open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from tests.contracts.logs import Log


@pytest.mark.parametrize("acknowledgements", [1, 60, 300])
async def test_every_acknowledged_entry_is_there_and_the_log_recomputes(
    url, zone_id, acknowledgements
):
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contracts.committing",
        url,
        zone_id,
        stdout=asyncio.subprocess.PIPE,
    )
    acknowledged = 0
    async with asyncio.timeout(30):
        for _ in range(acknowledgements):
            acknowledged = int(await child.stdout.readline())
    child.kill()
    rest = await child.stdout.read()
    await child.wait()
    # A line that was cut short by the kill was not read by anybody.
    acknowledged = max([acknowledged, *map(int, rest.split(b"\n")[:-1])])

    database = await reopened(url)
    store = SqlEvidenceStore(database)
    position = await store.position(zone_id)
    assert acknowledged <= position.size <= acknowledged + 9
    assert await Log.verify(store, zone_id) == position.size

    log = Log(zone_id)
    log.back_to(position)
    await store.commit([log.grow(5)])
    assert await Log.verify(store, zone_id) == position.size + 5
    await database.close()


async def reopened(url: str):
    """A server notices only after a moment that the owner's connection is gone."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await open_database(url)
            except DatabaseInUse:
                await asyncio.sleep(0)
