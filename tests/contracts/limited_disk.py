"""Commits evidence while the process may not write files beyond a size, then again without the limit.

Prints how many entries were acknowledged.
"""

import asyncio
import resource
import sys

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from tests.contracts.logs import Log

LIMIT_BYTES = 1_000_000


async def main(url: str, zone_id: ZoneId) -> None:
    database = await open_database(url)
    store, log = SqlEvidenceStore(database), Log(zone_id)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, unlimited[1]))
    acknowledged = refused = 0
    while refused < 3:
        try:
            await store.commit([log.grow(50)])
            acknowledged += 50
        except Unavailable:
            log.back_to(log.before)
            assert await store.position(zone_id) == log.position
            refused += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    await store.commit([log.grow(50)])
    await database.close()
    print(acknowledged + 50)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], ZoneId(sys.argv[2])))
