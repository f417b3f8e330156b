"""The sdist, and the wheel that is built from it."""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from distribution.faults import CannotBuild
from distribution.source import Source


def build(source: Source, into: Path) -> tuple[Path, Path]:
    """Build both; the wheel from the unpacked sdist, so that an sdist that lacks a file is noticed.

    Raises:
        CannotBuild: the build back end refuses.
    """
    sdist = _hatchling(source.root, "sdist", source.epoch, into)
    with tempfile.TemporaryDirectory(prefix="caracal-sdist-") as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        return sdist, _hatchling(unpacked, "wheel", source.epoch, into)


def _hatchling(root: Path, target: str, epoch: int, into: Path) -> Path:
    before = set(into.iterdir())
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            target,
            "--directory",
            into.absolute(),
        ],
        cwd=root,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    new = set(into.iterdir()) - before
    if built.returncode or len(new) != 1:
        raise CannotBuild(f"the {target} could not be built: {built.stderr.strip()}")
    return new.pop()
