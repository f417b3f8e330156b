"""Debian packages and archives, read and written."""

import io
import lzma
import random
import tarfile

from distribution.debian import contents, control
from distribution.packed import Entry, Kind, folder, gzipped, link, tar, with_parents, zipped
from tests.distribution.made_up import EPOCH


def _member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return header.encode() + content + b"\n" * (len(content) % 2)


def _package(record: bytes, *infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for info, content in infos:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    inner = tar([Entry("./control", data=record)], 0)
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", lzma.compress(inner))]
    parts.append(("data.tar.xz", lzma.compress(data.getvalue())))
    return b"!<arch>\n" + b"".join(_member(name, content) for name, content in parts)


def test_a_debian_package_is_read_with_links_made_files():
    plain, hard, soft, top = (tarfile.TarInfo(f"./usr/{name}") for name in ("a", "b", "c", ""))
    hard.type, hard.linkname = tarfile.LNKTYPE, "./usr/a"
    soft.type, soft.linkname = tarfile.SYMTYPE, "a"
    top.type, plain.mode = tarfile.DIRTYPE, 0o755
    package = _package(b"Package: x\n", (top, b""), (plain, b"one"), (hard, b""), (soft, b""))
    assert control(package) == "Package: x\n"
    found = {entry.path: (entry.kind, entry.data, entry.target) for entry in contents(package)}
    assert found == {
        "usr": (Kind.FOLDER, b"", ""),
        "usr/a": (Kind.FILE, b"one", ""),
        "usr/b": (Kind.FILE, b"one", ""),
        "usr/c": (Kind.LINK, b"", "a"),
    }


def test_archives_do_not_depend_on_the_order_of_what_is_put_in():
    entries = [Entry("b/c", data=b"1"), folder("b"), link("a", "b/c"), Entry("d", mode=0o755)]
    shuffled = random.Random(4).sample(entries, len(entries))
    first, second = (tar(with_parents(one), EPOCH) for one in (entries, shuffled))
    assert gzipped(first) == gzipped(second)
    files = {"b": b"1", "a": b"2"}
    assert zipped(files, EPOCH) == zipped(dict(reversed(files.items())), EPOCH)


def test_another_epoch_makes_another_archive():
    assert tar([Entry("a")], EPOCH) != tar([Entry("a")], EPOCH + 1)
    assert zipped({"a": b""}, EPOCH) != zipped({"a": b""}, EPOCH + 2)


def test_every_path_is_there_once_and_after_its_folder():
    paths = [entry.path for entry in with_parents([Entry("a/b/c"), Entry("a/b/c"), Entry("a-")])]
    assert sorted(paths) == ["a", "a-", "a/b", "a/b/c"]
    assert paths.index("a") < paths.index("a/b") < paths.index("a/b/c")
