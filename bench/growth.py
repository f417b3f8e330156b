"""How a log behaves as it grows: the time and memory of appending, and what a proof reads.

Usage: python -m bench.growth [--entries N] [--batch B] [--database URL]

Prints a line for each tenth of the entries: microseconds an entry in commits of B entries, the resident
memory of the process, the size of the database, what the proof of an entry takes: time, rows, tiles, and
how long it takes to find one request, and the newest page of a session.
"""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.evidence.proofs import inclusion_nodes, prove_inclusion, verify_inclusion
from caracal.evidence.tile_reading import tiles_under
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.audit.tail import load_tree
from caracal_server.ports.evidence import (
    EvidenceQuery,
    LogBatch,
    LogPosition,
    StoredEntry,
    TreeNode,
)

ZONE = ZoneId("growth")
STEPS = 10
PROOFS = 200
LOOK_UPS = 50
KIB = 1024


def batch_of(tree: TreeState, count: int) -> tuple[TreeState, LogBatch]:
    """The next entries of the log, as the sequencer would commit them."""
    records = tuple(
        Entry(
            format=1, kind=Kind.CALL, zone=ZONE, at=1_800_000_000_000_000 + number,
            request=f"request-{number:026d}", verdict=Verdict.ALLOW, application="application",
            session=f"session-{number // 50:026d}", resource="https://api.example/", operation="GET /items",
        )
        for number in range(tree.size, tree.size + count)
    )  # fmt: skip
    data = [msgspec.json.encode(record, order="sorted") for record in records]
    leaves = [leaf_hash(one) for one in data]
    after, nodes = tree.grow(leaves)
    stored = tuple(
        StoredEntry(index, one, leaf)
        for index, (one, leaf) in enumerate(zip(data, leaves, strict=True), tree.size)
    )
    return after, LogBatch(
        ZONE,
        LogPosition(tree.size, tree.peaks),
        LogPosition(after.size, after.peaks),
        stored,
        records,
        tuple(TreeNode(node.level, node.index, node.hash) for node in nodes),
    )


async def prove(store: SqlEvidenceStore, tree: TreeState) -> tuple[float, float, float]:
    """Milliseconds, rows and tiles that the proof of an entry takes, on average over random ones."""
    rows = tiles = 0
    begun = time.perf_counter()
    for _ in range(PROOFS):
        index = random.randrange(tree.size)
        names = inclusion_nodes(index, tree.size)
        nodes = await store.nodes(ZONE, [(node.level, node.index) for node in names])
        proof = prove_inclusion(index, tree.size, lambda level, at, found=nodes: found[level, at])
        leaf = await store.nodes(ZONE, [(0, index)])
        verify_inclusion(leaf[0, index], proof, tree.root())
        rows += len({((node.index + 1) << node.level) for node in names})
        tiles += len(tiles_under(names, tree.size))
    spent = (time.perf_counter() - begun) * 1000 / PROOFS
    return spent, rows / PROOFS, tiles / PROOFS


async def look_up(store: SqlEvidenceStore, tree: TreeState) -> tuple[float, float]:
    """Milliseconds until a request, and a session's newest entries, are found, on average."""
    spent = []
    for fields in ("request", "session"):
        begun = time.perf_counter()
        for _ in range(LOOK_UPS):
            number = random.randrange(tree.size)
            wanted = (
                f"request-{number:026d}" if fields == "request" else f"session-{number // 50:026d}"
            )
            found = await store.search(ZONE, EvidenceQuery(**{fields: wanted}))
            assert found, wanted
        spent.append((time.perf_counter() - begun) * 1000 / LOOK_UPS)
    return spent[0], spent[1]


async def grow(url: str, file: Path | None, entries: int, batch: int) -> None:
    """Append, and measure on the way."""
    database = await open_database(url)
    await migrate(database)
    store = SqlEvidenceStore(database)
    tree = await load_tree(store, ZONE)
    print(
        "   entries  us/entry  max RSS MiB  file MiB  proof ms  rows  tiles  request ms  session ms"
    )
    for _ in range(STEPS):
        goal, spent = tree.size + entries // STEPS, 0.0
        while tree.size < goal:
            after, made = batch_of(tree, min(batch, goal - tree.size))
            begun = time.perf_counter()
            await store.commit([made])
            spent += time.perf_counter() - begun
            tree = after
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
        size = file.stat().st_size / KIB / KIB if file else 0
        milliseconds, rows, tiles = await prove(store, tree)
        request, session = await look_up(store, tree)
        took = spent * STEPS * 1e6 / entries
        print(
            f"{tree.size:10d}  {took:8.1f}  {memory:11.0f}  {size:8.0f}"
            f"  {milliseconds:8.2f}  {rows:4.1f}  {tiles:5.1f}  {request:10.2f}  {session:10.2f}",
            flush=True,
        )
    await database.close()


def main() -> int:
    """Run with the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--database", help="an empty PostgreSQL database; else a file of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "growth.db"
        given: str | None = options.database
        url = given or f"sqlite:///{file}"
        asyncio.run(grow(url, None if given else file, options.entries, options.batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
