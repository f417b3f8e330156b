"""Bills of materials: CycloneDX 1.6 and SPDX 2.3, read and held against what they describe."""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from caracal_server.release.contents import Component, in_image, in_zip
from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal, ReleaseRefused
from caracal_server.release.manifest import Kind, Manifest
from caracal_server.release.oci import OciArchive
from caracal_server.release.sums import Release

CYCLONEDX_SUFFIX = ".cdx.json"
SPDX_SUFFIX = ".spdx.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Described(msgspec.Struct, frozen=True):
    """A file or image with a bill of materials: how the bill's files begin, and what it is about."""

    stem: str
    file: str
    kind: Kind
    sha256: str


class Bill(msgspec.Struct, frozen=True):
    """What a bill says, whatever its format: what it is about, and the components' package URLs."""

    sha256: str
    components: frozenset[str]


class _Hash(msgspec.Struct, frozen=True):
    alg: str
    content: str


class _CdxComponent(msgspec.Struct, frozen=True):
    name: str
    version: str
    purl: str = ""
    hashes: tuple[_Hash, ...] = ()


class _CdxMetadata(msgspec.Struct, frozen=True):
    component: _CdxComponent


class _CycloneDx(msgspec.Struct, frozen=True, rename="camel"):
    bom_format: Literal["CycloneDX"]
    spec_version: Literal["1.6"]
    metadata: _CdxMetadata
    components: tuple[_CdxComponent, ...]


class _Checksum(msgspec.Struct, frozen=True, rename="camel"):
    algorithm: str
    checksum_value: str


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    reference_type: str
    reference_locator: str


class _SpdxPackage(msgspec.Struct, frozen=True, rename="camel"):
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    version_info: str
    checksums: tuple[_Checksum, ...] = ()
    external_refs: tuple[_Reference, ...] = ()


class _Relationship(msgspec.Struct, frozen=True, rename="camel"):
    spdx_element_id: str
    relationship_type: str
    related_spdx_element: str


class _Spdx(msgspec.Struct, frozen=True, rename="camel"):
    spdx_version: Literal["SPDX-2.3"]
    data_license: Literal["CC0-1.0"]
    spdx_id: Literal["SPDXRef-DOCUMENT"] = msgspec.field(name="SPDXID")
    packages: tuple[_SpdxPackage, ...]
    relationships: tuple[_Relationship, ...]


def described(manifest: Manifest) -> Iterator[Described]:
    """Yield what a release's bills of materials must be about: every file, and every image for itself."""
    for one in manifest.artifacts:
        if one.kind not in {Kind.SBOM, Kind.IMAGES}:
            yield Described(one.name, one.name, one.kind, one.sha256)
    for image in manifest.images:
        stem = f"{image.archive.removesuffix('.tar')}.{image.name}"
        digest = image.digest.removeprefix("sha256:")
        yield Described(stem, image.archive, Kind.IMAGES, digest)


def compare(manifest: Manifest, release: Release) -> Iterator[Refusal]:
    """Yield what is wrong with a release's bills of materials."""
    expected = {one.stem: one for one in described(manifest)}
    for stem, one in expected.items():
        try:
            yield from _compare_one(stem, one, release)
        except ReleaseRefused as refused:
            yield refused.refusal
    suffixes = (CYCLONEDX_SUFFIX, SPDX_SUFFIX)
    files = {stem + suffix for stem in expected for suffix in suffixes}
    for artifact in manifest.artifacts:
        if artifact.kind is Kind.SBOM and artifact.name not in files:
            yield Refusal(
                Reason.SBOM_DISAGREES, artifact.name, "it describes nothing of this release"
            )


def _compare_one(stem: str, one: Described, release: Release) -> Iterator[Refusal]:
    for suffix in (CYCLONEDX_SUFFIX, SPDX_SUFFIX):
        if stem + suffix not in release.listed:
            raise ReleaseRefused(Reason.SBOM_MISSING, stem + suffix, "there is no such file")
    cyclonedx = parse_cyclonedx(release.read(stem + CYCLONEDX_SUFFIX))
    spdx = parse_spdx(release.read(stem + SPDX_SUFFIX))
    for bill, suffix in ((cyclonedx, CYCLONEDX_SUFFIX), (spdx, SPDX_SUFFIX)):
        if bill.sha256 != one.sha256:
            yield Refusal(Reason.SBOM_DISAGREES, stem + suffix, f"it is about sha256 {bill.sha256}")
    if cyclonedx.components != spdx.components:
        named = _differing(cyclonedx.components, spdx.components)
        yield Refusal(Reason.SBOM_DISAGREES, stem, f"only one of its two bills names {named}")
    held = _held(one, release)
    if held is not None and held != cyclonedx.components:
        named = _differing(held, cyclonedx.components)
        yield Refusal(Reason.SBOM_DISAGREES, stem, f"what is in it and its bill differ by {named}")


def _held(one: Described, release: Release) -> frozenset[str] | None:
    """The components found inside, for the kinds that carry what they are made of."""
    path = release.root / one.file
    if one.kind is Kind.CLI:
        found: frozenset[Component] = in_zip(path)
    elif one.kind is Kind.IMAGES:
        with OciArchive(path) as archive:
            found = in_image(archive, f"sha256:{one.sha256}")
    else:
        return None
    return frozenset(component.purl for component in found)


def parse_cyclonedx(raw: bytes) -> Bill:
    """Read a CycloneDX bill.

    Raises:
        ReleaseRefused: it is not one, or a component is not named by a package URL.
    """
    document = decode(raw, _CycloneDx, "SBOM")
    about = {one.alg: one.content for one in document.metadata.component.hashes}
    purls = [component.purl for component in document.components]
    return _bill(about.get("SHA-256", ""), purls)


def parse_spdx(raw: bytes) -> Bill:
    """Read an SPDX bill.

    Raises:
        ReleaseRefused: it is not one, describes not exactly one package, or leaves a package unnamed.
    """
    document = decode(raw, _Spdx, "SBOM")
    roots = {
        one.related_spdx_element
        for one in document.relationships
        if one.relationship_type == "DESCRIBES" and one.spdx_element_id == document.spdx_id
    }
    packages: Mapping[str, _SpdxPackage] = {one.spdx_id: one for one in document.packages}
    if len(roots) != 1 or not roots <= packages.keys() or len(packages) != len(document.packages):
        raise ReleaseRefused(Reason.MALFORMED, "SPDX", "it does not describe exactly one package")
    root = packages[roots.pop()]
    about = {one.algorithm: one.checksum_value for one in root.checksums}
    others = [one for one in document.packages if one is not root]
    return _bill(about.get("SHA256", ""), [_purl(one) for one in others])


def _purl(package: _SpdxPackage) -> str:
    found = [one.reference_locator for one in package.external_refs if one.reference_type == "purl"]
    return found[0] if len(found) == 1 else ""


def _bill(sha256: str, purls: list[str]) -> Bill:
    if not _SHA256.fullmatch(sha256):
        raise ReleaseRefused(
            Reason.MALFORMED, "SBOM", "it does not say by SHA-256 what it is about"
        )
    if len(set(purls)) != len(purls) or not all(purl.startswith("pkg:") for purl in purls):
        raise ReleaseRefused(Reason.MALFORMED, "SBOM", "a component is named twice, or not at all")
    return Bill(sha256, frozenset(purls))


def _differing(one: frozenset[str], other: frozenset[str]) -> str:
    names = sorted(one ^ other)
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
