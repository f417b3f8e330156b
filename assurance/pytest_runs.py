"""Running named tests of a tree, with the tree's own code."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PASSED = re.compile(r"^(\d+) passed in ", re.MULTILINE)
_PLUGINS = ("asyncio", "timeout", "hypothesispytest")
"""All that the tests need; others that happen to be installed only take time."""


def failures(root: Path, tests: Sequence[str]) -> list[str]:
    """Answer what failed first, or what is not there or did not run.

    Args:
        root: the tree.
        tests: ids as pytest takes them, below `root`.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider"]
    command += [
        "--assert=plain",
        "--disable-plugin-autoload",
        *(part for one in _PLUGINS for part in ("-p", one)),
    ]
    ran = subprocess.run(
        [*command, *tests],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "src")))},
        capture_output=True,
        text=True,
        check=False,
    )
    passed = _PASSED.search(ran.stdout)
    if ran.returncode == 0 and passed is not None and int(passed[1]) >= len(tests):
        return []
    said = [
        line
        for line in (*ran.stdout.splitlines(), *ran.stderr.splitlines())
        if line.startswith(("FAILED", "ERROR", "SKIPPED"))
    ]
    return said or [f"pytest: {(ran.stdout or ran.stderr).strip().rpartition(chr(10))[2]}"]
