"""Commits evidence and sessions until it is killed; prints each position once it is acknowledged."""

import asyncio
import sys

from caracal.authority.identifiers import ZoneId
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from tests.contracts.logs import Log


async def main(url: str, zone_id: ZoneId) -> None:
    database = await open_database(url)
    store = SqlEvidenceStore(database)
    log = Log(zone_id)
    log.back_to(await store.position(zone_id))
    while True:
        await store.commit([log.grow(1 + log.position.size % 9)])
        print(log.position.size, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], ZoneId(sys.argv[2])))
