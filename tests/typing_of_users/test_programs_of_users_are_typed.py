"""Types as users see them: their programs, and the blocks of the guides, against what is installed beside `mcp`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sdk.test_sdk_page import BLOCKS as SDK_BLOCKS
from tests.verify_mcp.conftest import BLOCKS, CLIENTS, ROOT

PROGRAMS = Path(__file__).parent / "programs"
STATED = {  # what the text of docs/verify.md says of names that a block takes from elsewhere
    "header": "header: str | None = None\n",
    "verifier": "from caracal.verify import Verifier\n\nverifier: Verifier\n",
    "view": "from caracal.verify import FollowedRevocations\n\nview: FollowedRevocations\n",
    "secret": "secret: str\n",
}


def checked(folder: Path, *programs: Path) -> str:
    """What mypy says, in its strictest mode, where a user has installed caracal and nothing of its tests."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    command += ["--python-executable", str(CLIENTS), "--cache-dir", str(folder / "cache")]
    command += ["--no-error-summary", "--disallow-any-unimported", "--warn-unreachable"]
    finished = subprocess.run(
        [*command, *map(str, programs)],
        capture_output=True,
        check=False,
        text=True,
        timeout=110,
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
    )
    assert finished.returncode in {0, 1}, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All programs are checked at once: what takes time is to read what they import."""
    folder = tmp_path_factory.mktemp("typed")
    for number, block in enumerate(BLOCKS):
        taken = [text for name, text in STATED.items() if _takes(block, name)]
        (folder / f"verify_{number}.py").write_text("".join(taken) + block)
    for number, block in enumerate(SDK_BLOCKS):
        (folder / f"sdk_{number}.py").write_text(block)
    return checked(folder, *folder.glob("*.py"), *PROGRAMS.glob("*.py"))


def _takes(block: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", block) is not None and not re.search(
        rf"^{name} = |import .*\b{name}\b", block, re.MULTILINE
    )


def test_the_programs_of_users_and_of_the_guide_are_typed(said: str) -> None:
    assert [line for line in said.splitlines() if "mistaken.py" not in line] == []


def test_a_checker_finds_each_mistake(said: str) -> None:
    lines = (PROGRAMS / "mistaken.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if "# mistake: " in line}
    found = {int(number) for number in re.findall(r"mistaken\.py:(\d+): error", said)}
    assert found == expected


def test_caracal_says_that_it_is_typed() -> None:
    assert (ROOT / "src" / "caracal" / "py.typed").is_file()
