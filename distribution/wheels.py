"""Wheels of a lock file, for a Python and a platform that need not be this one's."""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from distribution.faults import CannotBuild

GLIBC_MINORS = (28, 27, 26, 24, 17, 12, 5)
"""The C library of the oldest system that is meant: what needs a newer one is not taken."""

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def fetch(lock: Path, python: str, machine: str, cache: Path) -> list[Path]:
    """Return the wheels of a lock, each held against the lock's hashes, sorted by name.

    Args:
        lock: names each wheel and its hashes.
        python: such as `3.13`.
        machine: such as `x86_64`.
        cache: where they are kept.

    Raises:
        CannotBuild: the index is not reached, or has no such wheel.
    """
    content = lock.read_bytes()
    allowed = set(_HASH.findall(content.decode()))
    folder = cache / f"{lock.stem}-{hashlib.sha256(content).hexdigest()[:16]}-{python}-{machine}"
    if not folder.is_dir():
        _download(lock, python, machine, folder)
    wheels = sorted(folder.iterdir())
    for wheel in wheels:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() not in allowed:
            raise CannotBuild(f"{wheel} is not what {lock.name} says; remove it")
    return wheels


def _download(lock: Path, python: str, machine: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    abi = f"cp{python.replace('.', '')}"
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += [
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        f"--python-version={python}",
    ]
    command += ["--implementation=cp", *(f"--abi={name}" for name in (abi, "abi3", "none"))]
    command += [f"--platform={name}" for name in platforms]
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        got = subprocess.run(
            [*command, "--dest", fresh, "--requirement", str(lock)],
            env=os.environ | {"PIP_NO_INPUT": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            why = got.stderr.strip().rpartition("\n")[2]
            raise CannotBuild(f"no wheels of {lock.name} for Python {python}: {why}")
        try:
            Path(fresh).rename(folder)
            Path(fresh).mkdir()  # what the context manager removes
        except OSError:
            if not folder.is_dir():  # else another build was faster, and has the same
                raise
