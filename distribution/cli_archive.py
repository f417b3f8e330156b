"""The command line in one file that needs nothing but Python: locked wheels, and what unpacks them.

A zip archive that Python runs can not load compiled modules from inside itself, so `cli_start.py` unpacks
the wheels for the Python at hand. The wheels lie in it as the index served them, so that anybody can hold
them against the lock.
"""

import json
import zipfile
from pathlib import Path

from distribution.faults import CannotBuild
from distribution.packed import sha256, zipped
from distribution.source import Source
from distribution.wheels import fetch

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINE = "x86_64"
LOCK = "requirements/cli.txt"
SHEBANG = b"#!/usr/bin/env python3\n"


def build(source: Source, wheel: Path, cache: Path, into: Path) -> Path:
    """Build the archive for Linux.

    Raises:
        CannotBuild: a wheel can not be had, or can not be unpacked by itself.
    """
    wheels = {python: [*_locked(source, python, cache), wheel] for python in PYTHONS}
    content = {file.name: file.read_bytes() for files in wheels.values() for file in files}
    about = {
        "version": source.version,
        "platform": f"linux-{MACHINE}",
        "pythons": {python: sorted(file.name for file in wheels[python]) for python in PYTHONS},
        "wheels": {name: sha256(data) for name, data in content.items()},
    }
    start = source.root / "distribution/cli_start.py"
    files = {"__main__.py": start.read_bytes(), "about.json": _json(about)}
    files |= {f"wheels/{name}": data for name, data in content.items()}
    files |= {f"contents/{python}.json": _json(_contents(wheels[python])) for python in PYTHONS}
    archive = into / f"caracal-{source.version}-linux-{MACHINE}.pyz"
    archive.write_bytes(SHEBANG + zipped(files, source.epoch))
    archive.chmod(0o755)
    return archive


def _locked(source: Source, python: str, cache: Path) -> list[Path]:
    return fetch(source.root / LOCK, python, MACHINE, cache)


def _contents(wheels: list[Path]) -> dict[str, str]:
    """The sum of every file that unpacking the wheels into one folder leaves there."""
    contents: dict[str, str] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                first, _, below = member.filename.partition("/")
                if first.endswith(".data"):
                    if below.startswith(("purelib/", "platlib/")):
                        raise CannotBuild(f"{wheel.name} can not just be unpacked")
                    continue
                if not member.is_dir():
                    contents[member.filename] = sha256(archive.read(member))
    return contents


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, indent=0).encode()
