"""A tool call of an MCP server through the Gateway, against a plain governed call and the server itself.

`python -m bench.mcp --seconds 4 --json FILE`
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.client import GET, RESOURCE, SERVER, Client, governed_call, mint_request, port_of
from bench.load import Connection, Tally, closed_loop
from bench.processes import Caracal, caracal, child, cpu_seconds, pin

CONCURRENCIES: Final = (1, 16)
ROUNDS: Final = 4
"""The targets take turns, so that what else the machine does meets all of them."""
MESSAGE: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"find","arguments":{"item":"desk","limit":10,"tags":["a","b"]}}}'
)
_HEAD: Final = b"POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
_LENGTH: Final = b"accept: application/json, text/event-stream\r\ncontent-length: %d\r\n" % len(
    MESSAGE
)
STRAIGHT: Final = _HEAD % b"/mcp" + _LENGTH + b"\r\n" + MESSAGE
CALL: Final = (
    _HEAD % b"/" + _LENGTH + b"x-caracal-resource: " + SERVER.encode() + b"\r\n\r\n" + MESSAGE
)

Turn = Callable[[], Awaitable[bool]]


async def _straight(port: int) -> Turn:
    connection = await Connection.open(port)

    async def turn() -> bool:
        status, _ = await connection.ask(STRAIGHT)
        return status == 200

    return turn


async def _governed(running: Caracal, client: Client, resource: str, request: bytes) -> Turn:
    mint = mint_request(await asyncio.to_thread(client.worker, resource))
    control = await Connection.open(port_of(running.control))
    gateway = await Connection.open(port_of(running.gateway))
    return lambda: governed_call(control, gateway, mint, request)


async def _turns(running: Caracal, client: Client, port: int, count: int) -> dict[str, list[Turn]]:
    return {
        "straight": [await _straight(port) for _ in range(count)],
        "plain": [await _governed(running, client, RESOURCE, GET) for _ in range(count)],
        "mcp": [await _governed(running, client, SERVER, CALL) for _ in range(count)],
    }


async def run(seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every target at every concurrency, in turns."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    with child("bench.upstream_server", cpu=1) as (_, port), caracal(cpu=0) as running:
        client = await asyncio.to_thread(Client, running, f"http://127.0.0.1:{port}")
        for concurrency in CONCURRENCIES:
            turns = await _turns(running, client, int(port), concurrency)
            tallies = {name: Tally() for name in turns}
            used = dict.fromkeys(turns, 0.0)
            for round_ in range(ROUNDS + 1):
                for name, some in turns.items():
                    before = cpu_seconds(running.process.pid)
                    tally = await closed_loop(some, seconds / ROUNDS)
                    if round_:  # the first one warms up
                        used[name] += cpu_seconds(running.process.pid) - before
                        tallies[name].latencies += tally.latencies
                        tallies[name].errors += tally.errors
            found[str(concurrency)] = {name: _row(tallies[name], used[name]) for name in turns}
    return found


def _row(tally: Tally, used: float) -> dict[str, float]:
    return {
        "cpu_ms": 1000 * used / max(1, tally.count),
        "p50_ms": tally.percentile(0.50),
        "p99_ms": tally.percentile(0.99),
        "calls": tally.count,
        "errors": tally.errors,
    }


def summary(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """The figures that are compared from one version to the next."""
    ratios = {
        f"{what}_ratio_{concurrency}": round(rows["mcp"][what] / rows["plain"][what], 2)
        for concurrency, rows in found.items()
        for what in ("cpu_ms", "p50_ms")
    }
    return {
        **ratios,
        "errors": sum(row["errors"] for rows in found.values() for row in rows.values()),
    }


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        f"{'conc.':>5} {'':<9}{'calls':>8}{'cpu ms':>9}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}"
    ]
    lines += [
        f"{concurrency:>5} {name:<9}{row['calls']:>8.0f}{row['cpu_ms']:>9.3f}{row['p50_ms']:>9.2f}"
        f"{row['p99_ms']:>9.2f}{row['errors']:>8.0f}"
        for concurrency, rows in found.items()
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each target")
    parser.add_argument("--json", type=Path, help="where to write the summary")
    options = parser.parse_args()
    pin(0, 1)
    found = uvloop.run(run(options.seconds))
    figures = summary(found)
    print(table(found))
    print(f"a tool call costs {figures['cpu_ms_ratio_16']} plain governed calls of server CPU")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
