"""What the wheel holds, what importing it does, and that an altered installation is noticed."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = ("caracal/", "caracal_server/")
_SECONDS = 60
_KNOWN = {"urllib3.util.connection"}
"""It binds a socket to ::1, to learn whether there is IPv6; only `caracal release` imports it."""
_ALTERED = "caracal/authority/scopes.py"


def the_wheel_holds_only_our_packages(root: Path) -> Sequence[str]:
    """The built wheel holds our two packages and their metadata, and nothing that runs by itself."""
    with _built(root) as wheel, zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        commands = archive.read(f"{metadata}/entry_points.txt").decode().split()
    own = (*_PACKAGES, f"{metadata}/")
    wrong = [f"the wheel holds {name}" for name in names if not name.startswith(own)]
    wrong += [
        f"the wheel holds {name}, which Python runs or loads unasked"
        for name in names
        if name.endswith((".pth", ".pyc", ".so", ".pyd", "/sitecustomize.py", "/usercustomize.py"))
    ]
    if commands != ["[console_scripts]", "caracal", "=", "caracal_server.cli:main"]:
        wrong.append(f"the wheel's entry points are {' '.join(commands)}")
    present = {name for name in names if name.endswith(".py")}
    if absent := _modules(root) - present:
        wrong.append(f"the wheel lacks {', '.join(sorted(absent)[:3])}")
    return wrong


def importing_does_nothing(root: Path) -> Sequence[str]:
    """Importing any of our modules opens no socket, writes no file and starts no process."""
    modules = _importable(root)
    if not modules:
        return ["there is no module to import"]
    watcher = Path(__file__).parents[1] / "import_watch.py"
    done = subprocess.run(
        [sys.executable, "-B", "-P", str(watcher), *modules],
        env=os.environ | {"PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        return [f"the modules can not be imported: {done.stderr.strip()[-300:]}"]
    *seen, last = done.stdout.splitlines() or [""]
    wrong = [line for line in seen if line.partition(" does ")[0] not in _KNOWN]
    expected = f"imported {len(modules)} modules from {root / 'src'}"
    return wrong if last == expected else [*wrong, f"not all was imported: {last}"]


def an_altered_installation_is_noticed(root: Path) -> Sequence[str]:
    """An installed wheel verifies; with one byte changed it does not, and strict mode starts nothing."""
    with _built(root) as wheel, tempfile.TemporaryDirectory(prefix="caracal-installed-") as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wrong = []
        if _caracal(folder, "verify-install"):
            wrong.append("an installation as the wheel has it does not verify")
        file = Path(folder, _ALTERED)
        content = bytearray(file.read_bytes())
        content[len('"""')] ^= 1  # in its docstring: what it does is the same
        file.write_bytes(content)
        if _caracal(folder, "verify-install") != 1:
            wrong.append("an installation with a byte changed verifies")
        up = (
            "up",
            "--data",
            f"{folder}/data",
            "--control",
            "127.0.0.1:0",
            "--gateway",
            "127.0.0.1:0",
        )
        if _caracal(folder, *up, strict="true") != 1 or Path(folder, "data").exists():
            wrong.append("an installation with a byte changed starts in strict mode")
        return wrong


def _caracal(folder: str, *arguments: str, strict: str = "false") -> int:
    """Run the command line of an unpacked wheel, with the dependencies of this interpreter."""
    try:
        return subprocess.run(
            [sys.executable, "-B", "-m", "caracal_server.cli", *arguments],
            cwd=folder,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join((folder, sysconfig.get_path("purelib"))),
                "CARACAL_STRICT_INSTALLATION": strict,
            },
            capture_output=True,
            timeout=20,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return -1


@contextmanager
def _built(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="caracal-wheel-") as folder:
        subprocess.run(
            [
                sys.executable,
                "-B",
                "-m",
                "hatchling",
                "build",
                "--target=wheel",
                f"--directory={folder}",
            ],
            cwd=root,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        yield wheel


def _modules(root: Path) -> set[str]:
    source = root / "src"
    return {
        path.relative_to(source).as_posix()
        for package in _PACKAGES
        for path in (source / package).rglob("*.py")
    }


def _importable(root: Path) -> list[str]:
    """Every module but those that are programs: importing such a one runs it, as it should."""
    return sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in _modules(root)
        if not name.endswith("/__main__.py")
    )
