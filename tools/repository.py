"""Which files the checks look at, and what a finding looks like."""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place and what is wrong there; line 0 means the whole file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


def repository_files(root: Path) -> list[Path]:
    """Return the files that are, or would be, under version control, sorted.

    A directory that is not a checkout of its own counts with everything in it.
    """
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        )
        names = listed.stdout.decode().split("\0")
        return sorted(path for name in set(names) if name and (path := root / name).is_file())
    return sorted(path for path in root.rglob("*") if path.is_file())


def text_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that is text, with its text."""
    for path in repository_files(root):
        content = path.read_bytes()
        if b"\0" in content:
            continue
        try:
            yield path, content.decode("utf-8")
        except UnicodeDecodeError:
            continue


def report(findings: Iterable[Finding], *, checked: str) -> int:
    """Print the findings; return the exit code: 0 when there are none, else 1."""
    found = sorted(findings)
    for finding in found:
        print(finding)
    print(f"{checked}: {len(found)} to repair" if found else f"{checked}: all good")
    return 1 if found else 0
