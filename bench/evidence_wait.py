"""What evidence before effect adds to a governed call: against a server that does not wait, in turns."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from bench.client import Client, port_of
from bench.governed import governed
from bench.load import Tally, Turn, closed_loop
from bench.processes import Caracal, caracal, child
from caracal.authority.events import Entry

CONCURRENCY = 16
ROUNDS = 3
PACE = 160
"""Governed calls per second where the server is not to be saturated: waiting shows, queueing does not."""
SERVERS = {"before effect": "caracal_server.cli", "asynchronous": "bench.asynchronous_server"}
SAMPLE = 900


@asynccontextmanager
async def loaded(
    upstream: str, program: str, database: str | None
) -> AsyncIterator[tuple[Caracal, Client, list[Turn]]]:
    """A server and its clients, warm."""
    with caracal(cpu=0, database=database, program=program) as running:
        client = await asyncio.to_thread(Client, running, upstream)
        ports = port_of(running.control), port_of(running.gateway)
        turns = await governed(client, *ports)(CONCURRENCY)
        await closed_loop(turns, 0.5)
        yield running, client, turns


async def compare(
    seconds: float, databases: dict[str, str | None]
) -> tuple[dict[str, Any], list[Entry]]:
    """Milliseconds of a mint and a call together, both ways; and entries as a real zone has them."""
    tallies = {name: Tally() for name in SERVERS}
    paced = {name: Tally() for name in SERVERS}
    async with AsyncExitStack() as stack:
        _, port = stack.enter_context(child("bench.upstream_server", cpu=1))
        upstream = f"http://127.0.0.1:{port}"
        servers = {
            name: await stack.enter_async_context(loaded(upstream, program, databases[name]))
            for name, program in SERVERS.items()
        }
        for _ in range(ROUNDS):
            for name, (_, _, turns) in servers.items():
                _add(tallies[name], await closed_loop(turns, seconds / ROUNDS))
                _add(paced[name], await paced_loop(turns, seconds / ROUNDS))
        running, client, _ = servers["before effect"]
        entries = await asyncio.to_thread(sample, running, client)
    return {"saturated": _rows(tallies), f"{PACE}/s": _rows(paced)}, entries


async def paced_loop(turns: list[Turn], seconds: float) -> Tally:
    """As many clients, each at its share of the pace, whatever the answers take."""
    tally, interval = Tally(), len(turns) / PACE
    started = time.perf_counter()

    async def client(at: int, turn: Turn) -> None:
        due = started + interval * at / len(turns)
        while due < started + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            if await turn():
                tally.latencies.append((time.perf_counter() - begun) * 1000)
            else:
                tally.errors += 1
            due += interval

    await asyncio.gather(*(client(at, turn) for at, turn in enumerate(turns)))
    tally.seconds = time.perf_counter() - started
    return tally


def _add(to: Tally, more: Tally) -> None:
    to.latencies += more.latencies
    to.errors += more.errors
    to.seconds += more.seconds


def _rows(tallies: dict[str, Tally]) -> dict[str, dict[str, float]]:
    """Both servers, and what the one takes longer. Two decisions wait: on the mandate, and on the call."""
    rows = {name: _row(tally) for name, tally in tallies.items()}
    before, without = rows["before effect"], rows["asynchronous"]
    return rows | {"added": {key: before[key] - without[key] for key in ("p50_ms", "p99_ms")}}


def _row(tally: Tally) -> dict[str, float]:
    return {
        "per_second": tally.count / tally.seconds,
        "p50_ms": tally.percentile(0.5),
        "p99_ms": tally.percentile(0.99),
        "errors": float(tally.errors),
    }


def sample(running: Caracal, client: Client) -> list[Entry]:
    """What the server recorded last, in its order: mints, calls and results."""
    entries: list[Entry] = []
    cursor: dict[str, str] = {}
    while len(entries) < SAMPLE:
        answer = client._http.get(  # noqa: SLF001 (the bench's own)
            f"{running.control}/v1/zones/{client.zone}/evidence",
            params={"limit": 300, **cursor},
            headers={"authorization": f"Bearer {running.token}"},
        )
        answer.raise_for_status()
        page = answer.json()
        entries += [msgspec.convert(item["entry"], Entry) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    return entries[::-1]
