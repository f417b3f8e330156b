"""Our receipts hold for a verifier that we did not write, and fail there when they fail here."""

import json
import subprocess
from base64 import b64decode, b64encode

import pytest

from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.proofs import prove_inclusion
from caracal.evidence.receipts import Receipt, parse_receipt, verify_receipt
from caracal.evidence.tree import NodeId, TreeState, leaf_hash
from tests.evidence.signing import key_pair
from tools.repository import ROOT

JUDGE = ROOT / ".venv" / "tools" / "judges" / "bin" / "python"
ENTRIES = [b'{"kind":"call","number":%d}' % number for number in range(300)]
PLACES = (0, 1, 127, 128, 255, 256, 299)
KEY, SIGN = key_pair("caracal.example/log")
ASK = """
import json, sys
import aics_tlog
asked = json.load(sys.stdin)
key = aics_tlog.parse_vkey(asked["key"])
print(json.dumps([aics_tlog.verify_bundle(one, key).ok for one in asked["bundles"]]))
"""


def receipts() -> list[str]:
    tree, nodes = TreeState().grow([leaf_hash(entry) for entry in ENTRIES])
    stored = {NodeId(node.level, node.index): node.hash for node in nodes}
    note = sign_checkpoint(Checkpoint(KEY.name, tree.size, tree.root()), SIGN, KEY)
    found = []
    for index in PLACES:
        proof = prove_inclusion(index, tree.size, lambda *at: stored[NodeId(*at)])
        found.append(Receipt(ENTRIES[index], index, proof.hashes, note).render())
    return found


def wire_bundle(receipt: str) -> dict[str, object]:
    """The same facts in the other one's own envelope, which is JSON; read here by splitting lines."""
    head, _, note = receipt.partition("\n\n")
    _, extra, index, *path = head.split("\n")
    return {
        "entry_bytes": urlsafe(b64decode(extra.split()[1])),
        "index": int(index.split()[1]),
        "inclusion_proof": path,
        "checkpoint_note": urlsafe(note.encode()),
        "envelope": None,
        "body_or_ct": None,
    }


def urlsafe(raw: bytes) -> str:
    return b64encode(raw, b"-_").decode().rstrip("=")


@pytest.mark.skipif(not JUDGE.exists(), reason="the judges are not installed")
def test_the_other_one_accepts_ours_and_refuses_what_was_changed():
    genuine = [wire_bundle(text) for text in receipts()]
    moved = [one | {"index": (one["index"] + 1) % 300} for one in genuine]
    altered = [one | {"entry_bytes": urlsafe(b"{}")} for one in genuine]
    shortened = [one | {"inclusion_proof": one["inclusion_proof"][:-1]} for one in genuine]
    asked = {"key": KEY.render(), "bundles": [*genuine, *moved, *altered, *shortened]}
    answered = subprocess.run(
        [JUDGE, "-c", ASK],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(answered.stdout) == [True] * 7 + [False] * 21


def test_ours_accepts_the_same():
    for text, index in zip(receipts(), PLACES, strict=True):
        assert verify_receipt(parse_receipt(text), KEY).entry == ENTRIES[index]
