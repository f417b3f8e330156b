"""Verify a downloaded release with `caracal release verify`, against Sigstore's present trust root.

Usage: REPOSITORY=URL VERSION=vX.Y.Z [COMMIT=SHA] python -m tools.verify_release DIR

It needs the network for the trust root, and for nothing else.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sigstore.models import ClientTrustConfig


def command(folder: str, trust_root: Path, expected: Mapping[str, str]) -> Sequence[str]:
    """The command that users have, with nothing left unchecked."""
    commit = expected.get("COMMIT", "")
    return [
        str(Path(sys.executable).parent / "caracal"), "release", "verify", folder,
        "--trust-root", str(trust_root),
        "--repository", expected["REPOSITORY"],
        "--version", expected["VERSION"].removeprefix("v"),
        *(["--commit", commit] if commit else []),
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
        return subprocess.run(command(folder, root, os.environ), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
