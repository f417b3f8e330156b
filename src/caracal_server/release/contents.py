"""What an archive or an image really holds: the Python distributions and Debian packages inside it."""

import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from email.parser import HeaderParser
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import msgspec

from caracal_server.release.findings import Reason, ReleaseRefused
from caracal_server.release.oci import OciArchive

MAX_METADATA_BYTES = 4 * 1024 * 1024
MAX_WHEEL_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 3

_METADATA = re.compile(r"(?:^|/)[^/]+\.dist-info/METADATA$")
_DPKG = re.compile(r"(?:^|/)var/lib/dpkg/(?:status|status\.d/[^/]+)$")
_SUMS_OF_DPKG = ".md5sums"


class Component(msgspec.Struct, frozen=True, order=True):
    """Something that was made elsewhere, named by its package URL; `licence` as its maker declares it."""

    purl: str
    name: str
    version: str
    licence: str = ""


def normalise(name: str) -> str:
    """Write a distribution's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_component(name: str, version: str, licence: str = "") -> Component:
    """Name a Python distribution."""
    plain = normalise(name)
    return Component(f"pkg:pypi/{plain}@{quote(version, safe='.')}", plain, version, licence)


def debian_component(name: str, version: str, architecture: str) -> Component:
    """Name a Debian package."""
    at = quote(version, safe=".~")
    return Component(f"pkg:deb/debian/{quote(name)}@{at}?arch={architecture}", name, version)


def in_zip(path: Path) -> frozenset[Component]:
    """Read which distributions a zip archive holds.

    Raises:
        ReleaseRefused: it is not a zip archive, or what would be read of it is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(_in_zip(archive))
    except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as fault:
        raise ReleaseRefused(Reason.MALFORMED, path.name, f"not a zip archive: {fault}") from None


def _in_zip(archive: zipfile.ZipFile, depth: int = 0) -> Iterator[Component]:
    """Yield what lies in an archive, and in the wheels that it carries."""
    for member in archive.infolist():
        name = member.filename
        if _METADATA.search(name):
            _require_size(name, member.file_size, MAX_METADATA_BYTES)
            yield _distribution(archive.read(member))
        elif name.endswith(".whl"):
            if depth == MAX_DEPTH:
                raise ReleaseRefused(Reason.MALFORMED, name, "wheels within wheels, too deep")
            _require_size(name, member.file_size, MAX_WHEEL_BYTES)
            with zipfile.ZipFile(BytesIO(archive.read(member))) as wheel:
                yield from _in_zip(wheel, depth + 1)


def _require_size(name: str, size: int, most: int) -> None:
    """Refuse what says that it is larger; `zipfile` and `tarfile` read no more of it than it says."""
    if size > most:
        raise ReleaseRefused(Reason.MALFORMED, name, f"more than {most} bytes")


def in_image(archive: OciArchive, digest: str) -> frozenset[Component]:
    """Read which distributions and packages an image holds, layer by layer.

    Raises:
        ReleaseRefused: a layer is missing or is not an archive.
    """
    found: set[Component] = set()
    for layer in archive.manifest(digest).layers:
        with archive.open(layer.digest) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r:*") as files:
                    found.update(_in_layer(files))
            except (tarfile.TarError, OSError, EOFError, zlib.error) as fault:
                raise ReleaseRefused(Reason.IMAGE_CHANGED, layer.digest, f"{fault}") from None
    return frozenset(found)


def _in_layer(files: tarfile.TarFile) -> Iterator[Component]:
    for member in files:
        name = member.name
        is_python = _METADATA.search(name) is not None
        is_debian = _DPKG.search(name) is not None and not name.endswith(_SUMS_OF_DPKG)
        read = member.isfile() and (is_python or is_debian)
        stream = files.extractfile(member) if read else None
        if stream is None:
            continue
        _require_size(name, member.size, MAX_METADATA_BYTES)
        raw = stream.read()
        if is_python:
            yield _distribution(raw)
        else:
            yield from _packages(raw)


def _distribution(raw: bytes) -> Component:
    fields = _fields(raw.decode("utf-8", "replace"))
    return python_component(
        fields.get("Name", ""), fields.get("Version", ""), fields.get("License-Expression", "")
    )


def _packages(raw: bytes) -> Iterator[Component]:
    for record in raw.decode("utf-8", "replace").split("\n\n"):
        fields = _fields(record)
        if "Package" in fields:
            yield debian_component(
                fields["Package"], fields.get("Version", ""), fields.get("Architecture", "")
            )


def _fields(text: str) -> dict[str, str]:
    return dict(HeaderParser().parsestr(text.strip("\n"), headersonly=True).items())
