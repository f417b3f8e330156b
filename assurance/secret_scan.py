"""Look for secrets in the tree, and hold what is found against a list of what is none, and why."""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from tools.repository import repository_files

LIST: Final = Path("assurance/secrets.toml")
LOCKS: Final = "requirements/*.txt"
"""Digests of files by the thousand, in a grammar without room for a secret; another check holds it."""

_PRAGMA = "detect_secrets.filters.allowlist.is_line_allowlisted"
_WORTH_A_POOL = 100


class Found(msgspec.Struct, frozen=True, order=True):
    """Something that looks like a secret.

    Attributes:
        digest: the start of its SHA-256, so that the list can name it and does not hold it.
        text: the line it stands in; never shown.
    """

    file: str
    line: int
    kind: str
    digest: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind} ({self.digest})"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings of one file that are no secrets: named one by one, or by the shape of their lines.

    Attributes:
        file: its path, or a pattern of paths.
        line: a regular expression of the whole line, without the space around it.
    """

    file: str
    reason: str
    digests: tuple[str, ...] = ()
    line: str = ""

    def covers(self, found: Found) -> bool:
        if not fnmatch(found.file, self.file):
            return False
        if self.line and re.fullmatch(self.line, found.text.strip()):
            return True
        return found.digest in self.digests


class KnownFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The committed list."""

    known: tuple[Known, ...] = ()


def read_list(root: Path) -> tuple[Known, ...]:
    """Read the list of a tree.

    Raises:
        msgspec.ValidationError, tomllib.TOMLDecodeError, OSError: it is absent or malformed.
    """
    return msgspec.convert(tomllib.loads((root / LIST).read_text()), KnownFile).known


def scan(root: Path) -> tuple[tuple[str, ...], tuple[Found, ...]]:
    """Scan every file that is, or would be, under version control; tell which, and what was found."""
    listed = [path.relative_to(root).as_posix() for path in repository_files(root)]
    names = tuple(name for name in listed if not fnmatch(name, LOCKS))
    of_file = partial(scan_one, root)
    if len(names) < _WORTH_A_POOL:
        found = list(map(of_file, names))
    else:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(of_file, names, chunksize=16))
    return names, tuple(sorted({one for several in found for one in several}))


def scan_one(root: Path, name: str) -> tuple[Found, ...]:
    """Scan one file; a remark in it that asks for leniency is not heard."""
    return tuple(_found(root / name, name))


def _found(path: Path, name: str) -> Iterator[Found]:
    with default_settings() as settings:
        settings.disable_filters(_PRAGMA)
        lines: list[str] = []
        for one in scan_file(str(path)):
            lines = lines or path.read_text(errors="replace").splitlines()
            value = one.secret_value or one.secret_hash
            digest = hashlib.sha256(value.encode()).hexdigest()[:16]
            yield Found(name, one.line_number, one.type, digest, lines[one.line_number - 1])
