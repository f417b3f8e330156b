"""Every lock file of the tree, and how the vulnerability scan is told to read it.

Usage: python -m tools.lock_files      (prints the scanner's arguments, as an output of a workflow's step)

A file is a lock by its name, or, for pip, by what is in it, so that a new one is scanned without anybody
listing it. Uses the standard library alone.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.repository import ROOT, repository_files

# How OSV-Scanner calls the form of a file whose name does not say it, and the names that do.
PIP = "requirements.txt"
NAMED = frozenset(
    {
        "bun.lock", "Cargo.lock", "composer.lock", "Gemfile.lock", "go.mod", "gradle.lockfile",
        "package-lock.json", "Pipfile.lock", "pnpm-lock.yaml", "poetry.lock", "pylock.toml",
        "pubspec.lock", "uv.lock", "yarn.lock",
    }
)  # fmt: skip
_HASHED = re.compile(r"^[A-Za-z0-9][\w.\[\]-]*==\S+.*\\\n\s+--hash=sha256:", re.MULTILINE)


class LockFile(NamedTuple):
    """A lock file's path below the root, and its form."""

    path: str
    form: str

    @property
    def argument(self) -> str:
        return f"--lockfile={self.form}:{self.path}"


def lock_files(root: Path) -> Iterator[LockFile]:
    """Find every lock file under version control."""
    for file in repository_files(root):
        path = file.relative_to(root).as_posix()
        if file.name in NAMED:
            yield LockFile(path, file.name)
        elif file.suffix == ".txt" and _HASHED.search(
            file.read_text(encoding="utf-8", errors="replace")
        ):
            yield LockFile(path, PIP)


def main() -> int:
    found = list(lock_files(ROOT))
    if not found:
        print("the tree has no lock file", file=sys.stderr)
        return 1
    print("arguments<<END", *(one.argument for one in found), "END", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
