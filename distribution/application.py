"""The layers above the root file system: the locked wheels, and Caracal's own."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from distribution.faults import CannotBuild
from distribution.packed import Entry
from distribution.rootfs import PYTHON

PACKAGES = f"usr/local/lib/python{PYTHON}/dist-packages"


def installed(wheels: Iterable[Path]) -> Iterator[Entry]:
    """The files of wheels, as pip would place them, without commands.

    Raises:
        CannotBuild: a wheel wants something placed elsewhere, or runs code whenever Python starts.
    """
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                place = _place(member.filename, wheel.name)
                if place:
                    yield Entry(f"{PACKAGES}/{place}", data=archive.read(member))


def _place(name: str, wheel: str) -> str:
    """Where a file goes below the folder of packages; nothing for a command."""
    if name.startswith("/") or ".." in name.split("/"):
        raise CannotBuild(f"{wheel} names a file outside itself: {name!r}")
    if name.endswith(".pth"):
        raise CannotBuild(f"{wheel} brings {name}, which runs whenever Python starts")
    first, _, below = name.partition("/")
    if not first.endswith(".data"):
        return name
    kind, _, rest = below.partition("/")
    if kind in {"purelib", "platlib"}:
        return rest
    if kind in {"scripts", "headers", "data"}:
        return ""
    raise CannotBuild(f"{wheel} brings {name}, which has no place in an image")
