"""Make Debian's archives known to apt on a machine of another kind, so that images can be built there.

Usage: ARCHIVES='ADDRESS ...' python -m tools.debian_archives | sudo tee /etc/apt/sources.list.d/debian.list

Nothing is trusted for it: each package is taken by the hash in `distribution/debian.lock.toml`. Uses the
standard library alone.
"""

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

LOCK = Path(__file__).parent.parent / "distribution/debian.lock.toml"


def sources(archives: str, suite: str) -> Sequence[str]:
    """A line for each address."""
    return [f"deb {address} {suite} main" for address in archives.split()]


def main() -> int:
    lines = sources(os.environ.get("ARCHIVES", ""), tomllib.loads(LOCK.read_text())["suite"])
    if not lines:
        print("the variable DEBIAN_ARCHIVES of the repository is not set", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
