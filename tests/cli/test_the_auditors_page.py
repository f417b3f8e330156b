"""docs/evidence.md is for who knows nothing of Caracal: its script is run as it stands there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import parse_receipt
from caracal.evidence.tree import leaf_hash
from tools.repository import ROOT

PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
[SCRIPT] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
VECTORS = json.loads((ROOT / "tests/evidence/vectors/receipts.json").read_text())

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


def run(folder: Path, receipt: bytes, key: str) -> subprocess.CompletedProcess[str]:
    """The page's command, with no package in reach: `-I -S` leaves the standard library alone."""
    (folder / "check_receipt.py").write_text(SCRIPT)
    (folder / "order-1.tlog-proof").write_bytes(receipt)
    (folder / "log.key").write_text(key + "\n")
    return subprocess.run(
        [sys.executable, "-I", "-S", "check_receipt.py", "order-1.tlog-proof", "log.key"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['index']}-of-{case['size']}")
def test_the_script_verifies_receipts_that_are_genuine(case, tmp_path):
    finished = run(tmp_path, case["receipt"].encode(), case["log_key"])
    assert (finished.returncode, finished.stdout.strip()) == (0, case["entry"]), finished.stderr


@pytest.mark.parametrize("place", ["extra ", "index ", "\n2\n", "log.example/zone w"])
def test_it_fails_when_a_byte_was_changed(place, tmp_path):
    case = next(case for case in VECTORS if case["size"] == 2)
    raw = bytearray(case["receipt"].encode())
    raw[raw.index(place.encode()) + len(place.encode()) + 1 - place.endswith("\n")] ^= 1
    assert run(tmp_path, bytes(raw), case["log_key"]).returncode != 0


def test_it_fails_with_the_key_of_another_log(tmp_path):
    name, _, rest = VECTORS[0]["log_key"].partition("+")
    key_id, _, _ = rest.partition("+")
    other = f"{name}+{key_id}+{VECTORS[0]['witness_keys'][0].rpartition('+')[2]}"
    assert run(tmp_path, VECTORS[0]["receipt"].encode(), other).returncode != 0


def test_its_commands_verify_what_an_auditor_is_given(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = VECTORS[-1]
    # A shard's receipt and key are of no other kind: tests/apart has those of a real one.
    for receipt, key in (("order-1", "log"), ("order-2", "shard")):
        Path(f"{receipt}.tlog-proof").write_text(case["receipt"])
        Path(f"{key}.key").write_text(case["log_key"] + "\n")
    for number, key in enumerate(case["witness_keys"], 1):
        Path(f"w{number}.key").write_text(key + "\n")
    entries = [json.dumps({"number": number}).encode() for number in range(case["size"])]
    Path("shop.jsonl").write_bytes(exported(entries, parse_receipt(case["receipt"]).note))
    commands = [line for line in "".join(SHELL).splitlines() if line.startswith("caracal ")]
    assert len(commands) == 5
    for command in commands:
        ended = cli(*shlex.split(command)[1:])
        assert ended.code == 0, ended.err
        assert ended.out.splitlines()[-1].startswith("verified: ")


def exported(entries: list[bytes], note: str) -> bytes:
    writer = BundleWriter(note, parse_verifier_key(VECTORS[-1]["log_key"]), Contents.WHOLE)
    lines = [writer.header()]
    lines += [writer.entry(at, entry, leaf_hash(entry)) for at, entry in enumerate(entries)]
    return b"".join([*lines, writer.closing()])


def test_without_a_logs_key_nothing_is_called_verified(cli, tmp_path):
    file = tmp_path / "one.tlog-proof"
    file.write_text(VECTORS[0]["receipt"])
    ended = cli("evidence", "verify-receipt", str(file))
    assert (ended.code, "verified" in ended.out) == (2, False)
    assert "proves nothing without the log's key" in ended.err


def test_too_few_witnesses_end_with_1_and_say_so(cli, tmp_path):
    file = tmp_path / "one.tlog-proof"
    file.write_text(VECTORS[0]["receipt"].rpartition("\u2014 ")[0])
    keys = [word for key in VECTORS[0]["witness_keys"] for word in ("--witness-key", key)]
    command = ("evidence", "verify-receipt", str(file), "--log-key", VECTORS[0]["log_key"], *keys)
    refused = cli(*command)
    assert refused.code == 1
    assert "1 of 2 witnesses cosigned, not 2" in refused.err
    found = cli(*command, "--quorum", "1", "--json").document
    assert [one["witness"] for one in found["cosigned"]] == ["witness.example/a"]
    assert found["entry"] == {"number": 0}
    assert cli(*command, "--quorum", "3").code == 2
