"""Verify that the package index serves the wheel and the source of a release, attested by its repository.

Usage: python -m tools.published_package RELEASE REPOSITORY     (needs the network)
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def files(release: Path) -> Iterator[str]:
    """Name the files of a release that go to the package index."""
    manifest = json.loads((release / "release.json").read_text(encoding="utf-8"))
    for one in manifest["artifacts"]:
        if one["kind"] in {"wheel", "sdist"}:
            yield one["name"]


def commands(release: Path, repository: str) -> Iterator[list[str]]:
    """The attestation must hold for what is served and for what lies in the release: both are the same."""
    verify = [
        sys.executable,
        "-m",
        "pypi_attestations",
        "verify",
        "pypi",
        "--repository",
        repository,
    ]
    for name in files(release):
        yield [*verify, f"pypi:{name}"]
        yield [*verify, str(release / name)]


def main() -> int:
    release, repository = sys.argv[1:]
    ran = [
        subprocess.run(one, check=False).returncode for one in commands(Path(release), repository)
    ]
    return 0 if ran and not any(ran) else 1


if __name__ == "__main__":
    sys.exit(main())
