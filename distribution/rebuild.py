"""`make dist-verify`: two clones, under different circumstances, must yield the same bytes."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distribution import source
from distribution.faults import CannotBuild


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What must not show in an artifact."""

    folder: str
    umask: int
    environment: Mapping[str, str]


FIRST = Circumstances("a", 0o022, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"})
SECOND = Circumstances(
    "elsewhere/a folder of another name",
    0o077,
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4711"},
)


def verify(checkout: Path, cache: Path, only: Sequence[str] = ()) -> int:
    """Build both, compare, print each digest; return the exit code.

    Raises:
        CannotBuild: one of the two could not be built.
    """
    commit = source.head(checkout)
    with tempfile.TemporaryDirectory(prefix="caracal-twice-") as folder:
        top = Path(folder)
        top.chmod(0o755)
        first, second = (
            _build(_clone(checkout, commit, top, one), one, cache, only) for one in (FIRST, SECOND)
        )
        differing = list(compare(first, second))
        for file in sorted(first.iterdir()):
            print(f"{_digest(file)}  {file.name}")
    for finding in differing:
        print(finding)
    print("two builds differ" if differing else "two builds, the same bytes")
    return 1 if differing else 0


def compare(first: Path, second: Path) -> Iterator[str]:
    """Name each file that the two folders do not hold alike, and where it begins to differ."""
    names = {file.name for folder in (first, second) for file in folder.iterdir()}
    for name in sorted(names):
        one, two = first / name, second / name
        if not (one.exists() and two.exists()):
            yield f"{name} was built only once"
        elif _digest(one) != _digest(two):
            pairs = enumerate(zip(one.read_bytes(), two.read_bytes(), strict=False))
            at = next((index for index, (left, right) in pairs if left != right), "its end")
            yield f"{name} differs: {_digest(one)}, {_digest(two)}, first at {at}"


def _clone(checkout: Path, commit: str, top: Path, under: Circumstances) -> Path:
    clone = top / under.folder
    clone.parent.mkdir(parents=True, exist_ok=True)
    _run(["git", "clone", "--quiet", "--no-local", str(checkout), str(clone)], under, checkout)
    _run(["git", "checkout", "--quiet", "--detach", commit], under, clone)
    return clone


def _build(clone: Path, under: Circumstances, cache: Path, only: Sequence[str]) -> Path:
    into = clone.parent / f"{clone.name}-dist"
    command = [sys.executable, "-m", "distribution", "build", "--into", str(into)]
    command += ["--cache", str(cache), *(f"--only={kind}" for kind in only)]
    _run(command, under, clone)
    return into


def _run(command: Sequence[str], under: Circumstances, folder: Path) -> None:
    """Run in a clone with the clone's own modules, whichever checkout the environment belongs to."""
    environment = {**os.environ, **under.environment, "PYTHONPATH": str(folder / "src")}
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        umask=under.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CannotBuild(f"{under.folder}: {ran.stderr.strip()[-2000:]}")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
