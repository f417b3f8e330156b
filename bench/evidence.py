"""Evidence: durable entries per second, what waiting for it costs a call, proofs, verification, size.

`python -m bench.evidence [--seconds N] [--json FILE] [--store sqlite|postgresql|both]`. Baselines in the
same run: the engine with one commit for each row, and a server that does not wait for its evidence.
"""

import argparse
import json
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from bench.evidence_log import measure
from bench.evidence_wait import SERVERS, compare
from bench.processes import pin
from tests.support.postgres import PostgresServer, running_postgres

STORES = ("sqlite", "postgresql")


def plain(seconds: float, directory: Path) -> float:
    """SQLite alone: one row, one durable commit, over and over."""
    connection = sqlite3.connect(directory / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, data BLOB)")
    deadline, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline:
        connection.execute("INSERT INTO entry (data) VALUES (?)", (b"x" * 600,))
        count += 1
    connection.close()
    return count / seconds


async def of_store(
    kind: str, directory: Path, seconds: float, server: PostgresServer | None
) -> Any:
    if server is None:
        file = directory / "log.db"
        waiting, sample = await compare(seconds * 3, dict.fromkeys(SERVERS))
        log = await measure(f"sqlite:///{file}", file, sample, seconds)
    else:
        urls = {name: server.create_database(f"{kind}-{name}") for name in SERVERS}
        waiting, sample = await compare(seconds * 3, dict(urls))
        log = await measure(server.create_database("log"), None, sample, seconds)
    return log | {"governed_call": waiting}


def table(figures: dict[str, Any]) -> str:
    lines = []
    for kind in STORES:
        if kind not in figures:
            continue
        found = figures[kind]
        lines.append(f"\n{kind}: durable entries")
        lines.append(
            f"{'writers':>8}{'entries/s':>12}{'/cpu-s':>10}{'a commit':>10}{'p50 ms':>9}{'p99 ms':>9}"
        )
        lines += [
            f"{row['writers']:>8.0f}{row['per_second']:>12,.0f}{row['per_cpu_second']:>10,.0f}"
            f"{row['batch']:>10.1f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            for row in found["durable"]
        ]
        for load, rows in found["governed_call"].items():
            lines.append(f"governed call (mint and call), 16 at a time, {load}, in turns:")
            lines += [
                f"  {name:<16}{row['p50_ms']:>9.2f} ms p50{row['p99_ms']:>9.2f} ms p99"
                + (f"{row['per_second']:>9,.0f}/s" if "per_second" in row else "")
                for name, row in rows.items()
            ]
        proof = found["proof"]
        lines.append(
            f"proof of an entry of {proof['size']:,}: {proof['p50_ms']:.2f} ms p50, "
            f"{proof['p99_ms']:.2f} ms p99; offline verification "
            f"{found['verified_per_second']:,.0f} entries/s; "
            f"stored {found['bytes_per_entry']:,.0f} bytes an entry, of which "
            f"{found['json_bytes_per_entry']:,.0f} are the entry"
        )
    lines.append(f"\nplain SQLite, one commit a row: {figures['plain_per_second']:,.0f}/s")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number of writers")
    parser.add_argument("--store", choices=(*STORES, "both"), default="both")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pin(0, 1)
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caracal-bench-")))
        figures["plain_per_second"] = plain(min(options.seconds, 2.0), directory)
        for kind in STORES if options.store == "both" else (options.store,):
            server = stack.enter_context(running_postgres()) if kind == "postgresql" else None
            figures[kind] = uvloop.run(of_store(kind, directory, options.seconds, server))
    print(table(figures))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    loads = [figures[kind]["governed_call"].values() for kind in STORES if kind in figures]
    rows = [row for load in loads for pair in load for row in pair.values()]
    return 1 if any(row.get("errors") for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
