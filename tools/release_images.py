"""The images of a release, where they are published: list, unpack, push and compare.

Usage: python -m tools.release_images list RELEASE REGISTRY          (as outputs of a workflow's step)
       python -m tools.release_images unpack RELEASE FOLDER
       python -m tools.release_images push RELEASE REGISTRY IMAGE    (needs skopeo, logged in)
       python -m tools.release_images compare RELEASE REGISTRY       (needs skopeo)

What counts is `release.json` (docs/releases.md). Uses the standard library alone.
"""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Image(NamedTuple):
    """An image, by the digest that the release states, and its bill of materials."""

    name: str
    digest: str
    repository: str
    reference: str
    tag: str
    archive: str
    bill: str


class Bill(NamedTuple):
    """A file of a release, and its bill of materials."""

    subject: str
    bill: str


def images(release: Path, registry: str) -> Iterator[Image]:
    """Yield what a release publishes to a registry, whose names are in lower case."""
    manifest = json.loads((release / "release.json").read_text(encoding="utf-8"))
    for one in manifest["images"]:
        repository = f"{registry}/{one['name']}".lower()
        yield Image(
            name=one["name"],
            digest=one["digest"],
            repository=repository,
            reference=f"{repository}@{one['digest']}",
            tag=f"{repository}:{manifest['version']}",
            archive=one["archive"],
            bill=f"{one['archive'].removesuffix('.tar')}.{one['name']}.cdx.json",
        )


def bills(release: Path) -> Iterator[Bill]:
    """Yield each file of a release that has a bill of materials of its own."""
    manifest = json.loads((release / "release.json").read_text(encoding="utf-8"))
    for one in manifest["artifacts"]:
        if one["kind"] not in {"sbom", "images"}:
            yield Bill(one["name"], f"{one['name']}.cdx.json")


def outputs(release: Path, registry: str) -> str:
    """Render both lists for the jobs that come after."""
    listed = json.dumps([one._asdict() for one in images(release, registry)])
    described = json.dumps([one._asdict() for one in bills(release)])
    return f"images={listed}\nsboms={described}"


def unpack(release: Path, folder: Path) -> None:
    """Unpack the images' archives into one OCI layout each scanner can read by digest."""
    for archive in sorted({one.archive for one in images(release, "")}):
        with tarfile.open(release / archive) as opened:
            opened.extractall(folder, filter="data")


def push(release: Path, registry: str, name: str) -> Iterator[str]:
    """Push an image as it was built, unless its tag already stands for another one."""
    [image] = [one for one in images(release, registry) if one.name == name]
    present = _digest(image.tag)
    if present not in {"", image.digest}:
        yield f"{image.tag} is {present} already, and a version is published once"
        return
    source = f"oci-archive:{release / image.archive}:{image.name}"
    subprocess.run(
        ["skopeo", "copy", "--preserve-digests", source, f"docker://{image.tag}"], check=True
    )
    yield from _differing(image)


def compare(release: Path, registry: str) -> Iterator[str]:
    """Yield each image that the registry does not serve as the release states it."""
    published = list(images(release, registry))
    if not published:
        yield "the release has no images"
    for image in published:
        yield from _differing(image)


def _differing(image: Image) -> Iterator[str]:
    served = _digest(image.tag)
    if served != image.digest:
        yield f"{image.tag} is {served or 'not there'}, and the release says {image.digest}"


def _digest(reference: str) -> str:
    """What a registry says is behind a reference; empty when nothing is."""
    ran = subprocess.run(
        ["skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{reference}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.stdout.strip() if ran.returncode == 0 else ""


def main() -> int:
    match sys.argv[1:]:
        case ["list", release, registry]:
            print(outputs(Path(release), registry))
            return 0
        case ["unpack", release, folder]:
            unpack(Path(release), Path(folder))
            return 0
        case ["push", release, registry, name]:
            found = list(push(Path(release), registry, name))
        case ["compare", release, registry]:
            found = list(compare(Path(release), registry))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    print("\n".join(found) if found else "as the release states it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
