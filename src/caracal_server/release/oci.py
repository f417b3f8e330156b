"""OCI archives: every blob is what its name says, and every image what the manifest says."""

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import IO, Self, TypeVar

import msgspec

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal, ReleaseRefused
from caracal_server.release.manifest import Image

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

_CHUNK_BYTES = 1024 * 1024
_BLOBS = "blobs/sha256/"
_NAME = "org.opencontainers.image.ref.name"
_INDEX = "index.json"
_MARKER = "oci-layout"

_Document = TypeVar("_Document", bound=msgspec.Struct)


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """What one blob says of another; `size` in bytes."""

    digest: str
    size: int
    media_type: str = ""
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


class Index(msgspec.Struct, frozen=True):
    """`index.json`: the images of an archive."""

    manifests: tuple[Descriptor, ...]


class ImageManifest(msgspec.Struct, frozen=True):
    """What an image is made of: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class OciArchive:
    """An OCI archive, opened for reading.

    Raises:
        ReleaseRefused: on construction, when it is not one.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with ExitStack() as opened:
            try:
                self._tar = opened.enter_context(tarfile.open(path, "r:"))
                members = self._tar.getmembers()
            except (OSError, tarfile.TarError) as fault:
                raise self._refuse(f"not an OCI archive: {fault}") from None
            files = [one for one in members if not one.isdir()]
            self._members = {one.name.removeprefix("./"): one for one in files}
            if len(self._members) != len(files) or not all(one.isfile() for one in files):
                raise self._refuse("two members share a name, or one is no plain file")
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def blobs(self) -> frozenset[str]:
        """The digests of all blobs, as their names state them."""
        names = (name.removeprefix(_BLOBS) for name in self._members if name.startswith(_BLOBS))
        return frozenset(f"sha256:{name}" for name in names)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Members that an OCI archive does not have."""
        return tuple(
            name
            for name in self._members
            if not (name.startswith(_BLOBS) or name in {_INDEX, _MARKER})
        )

    def index(self) -> Index:
        return self._decode(_INDEX, Index)

    def manifest(self, digest: str) -> ImageManifest:
        return self._decode(_path(digest), ImageManifest)

    def open(self, digest: str) -> IO[bytes]:
        """Open a blob, not knowing yet whether it is what its name says.

        Raises:
            ReleaseRefused: there is none of that name.
        """
        return self._open(_path(digest))

    def digest(self, digest: str) -> str:
        """The digest that a blob really has."""
        found = sha256()
        with self.open(digest) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                found.update(chunk)
        return f"sha256:{found.hexdigest()}"

    def size(self, digest: str) -> int:
        member = self._members.get(_path(digest))
        return -1 if member is None else member.size

    def _open(self, name: str) -> IO[bytes]:
        member = self._members.get(name)
        stream = None if member is None else self._tar.extractfile(member)
        if stream is None:
            raise self._refuse(f"{name} is not in it")
        return stream

    def _decode(self, name: str, kind: type[_Document]) -> _Document:
        with self._open(name) as stream:
            raw = stream.read(MAX_DOCUMENT_BYTES)
        return decode(raw, kind, f"{self.name}: {name}", Reason.IMAGE_CHANGED)

    def _refuse(self, says: str) -> ReleaseRefused:
        return ReleaseRefused(Reason.IMAGE_CHANGED, self.name, says)


def _path(digest: str) -> str:
    return _BLOBS + digest.removeprefix("sha256:")


def compare(path: Path, images: Iterable[Image]) -> Iterator[Refusal]:
    """Yield what is wrong with an archive, and with the images that should be in it.

    Raises:
        ReleaseRefused: it can not be read as an OCI archive.
    """
    with OciArchive(path) as archive:
        for name in archive.strangers:
            yield Refusal(Reason.IMAGE_CHANGED, archive.name, f"{name} does not belong in it")
        for digest in sorted(archive.blobs):
            found = archive.digest(digest)
            if found != digest:
                yield Refusal(Reason.IMAGE_CHANGED, digest, f"the blob is {found}")
        yield from _compare_images(archive, tuple(images))


def _compare_images(archive: OciArchive, images: tuple[Image, ...]) -> Iterator[Refusal]:
    held = {(one.annotations.get(_NAME, ""), one.digest) for one in archive.index().manifests}
    stated = {(one.name, one.digest) for one in images}
    for name, digest in sorted(stated - held):
        yield Refusal(Reason.IMAGE_CHANGED, name, f"{digest} is not in the archive by that name")
    for name, digest in sorted(held - stated):
        yield Refusal(Reason.IMAGE_CHANGED, name, f"the manifest does not name it with {digest}")
    reached = {digest for _, digest in held}
    for digest in sorted({digest for _, digest in held & stated}):
        made_of = archive.manifest(digest)
        for part in (made_of.config, *made_of.layers):
            reached.add(part.digest)
            if archive.size(part.digest) != part.size:
                yield Refusal(Reason.IMAGE_CHANGED, digest, f"{part.digest} is missing or cut")
    for digest in sorted(archive.blobs - reached):
        yield Refusal(Reason.IMAGE_CHANGED, digest, "no image is made of this blob")
