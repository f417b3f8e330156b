"""Sessions started and ended per second over the Coordinator's API, each recorded and stored.

`python -m bench.sessions --json FILE`; the baseline is the same server's cheapest answer.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.client import Client, port_of
from bench.load import Connection, closed_loop
from bench.processes import caracal, cpu_seconds, pin

WORKERS = (1, 16, 64)
CREATED, NO_CONTENT, OK = 201, 204, 200


def turn(client: Client, connection: Connection, mandate: str) -> Callable[[], Awaitable[bool]]:
    body = json.dumps(client.start_body()).encode()
    head = f"host: bench\r\nauthorization: Bearer {mandate}\r\n".encode()
    path = f"/zones/{client.zone}/agents".encode()
    start = (
        b"POST " + path + b" HTTP/1.1\r\n" + head + b"content-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    ) + body

    async def start_and_end() -> bool:
        status, answer = await connection.ask(start)
        if status != CREATED:
            return False
        session = json.loads(answer)["agent_session_id"].encode()
        status, _ = await connection.ask(
            b"DELETE " + path + b"/" + session + b" HTTP/1.1\r\n" + head + b"\r\n"
        )
        return status == NO_CONTENT

    return start_and_end


def cheapest(connection: Connection) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        status, _ = await connection.ask(b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n")
        return status == OK

    return ask


async def run(seconds: float) -> dict[str, object]:
    with caracal(cpu=0) as running:
        client = await asyncio.to_thread(Client, running, "http://127.0.0.1:9")
        mandate = await asyncio.to_thread(client.lifecycle_mandate)
        port, pid = port_of(running.control), running.process.pid
        rows = {}
        for workers in WORKERS:
            connections = [await Connection.open(port) for _ in range(workers)]
            turns = [turn(client, connection, mandate) for connection in connections]
            rows[str(workers)] = await _measure(turns, pid, seconds)
        connections = [await Connection.open(port) for _ in range(16)]
        floor = await _measure([cheapest(connection) for connection in connections], pid, seconds)
    return {"health": floor, "sessions": rows}


async def _measure(
    turns: list[Callable[[], Awaitable[bool]]], pid: int, seconds: float
) -> dict[str, float]:
    await closed_loop(turns, 0.3)
    before = cpu_seconds(pid)
    tally = await closed_loop(turns, seconds)
    used = cpu_seconds(pid) - before
    return {
        "per_second": tally.count / tally.seconds,
        "per_cpu_second": tally.count / used,
        "p50_ms": tally.percentile(0.5),
        "p99_ms": tally.percentile(0.99),
        "errors": tally.errors,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pin(0, 1)
    figures = uvloop.run(run(options.seconds))
    print(json.dumps(figures, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
