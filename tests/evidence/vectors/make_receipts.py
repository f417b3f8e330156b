"""Makes receipts.json with an implementation that is not ours. Run with `.venv/tools/judges/bin/python`.

What it takes from aics-tlog: the tree, the proofs, the checkpoint, the cosignatures and the verifier
keys. The lines around them are written here, as c2sp.org/tlog-proof has them.
"""

import json
import sys
from base64 import b64encode
from pathlib import Path

import aics_tlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TIME = 1_790_000_000
WITNESSES = ("witness.example/a", "witness.example/b")


def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def receipt(entry: bytes, index: int, path: list[bytes], note: str) -> str:
    lines = ["c2sp.org/tlog-proof@v1", f"extra {b64encode(entry).decode()}", f"index {index}"]
    return "\n".join([*lines, *(b64encode(value).decode() for value in path), "", note])


def case(origin: str, size: int, index: int) -> dict[str, object]:
    entries = [json.dumps({"number": number}).encode() for number in range(size)]
    tree = aics_tlog.MerkleTree(entries)
    checkpoint = aics_tlog.Checkpoint(origin, size, tree.root())
    note = aics_tlog.sign_checkpoint(checkpoint, key(1), origin)
    lines = [
        aics_tlog.sign_cosignature(key(2 + at), name, TIME + at, origin, size, tree.root())[1]
        for at, name in enumerate(WITNESSES)
    ]
    cosigned = aics_tlog.Note(note.text, (*note.signatures, *lines)).serialise()
    return {
        "log_key": aics_tlog.format_vkey(aics_tlog.vkey_from_ed25519(origin, key(1).public_key())),
        "witness_keys": [
            aics_tlog.format_vkey(aics_tlog.cosignature_vkey(name, key(2 + at).public_key()))
            for at, name in enumerate(WITNESSES)
        ],
        "index": index,
        "size": size,
        "entry": entries[index].decode(),
        "cosigned": [TIME + at for at in range(len(WITNESSES))],
        "receipt": receipt(entries[index], index, tree.inclusion_proof(index), cosigned),
    }


def main() -> None:
    cases = [case("log.example/zone", *place) for place in ((1, 0), (2, 1), (7, 6), (300, 255))]
    Path(sys.argv[1]).write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
