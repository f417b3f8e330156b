"""How long `caracal up` takes until it is ready, what it holds in memory, and the first governed call.

`python -m bench.startup --json FILE`
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import uvloop

from bench.client import Client, governed_call, mint_request, port_of
from bench.load import Connection
from bench.processes import caracal, child, resident_bytes

MEGABYTE = 1_000_000


async def once(upstream: str) -> dict[str, float]:
    started = time.perf_counter()
    with caracal() as running:
        ready = time.perf_counter() - started
        idle = resident_bytes(running.process.pid) / MEGABYTE
        client = await asyncio.to_thread(Client, running, upstream)
        mint = mint_request(await asyncio.to_thread(client.worker))
        left = await Connection.open(port_of(running.control))
        right = await Connection.open(port_of(running.gateway))
        begun = time.perf_counter()
        if not await governed_call(left, right, mint):
            raise RuntimeError("the first call failed")
        first = (time.perf_counter() - begun) * 1000
        return {"ready_s": ready, "idle_mb": idle, "first_call_ms": first}


async def run(rounds: int) -> dict[str, float]:
    with child("bench.upstream_server", cpu=1) as (_, port):
        rows = [await once(f"http://127.0.0.1:{port}") for _ in range(rounds)]
    return {name: sorted(row[name] for row in rows)[rounds // 2] for name in rows[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = uvloop.run(run(options.rounds))
    print(f"ready in {figures['ready_s']:.2f} s, {figures['idle_mb']:.0f} MB when idle, first governed "
          f"call in {figures['first_call_ms']:.1f} ms (medians of {options.rounds})")  # fmt: skip
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
