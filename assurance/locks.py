"""Lock files: what pip is told to install, read with a grammar that admits nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

FOLDER: Final = "requirements"

_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._,-]+\])?==(?P<version>[^\s;\\]+)"
    r"(?:\s*;\s*(?P<marker>[^\\]*?))?"
    r"(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})*)"
)


class LockFault(Exception):
    """A lock file is absent, empty, or says something other than pinned, hashed names."""


class Pin(msgspec.Struct, frozen=True):
    """One locked distribution.

    Attributes:
        lock: the file, such as `tools/semgrep`.
        name: as the index compares it, such as `ruamel-yaml`.
        marker: on which platforms it is installed; empty means on all.
        hashes: how many files it may be.
    """

    lock: str
    name: str
    version: str
    marker: str
    hashes: int


def locks(root: Path) -> tuple[tuple[Pin, ...], ...]:
    """Read every lock file of the tree.

    Raises:
        LockFault: there is none, or one is not a lock.
    """
    files = sorted((root / FOLDER).rglob("*.txt"))
    if not files:
        raise LockFault(f"{FOLDER}/ holds no lock")
    return tuple(read_lock(root, file) for file in files)


def pins(root: Path) -> tuple[Pin, ...]:
    """Every entry of every lock file."""
    return tuple(pin for lock in locks(root) for pin in lock)


def read_lock(root: Path, file: Path) -> tuple[Pin, ...]:
    """Read one lock file.

    Raises:
        LockFault: it is empty, or a line is not a pinned name with its SHA-256 hashes.
    """
    lock = file.relative_to(root / FOLDER).with_suffix("").as_posix()
    found = tuple(_entries(lock, file.read_text(encoding="utf-8")))
    if not found:
        raise LockFault(f"{FOLDER}/{lock}.txt locks nothing")
    return found


def _entries(lock: str, text: str) -> Iterator[Pin]:
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        entry = _ENTRY.fullmatch(stripped)
        if entry is None:
            raise LockFault(
                f"{FOLDER}/{lock}.txt: not a pinned name with hashes: {stripped[:60]!r}"
            )
        yield Pin(
            lock,
            canonicalize_name(entry["name"]),
            entry["version"],
            (entry["marker"] or "").strip(),
            entry["hashes"].count("--hash="),
        )
