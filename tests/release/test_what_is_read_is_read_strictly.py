"""Sums, manifests, archives and versions come from whoever sends the release: nothing but their one form is read."""

import json
import os
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_server.release import oci, versions
from caracal_server.release.contents import (
    MAX_METADATA_BYTES,
    debian_component,
    in_zip,
    python_component,
)
from caracal_server.release.findings import Reason, ReleaseRefused
from caracal_server.release.manifest import MANIFEST, parse_manifest
from caracal_server.release.sums import is_plain_path, parse_sums, read_plain
from caracal_server.release.versions import order
from tests.support.release import LocalRelease

DIGEST = "a" * 64


@given(st.binary(max_size=300))
def test_any_bytes_are_sums_or_refused(raw: bytes):
    try:
        listed = parse_sums(raw)
    except ReleaseRefused:
        return
    assert all(is_plain_path(name) and len(digest) == 64 for name, digest in listed.items())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{DIGEST}  a\n{DIGEST}  a\n", Reason.MALFORMED),
        (f"{DIGEST}  ../a\n", Reason.MALFORMED),
        (f"{DIGEST}  /a\n", Reason.MALFORMED),
        (f"{DIGEST}  a//b\n", Reason.MALFORMED),
        (f"{DIGEST} a\n", Reason.MALFORMED),
        (f"{DIGEST.upper()}  a\n", Reason.MALFORMED),
        ("", Reason.MALFORMED),
        (f"{'a' * 40}  a\n", Reason.WRONG_ALGORITHM),
        (f"{'a' * 128}  a\n", Reason.WRONG_ALGORITHM),
        (f"{'a' * 63}  a\n", Reason.MALFORMED),
    ],
)
def test_sums_in_another_form_are_refused(text: str, reason: Reason):
    with pytest.raises(ReleaseRefused) as raised:
        parse_sums(text.encode())
    assert raised.value.refusal.reason is reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "caracal-release/2"),
        (("version",), "1.2"),
        (("version",), "01.2.3"),
        (("commit",), "HEAD"),
        (("more",), 1),
        (("artifacts", 0, "name"), "../elsewhere"),
        (("artifacts", 0, "kind"), "virus"),
        (("artifacts", 0, "more"), 1),
        (("images", 0, "digest"), "sha512:00"),
        (("images", 0, "archive"), "elsewhere.tar"),
    ],
)
def test_a_manifest_in_another_form_is_refused(
    release: LocalRelease, path: tuple[str | int, ...], value: object
):
    document = json.loads((release.dist / MANIFEST).read_text())
    parse_manifest(json.dumps(document).encode())
    *way, last = path
    place = document
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(ReleaseRefused):
        parse_manifest(json.dumps(document).encode())


def test_a_manifest_that_names_a_file_twice_is_refused(release: LocalRelease):
    document = json.loads((release.dist / MANIFEST).read_text())
    document["artifacts"].append(document["artifacts"][0])
    with pytest.raises(ReleaseRefused):
        parse_manifest(json.dumps(document).encode())


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=2, max_size=2))
def test_versions_are_ordered_by_their_numbers(pair: list[tuple[int, int, int]]):
    one, other = ("{}.{}.{}".format(*parts) for parts in pair)
    assert (order(one) < order(other)) == (pair[0] < pair[1])


def test_what_comes_before_a_release_is_older_than_it():
    named = ["1.0.0a1", "1.0.0a2", "1.0.0b1", "1.0.0rc1", "1.0.0rc10", "1.0.0", "1.0.1a1"]
    assert sorted(named, key=order) == named


def test_a_version_that_was_seen_is_kept_whole_or_not_at_all(tmp_path: Path):
    state = tmp_path / "seen.json"
    seen = versions.Seen("1.2.3", DIGEST)
    versions.remember(state, seen)
    assert versions.read_seen(state) == seen
    assert [file.name for file in tmp_path.iterdir()] == ["seen.json"]


def packed(members: dict[str, bytes], link: str = "") -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return buffer.getvalue()


EMPTY = {"oci-layout": b"{}", "index.json": b'{"manifests": []}'}


@pytest.mark.parametrize(
    "content",
    [
        packed(EMPTY | {"more": b""}),
        packed(EMPTY, link="blobs/sha256/" + DIGEST),
        packed(EMPTY | {f"blobs/sha256/{DIGEST}": b"not that"}),
        packed({"oci-layout": b"{}"}),
        packed(EMPTY | {"index.json": b"[]"}),
        packed(EMPTY | {"./index.json": b"{}"}),
    ],
)
def test_an_archive_that_holds_anything_else_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "images.tar"
    file.write_bytes(packed(EMPTY))
    assert list(oci.compare(file, ())) == []
    file.write_bytes(content)
    try:
        found = {refusal.reason for refusal in oci.compare(file, ())}
    except ReleaseRefused as refused:
        found = {refused.refusal.reason}
    assert found == {Reason.IMAGE_CHANGED}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_archive_of_images_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
):
    file = tmp_path_factory.getbasetemp() / "any.tar"
    file.write_bytes(raw)
    with pytest.raises(ReleaseRefused):
        list(oci.compare(file, ()))
    with pytest.raises(ReleaseRefused):
        in_zip(file)


def test_a_wheel_inside_an_archive_counts_with_what_is_in_it(tmp_path: Path):
    inner = BytesIO()
    with zipfile.ZipFile(inner, "w") as wheel:
        wheel.writestr("a_b-1.dist-info/METADATA", "Name: A_b\nVersion: 1\n\nName: c\n")
    with zipfile.ZipFile(tmp_path / "outer.pyz", "w") as outer:
        outer.writestr("wheels/a_b-1.whl", inner.getvalue())
    assert {one.purl for one in in_zip(tmp_path / "outer.pyz")} == {"pkg:pypi/a-b@1"}


@pytest.mark.parametrize("inside", [False, True])
def test_metadata_that_would_fill_the_memory_is_refused(tmp_path: Path, inside: bool):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-1.dist-info/METADATA", b"Name: a\n" + b" " * MAX_METADATA_BYTES)
    file = tmp_path / "large.pyz"
    file.write_bytes(buffer.getvalue())
    if inside:
        with zipfile.ZipFile(file, "w") as outer:
            outer.writestr("a-1.whl", buffer.getvalue())
    with pytest.raises(ReleaseRefused, match=f"more than {MAX_METADATA_BYTES} bytes"):
        in_zip(file)


def test_only_a_plain_file_of_the_size_allowed_is_read(tmp_path: Path):
    plain, fifo, link = tmp_path / "plain", tmp_path / "fifo", tmp_path / "link"
    plain.write_bytes(b"four")
    os.mkfifo(fifo)
    link.symlink_to(plain)
    assert read_plain(plain, 4) == b"four"
    with pytest.raises(ReleaseRefused, match="more than 3 bytes"):
        read_plain(plain, 3)
    with pytest.raises(ReleaseRefused, match="not a plain file"):
        read_plain(fifo, 4)
    with pytest.raises(OSError, match="symbolic link"):
        read_plain(link, 4)


def test_package_urls_are_written_in_one_way():
    assert python_component("Ruamel.YAML", "0.18+local").purl == "pkg:pypi/ruamel-yaml@0.18%2Blocal"
    found = debian_component("libstdc++6", "1:2~3", "amd64")
    assert found.purl == "pkg:deb/debian/libstdc%2B%2B6@1%3A2~3?arch=amd64"
