"""Whether the same source yields the same bytes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from assurance.checks import NotRunHere
from distribution.rebuild import FIRST, SECOND, Circumstances, compare

DOWNLOADS = Path(__file__).parents[2] / "build/downloads"
"""What was downloaded for an earlier build; each file is held against the lock of the tree at hand."""

EPOCH = 1767225600
NO_WHEELS = "no wheels of "


def two_builds_are_the_same(root: Path) -> Sequence[str]:
    """Sdist, wheel, command-line archive and chart are the same bytes when built twice, differently."""
    with tempfile.TemporaryDirectory(prefix="caracal-twice-") as folder:
        built = [_build(root, Path(folder), under) for under in (FIRST, SECOND)]
        for one in built:
            if isinstance(one, str):
                return [one]
        first, second = (Path(folder, under.folder) for under in (FIRST, SECOND))
        return list(compare(first, second))


def _build(root: Path, top: Path, under: Circumstances) -> str | None:
    """Build what is quickly built; answer why it failed."""
    command = [sys.executable, "-m", "distribution", "build", "--tree", str(root)]
    command += [f"--epoch={EPOCH}", f"--into={top / under.folder}", f"--cache={DOWNLOADS}"]
    command += [f"--only={kind}" for kind in ("sdist", "wheel", "cli", "chart")]
    environment: Mapping[str, str] = {
        **os.environ, **under.environment, "PYTHONPATH": str(root / "src")
    }  # fmt: skip
    ran = subprocess.run(
        command,
        cwd=root,
        env=environment,
        umask=under.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if NO_WHEELS in ran.stderr:
        raise NotRunHere(ran.stderr.strip())
    return ran.stderr.strip() or "the build failed" if ran.returncode else None
