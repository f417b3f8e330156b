"""What a built image may hold: a rule, a violation, and that it is found."""

import sys
import tarfile
from pathlib import Path

import pytest

from distribution.hardening import findings
from distribution.layers import OpenedImage
from distribution.packed import Entry, folder, link
from tests.distribution.made_up import INTERPRETER, image, with_member, with_members

pytestmark = pytest.mark.timeout(300)  # the first that asks for images waits until they are built


def _setuid(info: tarfile.TarInfo) -> None:
    info.mode = 0o4644


def _world_writable(info: tarfile.TarInfo) -> None:
    info.mode = 0o646


def _another_time(info: tarfile.TarInfo) -> None:
    info.mtime += 1


def _a_part_of_a_second(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"mtime": "1767225600.5"}


def _another_owner(info: tarfile.TarInfo) -> None:
    info.uid = 65532


def _a_device(info: tarfile.TarInfo) -> None:
    info.type = tarfile.CHRTYPE


def _a_hard_link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.LNKTYPE, "etc/passwd"


def _a_capability(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"SCHILY.xattr.security.capability": "all"}


VIOLATIONS = {
    "a shell": (image(link("usr/bin/sh", "python3.13")), "usr/bin/sh is a shell"),
    "a shell that hides": (image(Entry("opt/busybox")), "opt/busybox is a shell"),
    "a package manager": (image(Entry("usr/bin/dpkg")), "usr/bin/dpkg is a package manager"),
    "a build tool": (image(Entry("x/pip-26.3.dist-info/METADATA")), "pip is a build tool"),
    "another program": (image(Entry("opt/x", mode=0o755)), "opt/x can be executed"),
    "setuid": (with_member(_setuid), "etc/changed is setuid or setgid"),
    "a capability": (with_member(_a_capability), "etc/changed carries a capability"),
    "world-writable": (with_member(_world_writable), "etc/changed can be written by others"),
    "a sticky folder for all": (image(folder("opt", 0o1777)), "opt can be written by others"),
    "a stray time stamp": (
        with_member(_another_time),
        "etc/changed bears another time than the commit's",
    ),
    "half a second": (
        with_member(_a_part_of_a_second),
        "etc/changed bears another time than the commit's",
    ),
    "the user's own file": (
        with_member(_another_owner),
        "etc/changed belongs to 65532:0, not to 0:0",
    ),
    "a folder to write to that is not declared": (
        image(folder("srv", 0o700, 65532)),
        "srv belongs to 65532:65532, not to 0:0",
    ),
    "a device": (
        with_member(_a_device),
        "etc/changed is neither a file, a folder nor a symbolic link",
    ),
    "a hard link": (
        with_member(_a_hard_link),
        "etc/changed is neither a file, a folder nor a symbolic link",
    ),
    "a path twice in a layer": (with_members("etc/x", "etc/x"), "etc/x is there twice"),
    "a path twice in two layers": (image(Entry("etc/passwd")), "etc/passwd is there twice"),
    "a path that climbs": (with_members("etc/../x"), "'etc/../x' is no plain path"),
    "an absolute path": (with_members("/etc/x"), "'/etc/x' is no plain path"),
    "a path written differently": (with_members("./etc/x"), "'./etc/x' is no plain path"),
    "a whiteout": (
        with_members("etc/.wh.passwd"),
        "etc/.wh.passwd hides what a lower layer holds",
    ),
    "root": (image(User="0:0"), "it runs as '0:0', not as a number other than 0"),
    "root by default": (image(User=""), "it runs as 'root', not as a number other than 0"),
    "a user by name": (image(User="nonroot"), "it runs as 'nonroot', not as a number other than 0"),
    "nothing to start": (
        image(without=INTERPRETER),
        "it starts '/usr/bin/python3.13', which it does not hold",
    ),
    "more to write to": (
        image(Volumes={"/tmp": {}, "/var/lib/caracal": {}, "/etc": {}}),
        "it declares ['etc', 'tmp', 'var/lib/caracal'] for writing, not ['tmp', 'var/lib/caracal']",
    ),
    "a secret": (
        image(Env=["CARACAL_OPERATOR_TOKEN=x"]),
        "its environment has CARACAL_OPERATOR_TOKEN",
    ),
    "a library that is none": (image(Entry("usr/lib/x.so")), "usr/lib/x.so is no library"),
}


def test_an_image_that_keeps_every_rule_passes():
    assert findings(image()) == []


@pytest.mark.parametrize(("built", "said"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_what_an_image_may_not_hold_is_found(built: OpenedImage, said: str):
    assert findings(built) == [f"small: {said}"]


def test_a_library_that_needs_another_one_is_found():
    library = next(Path(sys.prefix).glob("lib/python*/site-packages/cedarpy/*.so")).read_bytes()
    alone = findings(image(Entry("usr/lib/cedar.so", data=library)))
    assert "small: usr/lib/cedar.so needs libc.so.6, which is not there" in alone


def test_the_images_that_are_really_built_keep_every_rule(all_in_one: OpenedImage):
    assert findings(all_in_one) == []
