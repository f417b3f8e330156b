"""What the archive of the command line runs first: it becomes the archive's `__main__.py`.

It unpacks the wheels for this Python into a folder of the user's cache, once, and holds every file of that
folder against the sums in the archive whenever it starts. Only the standard library, of Python 3.11, is
imported before that.
"""

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NoReturn

USAGE = 2
SERVES = ("up", "serve", "demo")


def main() -> None:
    with zipfile.ZipFile(Path(__file__).parent) as archive:
        about = json.loads(archive.read("about.json"))
        python = _fitting(about)
        listed = archive.read(f"contents/{python}.json")
        contents = json.loads(listed)
        place = _cache() / f"{python}-{hashlib.sha256(listed).hexdigest()[:32]}"
        if not _holds(place, contents):
            try:
                _unpack(archive, about["pythons"][python], about["wheels"], place)
            except zipfile.BadZipFile:
                _refuse("this archive is damaged")
            if not _holds(place, contents):
                _refuse(f"{place} does not hold what was unpacked into it")
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if command in SERVES:
        _refuse(
            f"this archive operates a Caracal and can not run `{command}`:"
            " install the Python package, or run the image"
        )
    sys.path.insert(0, str(place))
    from caracal_server.cli import main as caracal  # noqa: PLC0415 (it was not there before)

    caracal()


def _fitting(about: dict[str, Any]) -> str:
    """Which of the archive's Pythons this one is."""
    here = f"{sys.platform}-{platform.machine()}"
    if sys.implementation.name != "cpython" or here != about["platform"]:
        _refuse(f"this archive is for CPython on {about['platform']}, and this is {here}")
    python = "{}.{}".format(*sys.version_info)
    if python not in about["pythons"]:
        _refuse(f"this archive is for Python {', '.join(about['pythons'])}, and this is {python}")
    return python


def _cache() -> Path:
    """A folder that nobody but the user can write to, made when it is missing."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    top = Path(given) if given.startswith("/") else Path.home() / ".cache"
    folder = top / "caracal-cli"
    try:
        top.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as fault:
        _refuse(f"no cache at {folder}: {fault.strerror}; XDG_CACHE_HOME names another place")
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        _refuse(f"{folder} must be a folder of your own, that others can not write to")
    return folder


def _holds(place: Path, contents: dict[str, str]) -> bool:
    """Whether a folder holds these files, unchanged, and no others but compiled modules."""
    found = set()
    for file in place.rglob("*"):
        compiled = file.parent.name == "__pycache__" and file.suffix == ".pyc"
        if compiled or (file.is_dir() and not file.is_symlink()):
            continue
        path = file.relative_to(place).as_posix()
        if file.is_symlink() or path not in contents:
            return False
        if hashlib.sha256(file.read_bytes()).hexdigest() != contents[path]:
            return False
        found.add(path)
    return len(found) == len(contents)


def _unpack(archive: zipfile.ZipFile, wheels: list[str], sums: dict[str, str], place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        fresh = Path(temporary, "fresh")
        for name in wheels:
            content = archive.read(f"wheels/{name}")
            if hashlib.sha256(content).hexdigest() != sums[name]:
                _refuse(f"{name} in this archive is damaged")
            with archive.open(f"wheels/{name}") as stream, zipfile.ZipFile(stream) as wheel:
                wheel.extractall(fresh)
        for folder in fresh.glob("*.data"):
            shutil.rmtree(folder)
        if place.exists():
            place.rename(Path(temporary, "old"))
        try:
            fresh.rename(place)
        except OSError:
            if not place.exists():  # else another process was faster
                raise


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"caracal: {why}\n")
    sys.exit(USAGE)


if __name__ == "__main__":
    main()
