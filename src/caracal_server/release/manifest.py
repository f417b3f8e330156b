"""`release.json`: what a release says it is made of (docs/releases.md)."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

import msgspec

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal, ReleaseRefused
from caracal_server.release.sums import Release, is_plain_path
from caracal_server.release.versions import order

MANIFEST = "release.json"
MAX_MANIFEST_BYTES = 1024 * 1024

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Kind(StrEnum):
    """What an artifact is."""

    WHEEL = "wheel"
    SDIST = "sdist"
    CLI = "cli"
    CONSOLE = "console"
    IMAGES = "images"
    CHART = "chart"
    SBOM = "sbom"


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a release; `size` in bytes."""

    name: str
    kind: Kind
    sha256: str
    size: int


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One container image: the digest of its manifest, and the OCI archive that holds it."""

    name: str
    platform: str
    digest: str
    archive: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release as it describes itself; `epoch` in seconds since 1970."""

    format: Literal["caracal-release/1"]
    version: str
    commit: str
    epoch: int
    artifacts: tuple[Artifact, ...]
    images: tuple[Image, ...]


def read_manifest(release: Release) -> Manifest:
    """Read the manifest.

    Raises:
        ReleaseRefused: it is missing, malformed, or of another format.
    """
    return parse_manifest(release.read(MANIFEST))


def parse_manifest(raw: bytes) -> Manifest:
    """Parse a manifest, and refuse every field it should not have.

    Raises:
        ReleaseRefused: it is malformed, or of another format.
    """
    manifest = decode(raw[:MAX_MANIFEST_BYTES], Manifest, MANIFEST)
    order(manifest.version)
    if not _COMMIT.fullmatch(manifest.commit):
        raise ReleaseRefused(Reason.MALFORMED, MANIFEST, "the commit is not 40 hexadecimal digits")
    names = [one.name for one in manifest.artifacts]
    if len(set(names)) != len(names) or not all(map(is_plain_path, names)):
        raise ReleaseRefused(Reason.MALFORMED, MANIFEST, "a file's name is used twice, or is none")
    archives = {one.name for one in manifest.artifacts if one.kind is Kind.IMAGES}
    for image in manifest.images:
        if not _DIGEST.fullmatch(image.digest) or image.archive not in archives:
            raise ReleaseRefused(
                Reason.MALFORMED, image.name, f"{MANIFEST} does not say which image it is"
            )
    return manifest


def compare(manifest: Manifest, release: Release) -> Iterator[Refusal]:
    """Yield where the manifest and `SHA256SUMS` do not say the same."""
    stated = {one.name: one for one in manifest.artifacts}
    for name, one in stated.items():
        listed = release.listed.get(name)
        path = release.root / name
        if listed is None:
            yield Refusal(Reason.MANIFEST_DISAGREES, name, "SHA256SUMS does not list it")
        elif listed != one.sha256:
            yield Refusal(Reason.MANIFEST_DISAGREES, name, "SHA256SUMS lists another digest")
        elif path.is_file() and path.stat().st_size != one.size:
            yield Refusal(Reason.MANIFEST_DISAGREES, name, f"its size is not {one.size}")
    opened = {image.archive for image in manifest.images}
    for name, one in stated.items():
        if one.kind is Kind.IMAGES and name not in opened:
            yield Refusal(Reason.MANIFEST_DISAGREES, name, "no image is said to be in it")
    for name in sorted(set(release.listed) - set(stated) - {MANIFEST}):
        yield Refusal(Reason.MANIFEST_DISAGREES, name, f"{MANIFEST} does not name it")
