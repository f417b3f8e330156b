"""What names and sums up the files of a release: the bills, `release.json` and `SHA256SUMS`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from caracal_server.release.manifest import MANIFEST, Artifact, Image, Kind, Manifest
from caracal_server.release.sums import SUMS
from distribution.bills import write_bills
from distribution.packed import sha256
from distribution.source import Source


def finish(source: Source, into: Path, built: Mapping[Path, Kind], images: Sequence[Image]) -> None:
    """Write what describes the artifacts, and then what lists everything.

    Raises:
        CannotBuild: an artifact holds something other than its lock says.
    """
    artifacts = [_artifact(file, kind) for file, kind in built.items()]
    bills = write_bills(into, _manifest(source, artifacts, images), source.root)
    artifacts += [_artifact(file, Kind.SBOM) for file in bills]
    manifest = msgspec.json.encode(_manifest(source, artifacts, images))
    listed = into / MANIFEST
    listed.write_bytes(msgspec.json.format(manifest, indent=2) + b"\n")
    sums = {one.name: one.sha256 for one in artifacts} | {MANIFEST: sha256(listed.read_bytes())}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums)]
    (into / SUMS).write_text("".join(lines))


def _manifest(source: Source, artifacts: list[Artifact], images: Sequence[Image]) -> Manifest:
    return Manifest(
        format="caracal-release/1",
        version=source.version,
        commit=source.commit,
        epoch=source.epoch,
        artifacts=tuple(sorted(artifacts, key=lambda one: one.name)),
        images=tuple(sorted(images, key=lambda one: one.name)),
    )


def _artifact(file: Path, kind: Kind) -> Artifact:
    content = file.read_bytes()
    return Artifact(file.name, kind, sha256(content), len(content))
