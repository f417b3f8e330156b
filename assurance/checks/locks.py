"""The lock files: whole, hashed, of one mind, and of the project that they are locks of."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assurance.locks import FOLDER, LockFault, Pin, locks, pins
from tools.check_shape import check_locks

_TARGETS = tuple(
    {"python_version": python, "python_full_version": f"{python}.9", "extra": ""} | platform
    for python in ("3.11", "3.12", "3.13", "3.14")
    for platform in (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    )
)
"""Where the locks must hold everything that is declared."""


def every_entry_is_hashed(root: Path) -> Sequence[str]:
    """Every entry of every lock is pinned to one version with SHA-256 hashes; no lock names an address."""
    try:
        bare = [pin for pin in pins(root) if not pin.hashes]
    except LockFault as fault:
        return [str(fault)]
    found = [f"{FOLDER}/{pin.lock}.txt: {pin.name} has no hash" for pin in bare]
    return found + [str(finding) for finding in check_locks(root)]


def locks_agree(root: Path) -> Sequence[str]:
    """What ships, what the demo installs and what the tests run against are the same versions."""
    versions: dict[str, set[str]] = defaultdict(set)
    places: dict[str, set[str]] = defaultdict(set)
    try:
        for pin in pins(root):
            if not pin.lock.startswith("tools/"):
                versions[pin.name].add(pin.version)
                places[pin.name].add(pin.lock)
    except LockFault as fault:
        return [str(fault)]
    return [
        f"{name} is locked as {', '.join(sorted(found))} in {', '.join(sorted(places[name]))}"
        for name, found in sorted(versions.items())
        if len(found) > 1
    ]


def locks_cover_what_is_declared(root: Path) -> Sequence[str]:
    """Every declared requirement is locked, at a version it admits, on every supported platform."""
    try:
        locked = {lock[0].lock: lock for lock in locks(root)}
        return list(chain(_of_project(root, locked), _of_inputs(root, locked)))
    except LockFault as fault:
        return [str(fault)]


def _of_project(root: Path, locked: dict[str, tuple[Pin, ...]]) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    everything = tuple(chain.from_iterable(locked.values()))
    for extra, declared in extras.items():
        pinned = locked.get(extra, everything)
        yield from _uncovered(f"extra {extra}", [*project["dependencies"], *declared], pinned)


def _of_inputs(root: Path, locked: dict[str, tuple[Pin, ...]]) -> Iterator[str]:
    for file in sorted((root / FOLDER).rglob("*.in")):
        name = file.relative_to(root / FOLDER).with_suffix("").as_posix()
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in file.read_text().splitlines())
        declared = [line for line in lines if line and not line.startswith(("-r", "-c"))]
        pinned = locked.get(name, tuple(chain.from_iterable(locked.values())))
        yield from _uncovered(f"{FOLDER}/{name}.in", declared, pinned)


def _uncovered(who: str, declared: Sequence[str], pinned: Sequence[Pin]) -> Iterator[str]:
    for requirement in map(Requirement, declared):
        name = canonicalize_name(requirement.name)
        if name == "caracal":
            continue
        of_that_name = [pin for pin in pinned if pin.name == name]
        if not of_that_name:
            yield f"{who} requires {requirement}, and no lock has it"
        for pin in of_that_name:
            if not requirement.specifier.contains(pin.version, prereleases=True):
                yield f"{who} requires {requirement}, and {pin.lock} locks {pin.version}"
        if of_that_name and not all(_installed_somewhere(of_that_name, at) for at in _TARGETS):
            yield f"{who} requires {requirement}, and its lock leaves out a supported platform"


def _installed_somewhere(of_that_name: Sequence[Pin], target: dict[str, str]) -> bool:
    return any(not pin.marker or Marker(pin.marker).evaluate(target) for pin in of_that_name)
