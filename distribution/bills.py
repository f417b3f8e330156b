"""A CycloneDX and an SPDX bill of materials for every file and every image of a release.

Archives and images are described by what is found inside them, a wheel and an sdist by what the locks fix.
A file whose contents are not what its lock says is not described but refused.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from caracal_server.release.bom import CYCLONEDX_SUFFIX, SPDX_SUFFIX, Described, described
from caracal_server.release.contents import Component, in_image, in_zip
from caracal_server.release.manifest import Kind, Manifest
from caracal_server.release.oci import OciArchive
from distribution import cyclonedx, spdx
from distribution.described import Subject
from distribution.faults import CannotBuild
from distribution.locked import locked


def write_bills(dist: Path, manifest: Manifest, root: Path) -> list[Path]:
    """Write the bills of every artifact that the manifest names; return the files.

    Args:
        dist: where the artifacts are, and the bills go.
        manifest: of the release, but for the bills.
        root: the tree whose locks the artifacts were built from.

    Raises:
        CannotBuild: an archive or image holds something other than its lock says.
    """
    written: list[Path] = []
    for one in described(manifest):
        subject = Subject(one.stem, one.kind, manifest.version, one.sha256, manifest.epoch)
        components = sorted(_components(one, dist, root, manifest.version))
        for suffix, render in ((CYCLONEDX_SUFFIX, cyclonedx.render), (SPDX_SUFFIX, spdx.render)):
            file = dist / f"{one.stem}{suffix}"
            file.write_text(json.dumps(render(subject, components), indent=1) + "\n")
            written.append(file)
    return written


def _components(one: Described, dist: Path, root: Path, version: str) -> Iterable[Component]:
    fixed = locked(one.kind, root, version)
    found = _inside(one, dist)
    if found is None:
        return fixed
    differing = {component.purl for component in fixed} ^ {component.purl for component in found}
    if differing:
        names = ", ".join(sorted(differing)[:5])
        raise CannotBuild(f"{one.stem} and its locks differ by {names}")
    return found


def _inside(one: Described, dist: Path) -> frozenset[Component] | None:
    if one.kind is Kind.CLI:
        return in_zip(dist / one.file)
    if one.kind is Kind.IMAGES:
        with OciArchive(dist / one.file) as archive:
            return in_image(archive, f"sha256:{one.sha256}")
    return None
