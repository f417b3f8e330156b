"""Archives of which every byte follows from what is put in."""

import gzip
import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from io import BytesIO

GZIP_LEVEL = 4


class Kind(Enum):
    FILE = tarfile.REGTYPE
    FOLDER = tarfile.DIRTYPE
    LINK = tarfile.SYMTYPE


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a folder or a symbolic link of a tar archive.

    Attributes:
        path: without a leading slash or dot.
        target: where a link points.
        owner: the numeric user and group.
    """

    path: str
    kind: Kind = Kind.FILE
    data: bytes = b""
    mode: int = 0o644
    owner: int = 0
    target: str = ""


def folder(path: str, mode: int = 0o755, owner: int = 0) -> Entry:
    return Entry(path, Kind.FOLDER, mode=mode, owner=owner)


def link(path: str, target: str) -> Entry:
    return Entry(path, Kind.LINK, mode=0o777, target=target)


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """Sort by path, add the folders that are missing; the last entry of a path wins."""
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = folder(parent)
            parent = parent.rpartition("/")[0]
    return [found[path] for path in sorted(found)]


def tar(entries: Iterable[Entry], epoch: int) -> bytes:
    """A tar archive of the entries, in the order given."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.type, member.mode, member.mtime = entry.kind.value, entry.mode, epoch
            member.uid = member.gid = entry.owner
            member.linkname, member.size = entry.target, len(entry.data)
            archive.addfile(member, BytesIO(entry.data))
    return buffer.getvalue()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, GZIP_LEVEL, mtime=0)


def zipped(files: Mapping[str, bytes], epoch: int) -> bytes:
    """A zip archive, sorted, nothing compressed: what it carries is compressed already."""
    stamp = datetime.fromtimestamp(epoch, UTC)
    moment = (stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, moment)
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
