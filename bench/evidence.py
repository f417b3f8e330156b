"""Durable entries per second, at the batch sizes that the group commit really forms.

`python -m bench.evidence --json FILE`; the baseline is the bare store with one commit for each entry.
"""

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from pathlib import Path

import uvloop

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings

WRITERS = (1, 4, 16, 64, 256)
IDENTIFIER = "01m87zgz4vfbr1m5fhg8p2hn8b"


def entry(number: int) -> Entry:
    """As large as the entry of a real call."""
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL,
        zone="bench",
        at=time.time_ns() // 1000,
        request=f"r{number:025}",
        verdict=Verdict.ALLOW,
        application=IDENTIFIER,
        application_name="load",
        subject=IDENTIFIER,
        session=IDENTIFIER,
        delegations=(IDENTIFIER,),
        resource="resource://bench",
        operation="GET /rows/7",
        scopes="rows:read",
        mandate=IDENTIFIER,
        policy="0" * 64,
        policies=("read",),
    )


async def measure(sequencer: Sequencer, writers: int, seconds: float) -> dict[str, float]:
    deadline = time.perf_counter() + seconds
    count = 0
    latencies: list[float] = []

    async def writer(lane: int) -> None:
        nonlocal count
        while (begun := time.perf_counter()) < deadline:
            count += 1
            await sequencer.append(entry(lane * 10_000_000 + count))
            latencies.append((time.perf_counter() - begun) * 1000)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(writer, range(writers)))
    took, used = time.perf_counter() - started, time.process_time() - cpu
    ordered = sorted(latencies)
    return {
        "writers": writers,
        "per_second": count / took,
        "per_cpu_second": count / used,
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[int(len(ordered) * 0.99)],
    }


async def run(seconds: float, directory: str) -> list[dict[str, float]]:
    database = await open_database(f"sqlite:///{directory}/bench.db")
    await migrate(database)
    sequencer = Sequencer(
        SqlEvidenceStore(database), AuditSettings("bench"), Integrity(), SystemClock()
    )
    await sequencer.start()
    try:
        await measure(sequencer, 4, 0.3)
        return [await measure(sequencer, writers, seconds) for writers in WRITERS]
    finally:
        await sequencer.close()
        await database.close()


def baseline(seconds: float, directory: str) -> float:
    """The engine alone: one row, one durable commit, over and over."""
    connection = sqlite3.connect(f"{directory}/plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, data BLOB)")
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline:
        connection.execute("INSERT INTO entry (data) VALUES (?)", (b"x" * 600,))
        count += 1
    connection.close()
    return count / seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caracal-bench-") as directory:
        plain = baseline(options.seconds, directory)
        rows = uvloop.run(run(options.seconds, directory))
    print(f"{'writers':>8}{'entries/s':>12}{'/cpu-s':>10}{'p50 ms':>9}{'p99 ms':>9}{'x plain':>9}")
    for row in rows:
        print(f"{row['writers']:>8.0f}{row['per_second']:>12,.0f}{row['per_cpu_second']:>10,.0f}"
              f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['per_second'] / plain:>9.1f}")  # fmt: skip
    print(f"plain: the engine with one commit a row, {plain:,.0f}/s")
    if options.json is not None:
        figures = {"plain_per_second": plain, "rows": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
