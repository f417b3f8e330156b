"""The files that a release is built from."""

import os
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from distribution.faults import CannotBuild
from tools.repository import repository_files


@dataclass(frozen=True, slots=True)
class Source:
    """A copy of the files, with modes that no umask has touched.

    Attributes:
        commit: 40 hexadecimal digits, or nothing when the files are of no commit.
        epoch: the time of every time stamp, in seconds since 1970, UTC.
    """

    root: Path
    version: str
    commit: str
    epoch: int


@contextmanager
def committed(checkout: Path) -> Iterator[Source]:
    """The files of the last commit, whatever the working tree holds.

    Raises:
        CannotBuild: this is no checkout, or what builds is not what was committed.
    """
    if not (checkout / ".git").exists():
        raise CannotBuild(f"{checkout} is no git checkout, so there is no commit to build")
    if _git(checkout, "status", "--porcelain", "--", "distribution", "src/caracal_server/release"):
        raise CannotBuild("distribution/ holds changes that are not committed")
    commit, epoch = _git(checkout, "show", "-s", "--format=%H %ct", "HEAD").decode().split()
    archive = _git(checkout, "-c", "tar.umask=0022", "archive", "--format=tar", commit)
    with tempfile.TemporaryDirectory(prefix="caracal-source-") as folder:
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield _normalised(Path(folder), commit, int(epoch))


def head(checkout: Path) -> str:
    """The last commit."""
    return _git(checkout, "rev-parse", "HEAD").decode().strip()


@contextmanager
def as_it_is(tree: Path, epoch: int) -> Iterator[Source]:
    """The files of a working tree that are, or would be, under version control."""
    with tempfile.TemporaryDirectory(prefix="caracal-source-") as folder:
        for file in repository_files(tree):
            copy = Path(folder, file.relative_to(tree))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
        yield _normalised(Path(folder), "", epoch)


def _normalised(root: Path, commit: str, epoch: int) -> Source:
    for path in root.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return Source(root, project["version"], commit, epoch)


def _git(checkout: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout
