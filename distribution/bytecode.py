"""Compiled modules for a root file system that nobody can write to later.

The image's own interpreter compiles them, from the image's files, through the image's own loader: neither
root nor a container engine is needed. A compiled module names the hash of its source and is held against
it whenever it is imported.
"""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from distribution.faults import CannotBuild
from distribution.packed import Entry, Kind
from distribution.rootfs import INTERPRETER, LIBRARIES, LOADER, PYTHON

_COMPILE = """
import compileall, sys
from py_compile import PycInvalidationMode
for folder in sys.argv[2:]:
    compileall.compile_dir(f"{sys.argv[1]}/{folder}", quiet=2, stripdir=sys.argv[1], prependdir="/",
                           force=True, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
"""


def compiled(entries: Iterable[Entry], folders: Iterable[str]) -> list[Entry]:
    """Compile every module below the folders; return the files that are new.

    Raises:
        CannotBuild: this machine can not run the image's interpreter.
    """
    with tempfile.TemporaryDirectory(prefix="caracal-root-") as name:
        root = Path(name)
        unpack(entries, root)
        loader: list[str | Path] = [
            root / LOADER,
            "--library-path",
            root / LIBRARIES,
            root / INTERPRETER,
        ]
        done = subprocess.run(
            [*loader, "-I", "-S", "-c", _COMPILE, root, *folders],
            env={"PYTHONHOME": f"{root}/usr", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotBuild(
                f"the image's Python {PYTHON} does not run here: {done.stderr.strip()}"
            )
        found = sorted(path for path in root.rglob("*.pyc") if not path.is_symlink())
        return [Entry(str(path.relative_to(root)), data=path.read_bytes()) for path in found]


def unpack(entries: Iterable[Entry], root: Path) -> None:
    """Write entries below a folder, as links and modes say; owners are not kept."""
    links: list[Entry] = []
    for entry in entries:
        if entry.kind is Kind.LINK:
            links.append(entry)
            continue
        place = root / entry.path
        if entry.kind is Kind.FOLDER:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(entry.data)
        place.chmod(entry.mode)
    for entry in links:
        place = root / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(entry.target)
