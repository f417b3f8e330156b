"""Receipts: the auditor's page alone is enough to tell a genuine one from a changed one."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from assurance.checks import NotRunHere

PAGE: Final = "docs/evidence.md"
VECTORS: Final = "tests/evidence/vectors/receipts.json"
_SECONDS: Final = 30


def page_verifies_receipts_without_us(root: Path) -> Sequence[str]:
    """Run the page's script, with the standard library and openssl alone, on receipts that others made."""
    if shutil.which("openssl") is None:
        raise NotRunHere("there is no openssl")
    scripts = re.findall(r"```python\n(.*?)```", (root / PAGE).read_text(), re.DOTALL)
    if len(scripts) != 1:
        return [f"{PAGE}: has {len(scripts)} scripts, not one"]
    wrong = []
    for case in json.loads((root / VECTORS).read_text())[::3]:
        receipt, key = case["receipt"], case["log_key"]
        size = case["size"]
        if not _accepts(scripts[0], receipt, key):
            wrong.append(f"{PAGE}: its script refuses the genuine receipt of a log of {size}")
        for what, changed in _changed(receipt):
            if _accepts(scripts[0], changed, key):
                wrong.append(f"{PAGE}: its script accepts a receipt with another {what}")
    return wrong


def _changed(receipt: str) -> Iterator[tuple[str, str]]:
    entry = receipt.split("\n")[1]
    _, _, root, _, signature, *_ = receipt.partition("\n\n")[2].split("\n")
    for what, old, new in (
        ("entry", entry, "extra e30="),
        ("root", root, b64encode(bytes(32)).decode()),
        ("signature", signature[-12:], "A" * 11 + "="),
    ):
        yield what, receipt.replace(old, new, 1)


def _accepts(script: str, receipt: str, key: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, text in (("check.py", script), ("receipt", receipt), ("key", key)):
            (place / name).write_text(text)
        finished = subprocess.run(
            [sys.executable, "-I", "-S", "check.py", "receipt", "key"],
            cwd=place,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    return finished.returncode == 0
