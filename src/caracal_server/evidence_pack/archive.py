"""The file: a zip archive of named members, read within bounds and never unpacked onto a disk."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from caracal_server.evidence_pack.faults import PackFault

MAX_MEMBERS = 1_000
MAX_SMALL_BYTES = 64 * 1024 * 1024
"""The largest member that is read into memory; evidence is read line by line."""

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._\-]{0,199}/)?[A-Za-z0-9][A-Za-z0-9._\-]{0,199}")
_UNREADABLE = (
    KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError,
)  # fmt: skip
"""What a damaged or encrypted archive, or one of an unknown method, makes the library raise."""

_MADE = (1980, 1, 1, 0, 0, 0)


def write(stream: BinaryIO, members: Mapping[str, bytes | Path]) -> None:
    """Write members in the order of their names; the same members give the same bytes."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(members):
            content = members[name]
            place = zipfile.ZipInfo(name, _MADE)
            place.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(place, "w", force_zip64=True) as target:
                for piece in _pieces(content):
                    target.write(piece)


def digest_of(content: bytes | Path) -> str:
    """SHA-256 of a member, in hexadecimal digits."""
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while piece := source.read(1024 * 1024):
            yield piece


class Archive:
    """An opened pack."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        names = archive.namelist()
        if len(names) > MAX_MEMBERS or len(set(names)) != len(names):
            raise PackFault("it has too many files, or two of one name")
        for name in names:
            if _NAME.fullmatch(name) is None:
                raise PackFault(f"a file in it has no acceptable name: {name[:80]!r}")
        self._archive = archive
        self.names = frozenset(names)

    def read(self, name: str) -> bytes:
        """Read a small member whole.

        Raises:
            PackFault: it is not there, is damaged or is too large.
        """
        if name not in self.names:
            raise PackFault(f"{name} is missing")
        with self.stream(name) as source:
            content = source.read(MAX_SMALL_BYTES + 1)
        if len(content) > MAX_SMALL_BYTES:
            raise PackFault(f"{name} is larger than {MAX_SMALL_BYTES} bytes")
        return content

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """Read a member piece by piece.

        Raises:
            PackFault: it is not there or is damaged.
        """
        try:
            with self._archive.open(name) as source:
                yield source  # type: ignore[misc]  # it reads and iterates as a binary file does
        except _UNREADABLE as fault:
            raise PackFault(f"{name} can not be read: {type(fault).__name__}") from None

    def digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.stream(name) as source:
            while piece := source.read(1024 * 1024):
                digest.update(piece)
        return digest.hexdigest()


@contextmanager
def open_archive(file: Path) -> Iterator[Archive]:
    """Open a pack.

    Raises:
        PackFault: it is not one.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as fault:
        raise PackFault(f"it is no pack: {type(fault).__name__}") from None
    with archive:
        yield Archive(archive)
