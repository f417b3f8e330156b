"""docs/evidence-format.md is enough to write another verifier: here is one, and both agree."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from caracal.evidence.bundle import verify_bundle
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.errors import BundleError
from caracal.evidence.notes import parse_verifier_key
from tests.evidence.naive_tree import naive_path, naive_root
from tests.evidence.signing import key_pair

DOCUMENT = (Path(__file__).parents[2] / "docs" / "evidence-format.md").read_text()
WHOLE, SELECTION, REST = (
    block.encode().splitlines(keepends=True)
    for block in re.findall(r"```jsonl\n(.*?)```", DOCUMENT, re.DOTALL)
)
NOTE = re.search(r"```text\n(caracal\.example/log\n.*?)```", DOCUMENT, re.DOTALL)[1]
KEY_LINE = re.search(r"^caracal\.example/log\+.*$", DOCUMENT, re.MULTILINE)[0]


def root_signed_in(note: str, verifier_key: str) -> tuple[int, bytes]:
    name, key_id, encoded = verifier_key.split("+", 2)
    key = b64decode(encoded)
    assert sha256(name.encode() + b"\n" + key).hexdigest()[:8] == key_id
    text, signature_line = note.rsplit("\n\n", 1)
    _, signer, signature = signature_line.split(" ")
    assert signer == name == text.split("\n")[0]
    assert b64decode(signature)[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(
        b64decode(signature)[4:], (text + "\n").encode()
    )
    return int(text.split("\n")[1]), b64decode(text.split("\n")[2])


def grown(first: int, peaks: list[bytes], entries: list[bytes]) -> bytes:
    """The root over subtrees and entries: neighbours of one width become one, at last all from the right."""
    widths = [1 << bit for bit in range(first.bit_length()) if first >> bit & 1][::-1]
    tree = list(zip(widths, peaks, strict=True))
    for entry in entries:
        tree.append((1, sha256(b"\x00" + entry).digest()))
        while len(tree) > 1 and tree[-1][0] == tree[-2][0]:
            (width, left), (_, right) = tree[-2:]
            tree[-2:] = [(2 * width, sha256(b"\x01" + left + right).digest())]
    root = tree[-1][1]
    for _, left in tree[-2::-1]:
        root = sha256(b"\x01" + left + root).digest()
    return root


def verify_as_documented(lines: list[bytes], verifier_key: str) -> None:
    header, *_, closing = map(json.loads, lines)
    assert header["verifier_key"] == verifier_key
    size, root = root_signed_in(header["checkpoint"], verifier_key)
    entries = []
    for line in lines[1:-1]:
        entry, end = re.match(rb'\{"entry":(.*)(,"index":.*)\n', line).groups()
        said = json.loads(b"{" + end[1:])
        assert sha256(b"\x00" + entry).hexdigest() == said["leaf"]
        entries.append(entry)
    assert closing == {"count": len(entries), "sha256": sha256(b"".join(lines[:-1])).hexdigest()}
    first, peaks = header.get("first", 0), list(map(bytes.fromhex, header.get("peaks", ())))
    assert first + len(entries) == size
    assert grown(first, peaks, entries) == root


def test_another_verifier_accepts_the_documented_bundle():
    verify_as_documented(WHOLE, KEY_LINE)
    verify_as_documented(REST, KEY_LINE)
    forged = [WHOLE[0].replace(b"log\\n3", b"log\\n2"), *WHOLE[1:]]
    with pytest.raises(InvalidSignature):
        verify_as_documented(forged, KEY_LINE)


def test_ours_accepts_the_documented_bundles():
    key = parse_verifier_key(KEY_LINE)
    assert key == key_pair("caracal.example/log")[0]
    assert verify_bundle(WHOLE, key).entries == 3
    assert verify_bundle(SELECTION, key).entries == 1
    assert (verify_bundle(REST, key).first, verify_bundle(REST, key).entries) == (1, 2)
    with pytest.raises(BundleError, match="entry 1, line 3: "):
        verify_bundle([line.replace(b"refuse", b"permit") for line in WHOLE], key)


def test_the_hashes_in_the_text_are_those_of_the_example():
    entries = [line[len(b'{"entry":') : line.index(b',"index"')] for line in WHOLE[1:-1]]
    checkpoint = verify_checkpoint(NOTE, parse_verifier_key(KEY_LINE))
    assert checkpoint.root == naive_root(entries)
    for value in (naive_root(entries), naive_root(entries[:2]), naive_root(entries[1:2])):
        assert value.hex() in DOCUMENT
    path = json.loads(SELECTION[1])["path"]
    assert path == [value.hex() for value in naive_path(1, entries)]
