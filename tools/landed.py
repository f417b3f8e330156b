"""Which two commits a dependency review compares, as outputs of a workflow's step.

Usage: python -m tools.landed --days N [--base SHA --head SHA]

With two commits, those: a pull request. Without, the newest commit and the one that was newest N days ago;
when they are the same nothing landed. Uses the standard library alone.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

DAY = 24 * 60 * 60


class Range(NamedTuple):
    """What to compare; nothing landed when both are the same."""

    base: str
    head: str

    def outputs(self) -> str:
        landed = "true" if self.base != self.head else "false"
        return f"base={self.base}\nhead={self.head}\nlanded={landed}"


def landed(repository: Path, since: int) -> Range:
    """What the checked-out branch gained after `since`, in seconds since 1970.

    A commit counts from when it was merged, not from when it was written. In a repository younger than that
    the first commit is the one to compare with.
    """
    head = _git(repository, "rev-parse", "HEAD")
    earlier = _git(repository, "rev-list", "-1", "--first-parent", f"--min-age={since}", "HEAD")
    return Range(
        earlier or _git(repository, "rev-list", "--max-parents=0", "HEAD").splitlines()[-1], head
    )


def _git(repository: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.landed", description=__doc__)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--base", default="")
    parser.add_argument("--head", default="")
    options = parser.parse_args()
    if options.base and options.head:
        found = Range(options.base, options.head)
    else:
        found = landed(Path.cwd(), int(time.time()) - options.days * DAY)
    print(found.outputs())
    return 0


if __name__ == "__main__":
    sys.exit(main())
