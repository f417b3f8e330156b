"""What an insider with the database and the log's key can do: rewrite a log, and sign for it anew.

Only for the demo and for tests, on a copy of a data directory whose server is stopped or elsewhere.
"""

import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.notes import VerifierKey
from caracal.evidence.proofs import prove_consistency
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.adapters.sealing.key_files import load_key
from caracal_server.adapters.sealing.key_ring import EVIDENCE, EVIDENCE_KIND

INDEX_BITS = 40


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A log that is in order by itself, and the entry of it that is a lie."""

    index: int
    note: str
    key: VerifierKey
    entries: list[bytes]

    def bundle(self) -> bytes:
        """What `caracal evidence export` would write of it."""
        writer = BundleWriter(self.note, self.key, Contents.WHOLE)
        lines = [writer.header()]
        lines += [
            writer.entry(at, entry, leaf_hash(entry)) for at, entry in enumerate(self.entries)
        ]
        return b"".join([*lines, writer.closing()])

    def proof_from(self, old: int) -> tuple[bytes, ...]:
        """The consistency proof from the first `old` of these entries: the best the insider has."""
        leaves = [leaf_hash(entry) for entry in self.entries]
        tree, nodes = TreeState().grow(leaves)
        by_place = {(node.level, node.index): node.hash for node in nodes}
        by_place |= {(0, index): leaf for index, leaf in enumerate(leaves)}
        return prove_consistency(old, tree.size, lambda level, at: by_place[level, at]).hashes


def copy_data(data: Path, to: Path) -> None:
    """Copy a data directory, as a backup does while the server runs."""
    shutil.copytree(data / "keys", to / "keys")
    with (
        contextlib.closing(sqlite3.connect(data / "caracal.db")) as running,
        contextlib.closing(sqlite3.connect(to / "caracal.db")) as copied,
    ):
        running.backup(copied)


def rewrite(data: Path, origin: str, zone: str, old: bytes, new: bytes) -> Rewritten:
    """Replace `old` in the first entry that holds it, and everything that follows from it.

    Leaves, nodes and the newest checkpoint are made anew, so that the log is in order by itself.
    """
    private = Ed25519PrivateKey.from_private_bytes(
        load_key(data / "keys" / EVIDENCE, EVIDENCE_KIND)
    )
    key = VerifierKey(origin, private.public_key().public_bytes_raw())
    with contextlib.closing(sqlite3.connect(data / "caracal.db")) as store, store:
        [log] = store.execute("SELECT id FROM evidence_log WHERE zone_id = ?", (zone,)).fetchone()
        first, end = log << INDEX_BITS, (log + 1) << INDEX_BITS
        entries = [
            data
            for (data,) in store.execute(
                "SELECT data FROM evidence_entry WHERE place >= ? AND place < ? ORDER BY place",
                (first, end),
            )
        ]
        victim = next(at for at, entry in enumerate(entries) if old in entry)
        entries[victim] = entries[victim].replace(old, new, 1)
        root = _replant(store, first, entries)
        note = sign_checkpoint(Checkpoint(origin, len(entries), root), private.sign, key)
        store.execute("DELETE FROM evidence_checkpoint WHERE log_id = ?", (log,))
        store.execute(
            "INSERT INTO evidence_checkpoint (log_id, size, note, at) VALUES (?, ?, ?, 0)",
            (log, len(entries), note),
        )
    return Rewritten(victim, note, key, entries)


def _replant(store: sqlite3.Connection, first: int, entries: list[bytes]) -> bytes:
    """Write every row's data and hashes anew; return the root."""
    tree = TreeState()
    for at, entry in enumerate(entries):
        leaf = sha256(b"\0" + entry).digest()
        tree, nodes = tree.grow([leaf])
        hashes = b"".join(node.hash for node in sorted(nodes, key=lambda node: node.level))
        store.execute(
            "UPDATE evidence_entry SET data = ?, hashes = ? WHERE place = ?",
            (entry, hashes, first + at),
        )
    return tree.root()
