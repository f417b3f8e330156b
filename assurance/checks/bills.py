"""The bills of materials of what is really built."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import msgspec
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker
from spdx_tools.spdx.parser.error import SPDXParsingError
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from assurance.checks import NotRunHere
from assurance.checks.images import archive
from assurance.checks.reproducible import DOWNLOADS, NO_WHEELS
from assurance.locks import FOLDER, read_lock
from distribution.debian import LOCK
from distribution.debian import read_lock as read_debian_lock

STAMP = "2026-01-01T00:00:00Z"
ELSEWHERE = "win32"
IMAGE = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "python_version": "3.13",
    "python_full_version": "3.13.0",
}

Pair = tuple[str, str]
"""A component's name and version."""


def artifacts_are_described(root: Path) -> Sequence[str]:
    """Wheel, sdist, command line and chart, built now, have two valid bills each, of the locked set."""
    with tempfile.TemporaryDirectory(prefix="caracal-bills-") as folder:
        dist = _build(root, Path(folder) / "dist")
        fixed = _locked(root)
        every = {pair for lock in ("cli", "image") for pair, _ in fixed[lock]}
        here = {pair for pair, marker in fixed["cli"] if ELSEWHERE not in marker}
        expected = {".whl": every, ".tar.gz": every, ".pyz": here | {_own(dist)}, ".tgz": set()}
        return [
            *_unlike(dist),
            *(
                finding
                for suffix, components in expected.items()
                for finding in differences(dist, f"*{suffix}", components)
            ),
        ]


def images_are_described(root: Path) -> Sequence[str]:
    """Each built image has two valid bills, of exactly the locked Debian packages and distributions."""
    images = archive(root)
    with tempfile.TemporaryDirectory(prefix="caracal-bills-") as folder:
        dist = _build(root, Path(folder) / "dist", images)
        packages = {(one.name, one.version) for one in read_debian_lock(root / LOCK).package}
        here = {
            pair
            for pair, marker in _locked(root)["image"]
            if not marker or Marker(marker).evaluate(dict(IMAGE))
        }
        names = [one["name"] for one in _manifest(dist)["images"]]
        wrong = _unlike(dist)
        for name in names:
            wrong += differences(dist, f"images.{name}", packages | here | {_own(dist)})
        return [*wrong, *(() if names else ("no image was built",))]


def _build(root: Path, into: Path, *images: Path) -> Path:
    """Build with the tree's own code.

    Raises:
        NotRunHere: the wheels can not be had.
        RuntimeError: the tree does not build.
    """
    words = [sys.executable, "-m", "assurance.built", root, into, DOWNLOADS, *images]
    ran = subprocess.run(
        list(map(str, words)),
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "src")))},
        capture_output=True,
        text=True,
        check=False,
    )
    if NO_WHEELS in ran.stderr:
        raise NotRunHere(ran.stderr.strip().rpartition("\n")[2])
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip().rpartition("\n")[2])
    return into


def _locked(root: Path) -> Mapping[str, list[tuple[Pair, str]]]:
    """What the locks name, with the platforms they name it for."""
    return {
        lock: [
            ((pin.name, pin.version), pin.marker)
            for pin in read_lock(root, root / FOLDER / f"{lock}.txt")
        ]
        for lock in ("cli", "image")
    }


def _manifest(dist: Path) -> dict[str, list[dict[str, str]]]:
    return msgspec.json.decode((dist / "release.json").read_bytes(), type=dict, strict=False)


def _own(dist: Path) -> Pair:
    return ("caracal", str(_manifest(dist)["version"]))


def _unlike(dist: Path) -> list[str]:
    """What is not the same when it is written again."""
    again = dist.with_name(f"{dist.name}-again")
    return [
        f"{file.name} differs when it is written again"
        for file in sorted(dist.iterdir())
        if file.read_bytes() != (again / file.name).read_bytes()
    ]


def differences(dist: Path, pattern: str, expected: set[Pair]) -> Iterator[str]:
    for suffix, read in ((".cdx.json", _cyclonedx), (".spdx.json", _spdx)):
        found = list(dist.glob(f"{pattern}{suffix}"))
        if len(found) != 1:
            yield f"there is no {pattern}{suffix}"
            continue
        if STAMP not in found[0].read_text():
            yield f"{found[0].name} does not have the time stamp of the source"
        yield from read(found[0], expected)


def _cyclonedx(file: Path, expected: set[Pair]) -> Iterator[str]:
    invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text())
    if invalid is not None:
        yield f"{file.name} is not valid CycloneDX 1.6: {invalid.data.message}"
        return
    document = json.loads(file.read_text())
    if document["specVersion"] != "1.6":  # which the schema leaves open
        yield f"{file.name} is not valid CycloneDX 1.6: it says {document['specVersion']}"
    purls = [one.get("purl", "") for one in document.get("components", ())]
    yield from _differing(file.name, purls, expected)


def _spdx(file: Path, expected: set[Pair]) -> Iterator[str]:
    try:
        document = parse_file(str(file))
    except SPDXParsingError as fault:
        yield f"{file.name} is not SPDX: {fault.messages[0]}"
        return
    for message in validate_full_spdx_document(document, "SPDX-2.3")[:1]:
        yield f"{file.name} is not valid SPDX 2.3: {message.validation_message}"
    roots = {
        one.related_spdx_element_id
        for one in document.relationships
        if one.relationship_type.name == "DESCRIBES"
    }
    purls = [
        reference.locator
        for package in document.packages
        if package.spdx_id not in roots
        for reference in package.external_references
    ]
    yield from _differing(file.name, purls, expected)


def _differing(name: str, purls: list[str], expected: set[Pair]) -> Iterator[str]:
    named = [_pair(purl) for purl in purls]
    for pair in sorted(set(named) - expected):
        yield f"{name} names {pair[0]} {pair[1]}, which no lock does"
    for pair in sorted(expected - set(named)):
        yield f"{name} does not name {pair[0]} {pair[1]}"
    if len(set(named)) != len(named):
        yield f"{name} names a component twice"


def _pair(purl: str) -> Pair:
    name, _, version = purl.partition("?")[0].rpartition("/")[2].partition("@")
    return unquote(name), unquote(version)
