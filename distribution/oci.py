"""Writing OCI images, in the layout of the OCI image specification 1.1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from distribution.packed import Entry, gzipped, sha256, tar, with_parents

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed tar archive, and what made it."""

    packed: bytes
    unpacked_digest: str
    made_by: str


@dataclass(frozen=True, slots=True)
class Image:
    """One image: what it runs, as whom, on which layers.

    Attributes:
        name: what it is called in the layout's index.
        writable: the paths that are meant to be mounted, absolute.
    """

    name: str
    entrypoint: Sequence[str]
    command: Sequence[str]
    user: int
    ports: Sequence[int]
    writable: Sequence[str]
    folder: str
    layers: Sequence[Layer]
    annotations: Mapping[str, str] = field(default_factory=dict)


def layer(entries: Sequence[Entry], epoch: int, made_by: str) -> Layer:
    raw = tar(with_parents(entries), epoch)
    return Layer(gzipped(raw), f"sha256:{sha256(raw)}", made_by)


def layout(images: Sequence[Image], epoch: int) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of a layout that holds the images, and the digest of each image's manifest."""
    blobs: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    entries = []
    for image in images:
        manifest = _manifest(image, epoch, blobs)
        described = _put(blobs, manifest, MANIFEST)
        digests[image.name] = str(described["digest"])
        entries.append(
            described
            | {
                "annotations": {"org.opencontainers.image.ref.name": image.name},
                "platform": {"architecture": "amd64", "os": "linux"},
            }
        )
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": _json(index)}
    return files | blobs, digests


def _manifest(image: Image, epoch: int, blobs: dict[str, bytes]) -> bytes:
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotations = {"org.opencontainers.image.created": created, **image.annotations}
    config = {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": f"{image.user}:{image.user}",
            "WorkingDir": image.folder,
            "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "ExposedPorts": {f"{port}/tcp": {} for port in image.ports},
            "Volumes": {path: {} for path in image.writable},
            "StopSignal": "SIGTERM",
            "Labels": annotations,
        },
        "rootfs": {"type": "layers", "diff_ids": [one.unpacked_digest for one in image.layers]},
        "history": [{"created": created, "created_by": one.made_by} for one in image.layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _put(blobs, _json(config), CONFIG),
        "layers": [_put(blobs, one.packed, LAYER) for one in image.layers],
        "annotations": annotations,
    }
    return _json(manifest)


def _put(blobs: dict[str, bytes], content: bytes, media_type: str) -> dict[str, object]:
    digest = sha256(content)
    blobs[f"blobs/sha256/{digest}"] = content
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
