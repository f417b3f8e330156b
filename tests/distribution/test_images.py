"""Archives of images, what they are made of, and what happens when it can not be had."""

import json
import tarfile
from pathlib import Path

import pytest

from assurance.checks.images import differences
from distribution import debian
from distribution.application import installed
from distribution.faults import CannotBuild
from distribution.layers import BadArchive, OpenedImage, open_archive
from distribution.oci import Image, layer, layout
from distribution.packed import Entry, sha256, tar, with_parents, zipped
from tests.distribution.conftest import ROOT
from tests.distribution.made_up import EPOCH

pytestmark = pytest.mark.timeout(300)  # the first that asks for images waits until they are built


def _archive(file: Path, *entries: Entry, name: str = "small") -> dict[str, str]:
    """Write an archive with one image of one layer; return its digests."""
    made = Image(
        name=name,
        entrypoint=("/x",),
        command=(),
        user=65532,
        ports=(8080,),
        writable=(),
        folder="/",
        layers=[layer(entries, EPOCH, "a test")],
    )
    files, digests = layout([made], EPOCH)
    file.write_bytes(
        tar(with_parents(Entry(path, data=data) for path, data in files.items()), EPOCH)
    )
    return digests


def test_an_archive_holds_what_its_index_says(tmp_path: Path):
    digests = _archive(tmp_path / "x.tar", Entry("x", data=b"1"))
    (image,) = open_archive(tmp_path / "x.tar")
    assert image.digest == digests["small"]
    assert image.config["User"] == "65532:65532"
    assert image.annotations["org.opencontainers.image.created"] == "2026-01-01T00:00:00Z"


def test_a_blob_that_was_changed_is_noticed(tmp_path: Path):
    _archive(tmp_path / "x.tar", Entry("x", data=b"1"))
    with tarfile.open(tmp_path / "x.tar") as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive if one.isreg()}
    for path in [path for path in files if path.startswith("blobs/")]:
        changed = files | {path: files[path] + b" "}
        entries = with_parents(Entry(name, data=data) for name, data in changed.items())
        (tmp_path / "y.tar").write_bytes(tar(entries, EPOCH))
        with pytest.raises(BadArchive):
            open_archive(tmp_path / "y.tar")


def test_what_no_lock_names_is_found_in_an_image(tmp_path: Path):
    record = b"Metadata-Version: 2.1\nName: smuggled\nVersion: 1\n"
    _archive(tmp_path / "x.tar", Entry("lib/smuggled-1.dist-info/METADATA", data=record))
    found = differences(tmp_path / "x.tar", ROOT)
    assert "small holds pkg:pypi/smuggled@1, which no lock names" in found
    assert any(one.startswith("small lacks pkg:pypi/cryptography@") for one in found)
    assert any(one.startswith("small lacks pkg:deb/debian/libc6@") for one in found)


def test_images_hold_exactly_what_is_locked(images: Path):
    assert differences(images, ROOT) == []


def test_images_share_their_layers_and_differ_in_what_they_run(opened: list[OpenedImage]):
    assert len({image.layers for image in opened}) == 1
    assert len({tuple(image.config["Cmd"]) for image in opened}) == len(opened)
    assert len({image.digest for image in opened}) == len(opened)


def test_compiled_modules_are_held_against_their_source(all_in_one: OpenedImage, tmp_path: Path):
    layer = tmp_path / "layer.tar"
    layer.write_bytes(all_in_one.layers[-1])
    with tarfile.open(layer) as archive:
        compiled = [one for one in archive if one.name.endswith(".pyc")]
        flags = {archive.extractfile(one).read(8)[4:] for one in compiled}
    assert compiled
    assert flags == {b"\x03\0\0\0"}  # PEP 552: by hash, and checked


def _lock(content: bytes) -> debian.DebianLock:
    package = debian.Package("small", "1", "amd64", sha256(content), "pool/main/s/small.deb")
    return debian.DebianLock("trixie", "amd64", (package,))


def test_a_package_that_is_not_as_locked_stops_the_build(tmp_path: Path):
    lock = _lock(b"as locked")
    (tmp_path / f"{lock.package[0].sha256}.deb").write_bytes(b"another")
    with pytest.raises(CannotBuild, match="is not small 1 as the lock names it"):
        debian.fetch(lock, tmp_path, ())


@pytest.mark.skipif(not debian.APT_HELPER.exists(), reason="this machine has no apt")
def test_a_mirror_with_another_package_stops_the_build(tmp_path: Path):
    mirror = tmp_path / "mirror"
    served = mirror / "pool/main/s/small.deb"
    served.parent.mkdir(parents=True)
    served.write_bytes(b"another")
    with pytest.raises(CannotBuild, match="no mirror of this machine has small 1"):
        debian.fetch(_lock(b"as locked"), tmp_path / "cache", [f"file://{mirror}"])


@pytest.mark.skipif(not debian.APT_HELPER.exists(), reason="this machine has no apt")
def test_a_package_as_locked_comes_from_the_mirror_that_has_it(tmp_path: Path):
    served = tmp_path / "mirror/pool/main/s/small.deb"
    served.parent.mkdir(parents=True)
    served.write_bytes(b"as locked")
    mirrors = [f"file://{tmp_path}/empty", f"file://{tmp_path}/mirror"]
    assert debian.fetch(_lock(b"as locked"), tmp_path / "cache", mirrors) == [b"as locked"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("evil.pth", "runs whenever Python starts"),
        ("../evil.py", "outside itself"),
        ("x-1.data/odd/file", "no place in an image"),
    ],
)
def test_a_wheel_that_wants_more_than_a_folder_is_refused(name: str, said: str, tmp_path: Path):
    wheel = tmp_path / "x-1-py3-none-any.whl"
    wheel.write_bytes(zipped({name: b""}, EPOCH))
    with pytest.raises(CannotBuild, match=said):
        list(installed([wheel]))


def test_commands_of_wheels_are_left_out(tmp_path: Path):
    wheel = tmp_path / "x-1-py3-none-any.whl"
    files = {"x.py": b"", "x-1.data/scripts/x": b"", "x-1.data/platlib/y.so": b""}
    wheel.write_bytes(zipped(files, EPOCH))
    placed = [entry.path.rpartition("/")[2] for entry in installed([wheel])]
    assert sorted(placed) == ["x.py", "y.so"]


def test_the_index_names_each_image_and_its_platform(images: Path):
    with tarfile.open(images) as archive:
        index = json.loads(archive.extractfile("index.json").read())
    for entry in index["manifests"]:
        assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
        assert entry["annotations"]["org.opencontainers.image.ref.name"]
