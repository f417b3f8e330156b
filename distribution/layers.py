"""Reading an OCI archive back, trusting nothing that its digests do not bear out."""

import gzip
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distribution.packed import sha256


class BadArchive(Exception):
    """An archive of images is not what it says."""


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image of an archive.

    Attributes:
        config: what it runs, as whom, as in the OCI specification.
        layers: uncompressed tar archives, the lowest first.
    """

    name: str
    digest: str
    config: Mapping[str, Any]
    annotations: Mapping[str, str]
    layers: tuple[bytes, ...]


def open_archive(file: Path) -> list[OpenedImage]:
    """Read every image of an archive.

    Raises:
        BadArchive: a blob is missing, or is not what its digest says.
    """
    with tarfile.open(file) as archive:
        blobs = {
            member.name: stream.read()
            for member in archive
            if (stream := archive.extractfile(member)) is not None
        }
    unpacked: dict[str, bytes] = {}
    return [
        _image(entry, blobs, unpacked) for entry in json.loads(blobs["index.json"])["manifests"]
    ]


def _image(
    entry: dict[str, Any], blobs: dict[str, bytes], unpacked: dict[str, bytes]
) -> OpenedImage:
    manifest = json.loads(_blob(blobs, entry))
    config = json.loads(_blob(blobs, manifest["config"]))
    layers = []
    for described in manifest["layers"]:
        digest = described["digest"]
        if digest not in unpacked:
            unpacked[digest] = gzip.decompress(_blob(blobs, described))
        layers.append(unpacked[digest])
    if [f"sha256:{sha256(layer)}" for layer in layers] != config["rootfs"]["diff_ids"]:
        raise BadArchive("the layers are not those that the configuration names")
    return OpenedImage(
        name=entry["annotations"]["org.opencontainers.image.ref.name"],
        digest=entry["digest"],
        config=config["config"],
        annotations=manifest["annotations"],
        layers=tuple(layers),
    )


def _blob(blobs: dict[str, bytes], described: dict[str, Any]) -> bytes:
    algorithm, _, digest = described["digest"].partition(":")
    content = blobs.get(f"blobs/{algorithm}/{digest}")
    if content is None or sha256(content) != digest or len(content) != described["size"]:
        raise BadArchive(f"a blob is missing, or is not {described['digest']}")
    return content
