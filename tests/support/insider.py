"""What somebody does who holds the database and the key of its logs: another history, signed, without a flaw."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from caracal.authority.events import Entry
from caracal.evidence.checkpoints import Checkpoint, parse_checkpoint, sign_checkpoint
from caracal.evidence.notes import VerifierKey, parse_note
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.ports.evidence import (
    LogBatch,
    LogPosition,
    StoredCheckpoint,
    StoredEntry,
    TreeNode,
)

Change = Callable[[bytes], bytes]


def rewrite_history(data: Path, change: Change) -> int:
    """Change entries of every log of a stopped server, recompute all that follows, sign anew.

    Returns:
        How many entries are not what they were.
    """
    return asyncio.run(_rewrite(data, change))


async def _rewrite(data: Path, change: Change) -> int:
    changed = 0
    key = KeyRing(data / "keys", SystemEntropy()).evidence_key(needed_by="it")
    database = await open_database(f"sqlite:///{data / 'caracal.db'}")
    try:
        store = SqlEvidenceStore(database)
        histories = []
        for zone_id in await store.logs():
            kept = [one.data async for one in store.scan(zone_id, 0, 2**53)]
            latest = await store.latest_checkpoint(zone_id)
            origin = parse_checkpoint(parse_note(latest.note).text).origin
            histories.append((zone_id, origin, kept))
        with contextlib.closing(sqlite3.connect(data / "caracal.db")) as tables, tables:
            names = tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                if name.startswith("evidence_"):
                    tables.execute(f"DELETE FROM {name}")
        for zone_id, origin, kept in histories:
            told = [change(one) for one in kept]
            changed += sum(old != new for old, new in zip(kept, told, strict=True))
            tree, nodes = TreeState().grow([leaf_hash(one) for one in told])
            await store.commit([_batch(zone_id, told, tree, nodes)])
            verifier = VerifierKey(origin, key.public_key().public_bytes_raw())
            note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root()), key.sign, verifier)
            signed = StoredCheckpoint(tree.size, note, datetime.now(UTC))
            await store.save_checkpoint(zone_id, signed)
    finally:
        await database.close()
    return changed


def _batch(zone_id, told, tree, nodes) -> LogBatch:
    return LogBatch(
        zone_id,
        LogPosition(0, ()),
        LogPosition(tree.size, tree.peaks),
        tuple(StoredEntry(index, one, leaf_hash(one)) for index, one in enumerate(told)),
        tuple(msgspec.json.decode(one, type=Entry) for one in told),
        tuple(TreeNode(node.level, node.index, node.hash) for node in nodes),
    )
