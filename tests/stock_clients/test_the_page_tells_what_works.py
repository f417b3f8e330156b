"""`docs/stock-clients.md` names every call that the published packages offer, and a test for each."""

import json
import re
import subprocess
from pathlib import Path

from tests.stock_clients.conftest import CLIENTS, PROGRAMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "stock-clients.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "](" in line]


def test_every_row_names_tests_that_exist():
    assert len(ROWS) > 40
    for row in ROWS:
        links = re.findall(r"\[([^\]]+)\]\(\.\./(tests/stock_clients/[a-z_]+\.py)\)", row)
        assert links, row
        for said, file in links:
            assert f"def test_{said.replace(' ', '_')}(" in (ROOT / file).read_text(), said


def test_every_test_is_named_in_a_row():
    named = {f"test_{one.replace(' ', '_')}" for one in re.findall(r"\[([^\]]+)\]\(\.\./", PAGE)}
    for file in Path(__file__).parent.glob("test_*.py"):
        if file != Path(__file__):
            assert set(re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)) <= named


def test_every_call_that_the_packages_offer_is_named():
    told = subprocess.run(
        [str(CLIENTS), str(PROGRAMS / "inventory.py")], capture_output=True, check=True, timeout=60
    )
    named = {
        name for quoted in re.findall(r"`([^`]+)`", PAGE) for name in re.findall(r"\w+", quoted)
    }
    for package, names in json.loads(told.stdout).items():
        assert set(names) <= named, package
