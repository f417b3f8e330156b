"""The governed call: mint, gateway hop and durable evidence, against the same stack without governance.

`python -m bench.governed --seconds 5 --json FILE`
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.client import Client, governed_call, mint_request, port_of
from bench.load import Connection, Tally, closed_loop
from bench.processes import caracal, child, cpu_seconds, pin

CONCURRENCIES = (1, 4, 16, 64)
WARM_UP_SECONDS = 0.5
GET = b"GET /rows/7 HTTP/1.1\r\nhost: bench\r\n\r\n"

Prepare = Callable[[int], Awaitable[list[Callable[[], Awaitable[bool]]]]]


async def measure(prepare: Prepare, pid: int | None, seconds: float) -> dict[str, Any]:
    """Run one target at every concurrency."""
    rows: dict[str, Any] = {}
    for concurrency in CONCURRENCIES:
        turns = await prepare(concurrency)
        await closed_loop(turns, WARM_UP_SECONDS)
        before = 0.0 if pid is None else cpu_seconds(pid)
        tally = await closed_loop(turns, seconds)
        used = 0.0 if pid is None else cpu_seconds(pid) - before
        rows[str(concurrency)] = _row(tally, used)
    return rows


def _row(tally: Tally, used: float) -> dict[str, float]:
    return {
        "per_second": tally.count / tally.seconds,
        "per_cpu_second": tally.count / used if used else 0.0,
        "cpu_seconds_per_1000": 1000 * used / tally.count if tally.count else 0.0,
        "p50_ms": tally.percentile(0.50),
        "p95_ms": tally.percentile(0.95),
        "p99_ms": tally.percentile(0.99),
        "errors": tally.errors,
    }


def plain(port: int) -> Prepare:
    """Clients that ask a server directly, as with the bare proxy or the upstream itself."""

    async def prepare(concurrency: int) -> list[Callable[[], Awaitable[bool]]]:
        connections = [await Connection.open(port) for _ in range(concurrency)]
        return [_getter(connection) for connection in connections]

    return prepare


def _getter(connection: Connection) -> Callable[[], Awaitable[bool]]:
    async def turn() -> bool:
        status, _ = await connection.ask(GET)
        return status == 200

    return turn


def governed(client: Client, control: int, gateway: int) -> Prepare:
    async def prepare(concurrency: int) -> list[Callable[[], Awaitable[bool]]]:
        turns = []
        for _ in range(concurrency):
            mint = mint_request(await asyncio.to_thread(client.worker))
            left, right = await Connection.open(control), await Connection.open(gateway)
            turns.append(_caller(left, right, mint))
        return turns

    return prepare


def _caller(left: Connection, right: Connection, mint: bytes) -> Callable[[], Awaitable[bool]]:
    return lambda: governed_call(left, right, mint)


async def run(seconds: float, database: str | None) -> dict[str, dict[str, Any]]:
    with child("bench.upstream_server", cpu=1) as (_, port):
        upstream = f"http://127.0.0.1:{port}"
        results = {"straight": await measure(plain(int(port)), None, seconds)}
        with child("bench.bare_proxy", upstream, cpu=0) as (proxy, proxy_port):
            results["bare_proxy"] = await measure(plain(int(proxy_port)), proxy.pid, seconds)
        with caracal(cpu=0, database=database) as running:
            client = await asyncio.to_thread(Client, running, upstream)
            prepare = governed(client, port_of(running.control), port_of(running.gateway))
            results["governed"] = await measure(prepare, running.process.pid, seconds)
    return results


def summary(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures that are compared from one version to the next."""
    rows = results["governed"]
    best = max(row["per_cpu_second"] for row in rows.values())
    floor = max(row["per_cpu_second"] for row in results["bare_proxy"].values())
    return {
        "governed_per_cpu_second": round(best),
        "bare_proxy_per_cpu_second": round(floor),
        "p50_ms": {key: round(row["p50_ms"], 3) for key, row in rows.items()},
        "p99_ms": {key: round(row["p99_ms"], 3) for key, row in rows.items()},
        "errors": sum(row["errors"] for row in rows.values()),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    head = f"{'':<12}{'conc.':>6}{'/s':>9}{'/cpu-s':>9}{'cpu ms/call':>13}"
    lines = [head + f"{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'errors':>8}"]
    for target, rows in results.items():
        lines += [
            f"{target:<12}{concurrency:>6}{row['per_second']:>9.0f}{row['per_cpu_second']:>9.0f}"
            f"{row['cpu_seconds_per_1000']:>13.3f}{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}"
            f"{row['p99_ms']:>9.2f}{row['errors']:>8}"
            for concurrency, row in rows.items()
        ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each concurrency")
    parser.add_argument("--json", type=Path, help="where to write the summary")
    parser.add_argument("--database", help="another database than the embedded one")
    options = parser.parse_args()
    pin(0, 1)
    results = uvloop.run(run(options.seconds, options.database))
    figures = summary(results)
    print(table(results))
    ratio = figures["bare_proxy_per_cpu_second"] / max(1, figures["governed_per_cpu_second"])
    print(f"a governed call costs {ratio:.1f} hops of a bare proxy on the same stack")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
