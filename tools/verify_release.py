"""Verify a downloaded release with `caracal release verify`, against Sigstore's present trust root.

Usage: REPOSITORY=URL VERSION=vX.Y.Z python -m tools.verify_release DIR     (needs the network for the root)
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sigstore.models import ClientTrustConfig


def command(folder: str, trust_root: Path, repository: str, version: str) -> Sequence[str]:
    """The command that users have, with nothing left unchecked."""
    return [
        str(Path(sys.executable).parent / "caracal"), "release", "verify", folder,
        "--trust-root", str(trust_root),
        "--repository", repository,
        "--version", version.removeprefix("v"),
    ]  # fmt: skip


def write_trust_root(file: Path, *, offline: bool = False) -> None:
    """Write what Sigstore's own repository says now; offline, what the library came with."""
    config = ClientTrustConfig.production(offline=offline)
    file.write_text(config._inner.trusted_root.to_json(), encoding="utf-8")  # noqa: SLF001 (no other way to write it)


def main() -> int:
    [folder] = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "trusted_root.json"
        write_trust_root(root)
        run = command(folder, root, os.environ["REPOSITORY"], os.environ["VERSION"])
        return subprocess.run(run, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
