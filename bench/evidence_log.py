"""The log by itself: how fast it takes entries, how large they lie, how fast they are verified."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.evidence.bundle import BundleWriter, verify_bundle
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.notes import VerifierKey
from caracal.evidence.proofs import inclusion_nodes, prove_inclusion, verify_inclusion
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.sql.database import Database, open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.evidence import LogBatch

WRITERS = (1, 4, 16, 64, 256)
ZONE = ZoneId("bench")
PROOFS = 500
VERIFY_ROUNDS = 3


class CountingStore(SqlEvidenceStore):
    """Knows how many commits there were."""

    commits = 0

    async def commit(self, batches: Sequence[LogBatch]) -> None:
        self.commits += 1
        await super().commit(batches)


class Entries:
    """Entries like the recorded ones, over and over, each time with ids of their own."""

    def __init__(self, sample: Sequence[Entry]) -> None:
        self._sample = sample
        self.count = 0

    def next(self) -> Entry:
        turn, at = divmod(self.count, len(self._sample))
        self.count += 1
        like = self._sample[at]
        return msgspec.structs.replace(
            like,
            zone=ZONE,
            at=time.time_ns() // 1000,
            request=_anew(like.request, turn),
            mandate=_anew(like.mandate, turn),
            answers=_anew(like.answers, turn),
        )


def _anew(id_: str, turn: int) -> str:
    return id_ and f"{id_[:-6]}{turn:03}{id_[-3:]}"


async def durable(
    sequencer: Sequencer, store: CountingStore, entries: Entries, writers: int, seconds: float
) -> dict[str, float]:
    """Entries per second that so many writers, each waiting for its own, bring into the log."""
    deadline = time.perf_counter() + seconds
    latencies: list[float] = []

    async def writer() -> None:
        while (begun := time.perf_counter()) < deadline:
            await sequencer.append(entries.next())
            latencies.append((time.perf_counter() - begun) * 1000)

    commits, started, cpu = store.commits, time.perf_counter(), time.process_time()
    await asyncio.gather(*(writer() for _ in range(writers)))
    took, used = time.perf_counter() - started, time.process_time() - cpu
    ordered = sorted(latencies)
    return {
        "writers": writers,
        "per_second": len(ordered) / took,
        "per_cpu_second": len(ordered) / used,
        "batch": len(ordered) / (store.commits - commits),
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[int(len(ordered) * 0.99)],
    }


async def prove(store: SqlEvidenceStore, size: int) -> dict[str, float]:
    """Milliseconds to read, make and verify an inclusion proof of entries all over the log."""
    tree = await store.position(ZONE)
    root = prove_root(tree.size, tree.peaks)
    latencies = []
    for number in range(PROOFS):
        index = number * 7_919 % size
        begun = time.perf_counter()
        names = inclusion_nodes(index, size)
        wanted = [(0, index), *((node.level, node.index) for node in names)]
        found = await store.nodes(ZONE, wanted)
        proof = prove_inclusion(index, size, lambda level, at, found=found: found[level, at])
        verify_inclusion(found[0, index], proof, root)
        latencies.append((time.perf_counter() - begun) * 1000)
    ordered = sorted(latencies)
    return {"p50_ms": ordered[PROOFS // 2], "p99_ms": ordered[int(PROOFS * 0.99)], "size": size}


def prove_root(size: int, peaks: Sequence[bytes]) -> bytes:
    from caracal.evidence.tree import TreeState  # noqa: PLC0415 (named beside its use)

    return TreeState.resume(size, peaks).root()


async def verify(store: SqlEvidenceStore) -> float:
    """Entries per second of the offline verifier over the whole log as a bundle, from memory."""
    position = await store.position(ZONE)
    key = Ed25519PrivateKey.generate()
    known = VerifierKey("bench.example/log", key.public_key().public_bytes_raw())
    root = prove_root(position.size, position.peaks)
    note = sign_checkpoint(Checkpoint(known.name, position.size, root), key.sign, known)
    writer = BundleWriter(note, known, Contents.WHOLE)
    stored = [one async for one in store.scan(ZONE, 0, position.size)]
    lines = [writer.header()]
    lines += [writer.entry(one.index, one.data, one.leaf_hash) for one in stored]
    lines.append(writer.closing())
    fastest = float("inf")
    for _ in range(VERIFY_ROUNDS):
        begun = time.perf_counter()
        verify_bundle(lines, known)
        fastest = min(fastest, time.perf_counter() - begun)
    return position.size / fastest


async def stored_bytes(database: Database, file: Path | None) -> int:
    """What the evidence takes on the disk, indexes and all."""
    if file is not None:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return file.stat().st_size
    names = ("entry", "mention", "span", "filter", "log")
    tables = ", ".join(f"'evidence_{name}'" for name in names)
    query = text(
        f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname IN ({tables})"
    )
    return int(await database.read(lambda connection: connection.execute(query).scalar_one()))


async def measure(
    url: str, file: Path | None, sample: Sequence[Entry], seconds: float
) -> dict[str, Any]:
    """Everything about one store."""
    database = await open_database(url)
    await migrate(database)
    store = CountingStore(database)
    sequencer = Sequencer(store, AuditSettings("bench.example"), Integrity(), SystemClock())
    await sequencer.start()
    entries = Entries(sample)
    try:
        await durable(sequencer, store, entries, 4, 0.3)
        empty, had = await stored_bytes(database, file), entries.count
        rows = [await durable(sequencer, store, entries, writers, seconds) for writers in WRITERS]
        grown = await stored_bytes(database, file) - empty
        return {
            "durable": rows,
            "bytes_per_entry": grown / (entries.count - had),
            "json_bytes_per_entry": await written_bytes(store),
            "proof": await prove(store, entries.count),
            "verified_per_second": await verify(store),
        }
    finally:
        await sequencer.close()
        await database.close()


async def written_bytes(store: SqlEvidenceStore) -> float:
    sizes = [len(one.data) async for one in store.scan(ZONE, 0, 900)]
    return sum(sizes) / len(sizes)
