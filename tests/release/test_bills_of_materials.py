"""Every artifact has two bills of materials: valid, reproducible, and complete against the locks and the contents."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from assurance.checks.bills import differences
from caracal_server.release import bom
from caracal_server.release.contents import in_image, in_zip
from caracal_server.release.findings import ReleaseRefused
from caracal_server.release.manifest import Kind
from caracal_server.release.oci import OciArchive
from distribution.bills import write_bills
from distribution.faults import CannotBuild
from distribution.locked import locked
from tests.support.release import EPOCH, VERSION, LocalRelease, build

ROOT = Path(__file__).parents[2]
OUTSIDE = {"pkg:pypi/httpx@0.28.1", "pkg:pypi/typing-extensions@4.16.0"}
OWN = {f"pkg:pypi/caracal@{VERSION}"}
ZLIB = {"pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1?arch=amd64"}


def bills(release: LocalRelease, suffix: str) -> list[Path]:
    return sorted(release.dist.glob(f"*{suffix}"))


def purls(release: LocalRelease, stem: str) -> set[str]:
    document = json.loads((release.dist / f"{stem}.cdx.json").read_text())
    return {one["purl"] for one in document["components"]}


def test_every_cyclonedx_bill_is_valid_against_the_schema(release: LocalRelease):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    files = bills(release, ".cdx.json")
    assert len(files) == 6
    for file in files:
        assert validator.validate_str(file.read_text()) is None
    broken = files[0].read_text().replace('"version": 1', '"version": "one"')
    assert validator.validate_str(broken) is not None


def test_every_spdx_bill_is_valid_by_the_reference_parser(release: LocalRelease):
    files = bills(release, ".spdx.json")
    assert len(files) == 6
    for file in files:
        assert validate_full_spdx_document(parse_file(str(file))) == []


def test_bills_are_the_same_bytes_for_the_same_artifacts(tmp_path: Path):
    releases = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        releases.append(build(tmp_path / name))
    for suffix in (".cdx.json", ".spdx.json"):
        one, other = ({file.name: file.read_bytes() for file in bills(r, suffix)} for r in releases)
        assert one == other
    assert "2026-01-01T00:00:00Z" in bills(releases[0], ".cdx.json")[0].read_text()
    assert EPOCH == 1767225600


def test_an_image_is_described_by_the_packages_and_distributions_inside_it(release: LocalRelease):
    stem = f"caracal-{VERSION}-images-linux-amd64.gateway"
    assert purls(release, stem) == OUTSIDE | OWN | ZLIB


def test_the_archive_of_the_command_line_is_described_by_what_is_inside_it(release: LocalRelease):
    assert purls(release, release.path(Kind.CLI).name) == OUTSIDE | OWN


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.SDIST])
def test_a_package_is_described_by_what_the_locks_fix_on_any_platform(
    release: LocalRelease, kind: Kind
):
    assert purls(release, release.path(kind).name) == OUTSIDE | {"pkg:pypi/colorama@0.4.6"}


@pytest.mark.parametrize("lock", ["requirements/cli.txt", "requirements/image.txt"])
@pytest.mark.parametrize(
    "change", [("httpx==0.28.1", "httpx==0.28.2"), ("httpx==0.28.1", "extra==1")]
)
def test_an_artifact_that_is_not_what_its_lock_says_is_not_described(
    release: LocalRelease, tmp_path: Path, lock: str, change: tuple[str, str]
):
    file = release.source / lock
    file.write_text(file.read_text().replace(*change))
    manifest = release.manifest
    without = tuple(one for one in manifest.artifacts if one.kind is not Kind.SBOM)
    elsewhere = tmp_path / "copy"
    shutil.copytree(release.dist, elsewhere)
    with pytest.raises(CannotBuild, match="differ by"):
        write_bills(elsewhere, msgspec.structs.replace(manifest, artifacts=without), release.source)


def test_what_is_inside_is_what_the_locks_fix(release: LocalRelease):
    """Read apart from the bills: the contents and the locks are the same set."""
    inside = in_zip(release.path(Kind.CLI))
    fixed = locked(Kind.CLI, release.source, VERSION)
    assert {one.purl for one in inside} == {one.purl for one in fixed}
    image = release.manifest.images[0]
    with OciArchive(release.path(Kind.IMAGES)) as archive:
        inside = in_image(archive, image.digest)
    fixed = locked(Kind.IMAGES, release.source, VERSION)
    assert {one.purl for one in inside} == {one.purl for one in fixed}


def test_the_locks_of_this_repository_are_read_whole():
    """Each lock line that pins a distribution is a component: nothing is skipped."""
    for lock in ("cli", "image"):
        text = (ROOT / f"requirements/{lock}.txt").read_text()
        pinned = {
            line.split("==")[0] for line in text.splitlines() if "==" in line.split("--hash")[0]
        }
        named = {one.name for one in locked(Kind.WHEEL, ROOT, VERSION)}
        assert pinned <= named


READERS = (bom.parse_cyclonedx, bom.parse_spdx)


@given(raw=st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_what_is_no_bill_is_refused_and_nothing_else_happens(raw: bytes):
    for read in READERS:
        with pytest.raises(ReleaseRefused):
            read(raw)


def test_the_check_finds_what_a_bill_leaves_out(release: LocalRelease):
    """What `assurance` runs over what is really built, shown a bill that names too few and one that is not valid."""
    stem = "caracal-1.2.3-images-linux-amd64.gateway"
    inside = {("httpx", "0.28.1"), ("typing-extensions", "4.16.0"), ("caracal", VERSION)}
    inside |= {("zlib1g", "1:1.3.dfsg+really1.3.1-1")}
    assert list(differences(release.dist, stem, inside)) == []
    more = [*differences(release.dist, stem, inside | {("openssl", "3")})]
    assert [text.partition(" ")[2] for text in more] == ["does not name openssl 3"] * 2
    for suffix, old, new in (
        (".cdx.json", '"specVersion": "1.6"', '"specVersion": "6.1"'),
        (".cdx.json", '"type": "container"', '"type": "vessel"'),
        (".spdx.json", '"SPDX-2.3"', '"SPDX-9"'),
    ):
        file = release.dist / f"{stem}{suffix}"
        good = file.read_text()
        file.write_text(good.replace(old, new))
        assert any("is not valid" in text for text in differences(release.dist, stem, inside))
        file.write_text(good)
