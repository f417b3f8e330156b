"""Debian packages: the lock that names them, fetching them, and reading what they hold."""

import lzma
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import msgspec

from distribution.faults import CannotBuild
from distribution.packed import Entry, Kind, sha256

LOCK = Path("distribution/debian.lock.toml")
APT_HELPER = Path("/usr/lib/apt/apt-helper")


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One package; `path` is below the archive's root, whichever mirror serves it."""

    name: str
    version: str
    architecture: str
    sha256: str
    path: str


class DebianLock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every package of the image, of one suite."""

    suite: str
    architecture: str
    package: tuple[Package, ...]


def read_lock(file: Path) -> DebianLock:
    return msgspec.convert(tomllib.loads(file.read_text()), DebianLock)


@dataclass(frozen=True, slots=True)
class Configured:
    """A source of this machine's own apt: the address below which its archive lies, and a suite."""

    address: str
    suite: str


def configured_sources() -> list[Configured]:
    """Where this machine's apt gets its packages.

    Raises:
        CannotBuild: there is no apt, or it has no source.
    """
    if not APT_HELPER.exists():
        raise CannotBuild("images need apt, and this machine has none: build in a Debian container")
    command = ["apt-get", "update", "--print-uris"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = []
    for line in printed.splitlines():
        address, separator, below = line.partition("'")[2].partition("'")[0].partition("/dists/")
        if separator:
            found.append(Configured(address, below.partition("/")[0]))
    if not found:
        raise CannotBuild("images need Debian packages, and this machine's apt has no source")
    return found


def fetch(lock: DebianLock, cache: Path, mirrors: Sequence[str]) -> list[bytes]:
    """Return every package of the lock, each of the locked hash, from the cache or a mirror.

    Raises:
        CannotBuild: a package is on no mirror any more, or another one is.
    """
    cache.mkdir(parents=True, exist_ok=True)
    return [_one(package, cache / f"{package.sha256}.deb", mirrors) for package in lock.package]


def _one(package: Package, file: Path, mirrors: Sequence[str]) -> bytes:
    for mirror in mirrors if not file.exists() else ():
        address = f"{mirror}/{quote(package.path)}"
        target = [address, str(file), f"SHA256:{package.sha256}"]
        got = subprocess.run(
            [APT_HELPER, "download-file", *target], capture_output=True, check=False
        )
        if got.returncode == 0 and file.exists():
            break
        file.unlink(missing_ok=True)
    if not file.exists():
        raise CannotBuild(
            f"no mirror of this machine has {package.name} {package.version} as the lock names it;"
            " if it was superseded: make lock-images"
        )
    content = file.read_bytes()
    if sha256(content) != package.sha256:
        raise CannotBuild(f"{file} is not {package.name} {package.version} as the lock names it")
    return content


def control(package: bytes) -> str:
    """The package's record, as dpkg keeps it."""
    with _member(package, "control.tar") as archive:
        for member in archive:
            if member.name.lstrip("./") == "control":
                return _content(archive, member).decode()
    raise CannotBuild("a package has no control file")


def contents(package: bytes) -> Iterator[Entry]:
    """The files, folders and links of a package; a hard link becomes a file of its own."""
    with _member(package, "data.tar") as archive:
        for member in archive:
            path = member.name.removeprefix(".").strip("/")
            mode = member.mode & 0o7777
            if member.isreg() or member.islnk():
                yield Entry(path, Kind.FILE, _content(archive, member), mode)
            elif member.isdir() and path:
                yield Entry(path, Kind.FOLDER, mode=mode)
            elif member.issym():
                yield Entry(path, Kind.LINK, mode=0o777, target=member.linkname)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None  # noqa: S101 (a regular file has content)
    return stream.read()


def _member(package: bytes, name: str) -> tarfile.TarFile:
    """Open one of the tar archives that a package, an `ar` archive, consists of."""
    at = len(b"!<arch>\n")
    while at < len(package):
        header, at = package[at : at + 60], at + 60
        size = int(header[48:58])
        if header[:16].decode().strip().rstrip("/") == f"{name}.xz":
            return tarfile.open(fileobj=BytesIO(lzma.decompress(package[at : at + size])))
        at += size + size % 2
    raise CannotBuild(f"a package has no {name}.xz")
