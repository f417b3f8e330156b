"""The images, as they are really built."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from assurance.checks import NotRunHere
from assurance.checks.reproducible import DOWNLOADS, EPOCH, NO_WHEELS
from caracal_server.release.contents import in_image
from caracal_server.release.manifest import Kind
from caracal_server.release.oci import OciArchive
from distribution import debian, hardening, smoke
from distribution.faults import CannotBuild
from distribution.layers import OpenedImage, open_archive
from distribution.locked import locked
from tools.repository import repository_files

INPUTS = ("distribution", "src", "requirements/image.txt", "pyproject.toml", "README.md", "LICENSE")

NOT_TO_BE_HAD = (NO_WHEELS, "images need ", "no mirror of this machine")

_HASH = re.compile(r"[0-9a-f]{64}")
_REQUIREMENT = re.compile(r"^([a-z0-9][\w.-]*)(.*?)(?=^[a-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
_one_at_a_time = Lock()


def built_images_are_hardened(root: Path) -> Sequence[str]:
    """Built images hold no shell, package manager or setuid file, and belong to a user by number."""
    return [finding for image in _images(root) for finding in hardening.findings(image)]


def images_run_confined(root: Path) -> Sequence[str]:
    """Every image gets ready with a read-only root, as its own user, without a capability."""
    if reason := smoke.why_not_here():
        raise NotRunHere(reason)
    return smoke.findings(_images(root))


def image_inputs_are_locked(root: Path) -> Sequence[str]:
    """Every Debian package and wheel of the images is named by version and hash, and by no address."""
    lock = root / debian.LOCK
    wrong = [
        f"{package.name} is not named by its hash"
        for package in debian.read_lock(lock).package
        if not (_HASH.fullmatch(package.sha256) and package.version)
    ]
    requirements = root / "requirements/image.txt"
    for name, rest in _REQUIREMENT.findall(requirements.read_text()):
        if not rest.startswith("==") or "--hash=sha256:" not in rest:
            wrong.append(f"{name} is not named by version and hash")
    wrong += [
        f"{file.name} names an address"
        for file in (lock, requirements)
        if "://" in file.read_text()
    ]
    return wrong


def built_images_hold_what_is_locked(root: Path) -> Sequence[str]:
    """The Debian packages and Python distributions inside the built images are exactly the locked ones."""
    return differences(archive(root), root)


def differences(images: Path, root: Path) -> list[str]:
    """Name what an archive of images holds and the locks of a tree do not, and the other way round."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    fixed = {component.purl for component in locked(Kind.IMAGES, root, version)}
    wrong = []
    # Images that share their layers hold the same.
    held = {image.layers: image for image in open_archive(images)}
    with OciArchive(images) as opened:
        for image in held.values():
            inside = {component.purl for component in in_image(opened, image.digest)}
            wrong += [f"{image.name} holds {purl}, which no lock names" for purl in inside - fixed]
            wrong += [f"{image.name} lacks {purl}, which is locked" for purl in fixed - inside]
    return sorted(wrong)


def archive(root: Path) -> Path:
    """The images of a tree, built now unless nothing has changed that they are built from.

    Raises:
        NotRunHere: this machine can not fetch what they are made of.
        CannotBuild: they can not be built.
    """
    with _one_at_a_time, _alone(root):
        built = root / "build/images" / f"{_sum_of_inputs(root)}.tar"
        if not built.exists():
            shutil.rmtree(built.parent, ignore_errors=True)
            built.parent.mkdir(parents=True)
            _build(root, built)
        return built


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep other processes from building, and from clearing up, in the same tree."""
    place = root / "build" / "images.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(root: Path, built: Path) -> None:
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        command = [
            sys.executable,
            "-m",
            "distribution",
            "build",
            "--only=images",
            "--tree",
            str(root),
        ]
        command += [f"--epoch={EPOCH}", f"--into={folder}/dist", f"--cache={DOWNLOADS}"]
        ran = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        if any(sign in ran.stderr for sign in NOT_TO_BE_HAD):
            raise NotRunHere(ran.stderr.strip())
        if ran.returncode:
            raise CannotBuild(ran.stderr.strip())
        (made,) = Path(folder, "dist").glob("*.tar")
        made.rename(built)


def _sum_of_inputs(root: Path) -> str:
    summed = hashlib.sha256()
    for file in repository_files(root):
        path = file.relative_to(root).as_posix()
        if path.startswith(INPUTS):
            summed.update(f"{path}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return summed.hexdigest()[:32]


def _images(root: Path) -> list[OpenedImage]:
    return open_archive(archive(root))
