"""What is wrong with a built image, read from its layers.

The rules do not come from how `rootfs.py` fills an image: they say what a finished one may hold, whoever
made it.
"""

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import PurePosixPath

from distribution.elf import is_elf, needed
from distribution.layers import OpenedImage

WRITABLE = frozenset({"tmp", "var/lib/caracal"})
USER = 65532
EXECUTABLE = re.compile(r"usr/bin/python3\.\d+|usr/lib/[^/]+/ld-linux-[^/]+\.so\.\d")
"""The only files that can be executed: the interpreter, and the loader that starts it."""

SHELLS = frozenset(
    {
        "ash",
        "bash",
        "busybox",
        "csh",
        "dash",
        "fish",
        "ksh",
        "mksh",
        "rbash",
        "sh",
        "tcsh",
        "toybox",
        "zsh",
    }
)
PACKAGE_MANAGERS = frozenset(
    {
        "apk",
        "apt",
        "apt-get",
        "aptitude",
        "dnf",
        "dpkg",
        "dpkg-deb",
        "microdnf",
        "npm",
        "pip",
        "pip3",
    }
    | {"rpm", "snap", "uv", "yum"}
)
BUILD_TOOLS = frozenset({"build", "editables", "hatchling", "pip", "setuptools", "uv", "wheel"})

_DISTRIBUTION = re.compile(r"(?:.*/)?([^/]+?)-[^/-]+\.dist-info/METADATA")
_NUMERIC = re.compile(r"[1-9][0-9]*:[1-9][0-9]*")
_SECRET = re.compile(r"(?i)token|secret|password|credential|private")
_LIBRARY = re.compile(r".*\.so(\.[0-9.]+)?")


@dataclass(frozen=True, slots=True)
class Member:
    """Something in a layer, with the layer's number."""

    layer: int
    info: tarfile.TarInfo
    content: bytes

    @property
    def path(self) -> str:
        return self.info.name

    @property
    def name(self) -> str:
        return PurePosixPath(self.info.name).name


def members(image: OpenedImage) -> list[Member]:
    found = []
    for number, layer in enumerate(image.layers):
        with tarfile.open(fileobj=BytesIO(layer)) as archive:
            for info in archive:
                stream = archive.extractfile(info) if info.isreg() else None
                found.append(Member(number, info, stream.read() if stream else b""))
    return found


def findings(image: OpenedImage) -> list[str]:
    """Everything that is wrong with an image, a sentence each."""
    held = members(image)
    rules = (
        _starts(image, held),
        _places(held),
        _kinds(held),
        _modes(held),
        _stamps(image, held),
        _tools(held),
        _libraries(held),
    )
    return [f"{image.name}: {finding}" for rule in rules for finding in rule]


def _starts(image: OpenedImage, held: Sequence[Member]) -> Iterator[str]:
    config = image.config
    if not _NUMERIC.fullmatch(config.get("User", "")):
        yield f"it runs as {config.get('User') or 'root'!r}, not as a number other than 0"
    entrypoint = config.get("Entrypoint") or [""]
    if entrypoint[0].removeprefix("/") not in {member.path for member in held}:
        yield f"it starts {entrypoint[0]!r}, which it does not hold"
    declared = {path.removeprefix("/") for path in config.get("Volumes", {})}
    if declared != WRITABLE:
        yield f"it declares {sorted(declared)} for writing, not {sorted(WRITABLE)}"
    for variable in config.get("Env", ()):
        if _SECRET.search(variable):
            yield f"its environment has {variable.partition('=')[0]}"


def _places(held: Sequence[Member]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for member in held:
        path = member.path
        if path != str(PurePosixPath(path)) or path.startswith("/") or ".." in path.split("/"):
            yield f"{path!r} is no plain path"
        if path in seen and (seen[path] == member.layer or not member.info.isdir()):
            yield f"{path} is there twice"
        if member.name.startswith(".wh."):
            yield f"{path} hides what a lower layer holds"
        seen[path] = member.layer


def _kinds(held: Sequence[Member]) -> Iterator[str]:
    for member in held:
        if not (member.info.isreg() or member.info.isdir() or member.info.issym()):
            yield f"{member.path} is neither a file, a folder nor a symbolic link"


def _modes(held: Sequence[Member]) -> Iterator[str]:
    for member in held:
        info, path = member.info, member.path
        if info.mode & 0o6000:
            yield f"{path} is setuid or setgid"
        if info.mode & 0o022 and not info.issym():
            yield f"{path} can be written by others"
        if "SCHILY.xattr.security.capability" in info.pax_headers:
            yield f"{path} carries a capability"
        owner = USER if path in WRITABLE else 0
        if (info.uid, info.gid) != (owner, owner):
            yield f"{path} belongs to {info.uid}:{info.gid}, not to {owner}:{owner}"
        if info.isreg() and info.mode & 0o111 and not EXECUTABLE.fullmatch(path):
            yield f"{path} can be executed"


def _stamps(image: OpenedImage, held: Sequence[Member]) -> Iterator[str]:
    created = image.annotations["org.opencontainers.image.created"]
    epoch = datetime.fromisoformat(created).timestamp()
    for member in held:
        if member.info.mtime != epoch:
            yield f"{member.path} bears another time than the commit's"


def _tools(held: Sequence[Member]) -> Iterator[str]:
    for member in held:
        if not member.info.isdir() and member.name in SHELLS:
            yield f"{member.path} is a shell"
        if not member.info.isdir() and member.name in PACKAGE_MANAGERS:
            yield f"{member.path} is a package manager"
        distribution = _DISTRIBUTION.fullmatch(member.path)
        if distribution and distribution[1].lower() in BUILD_TOOLS:
            yield f"{distribution[1]} is a build tool"


def _libraries(held: Sequence[Member]) -> Iterator[str]:
    """A library that is missing would be noticed only when somebody imports what needs it."""
    present = {member.name for member in held}
    for member in held:
        if is_elf(member.content):
            for library in needed(member.content):
                if library not in present:
                    yield f"{member.path} needs {library}, which is not there"
        elif member.info.isreg() and _LIBRARY.fullmatch(member.name):
            yield f"{member.path} is no library"
