"""What the locks fix: the components that a bill of materials must name, neither more nor fewer."""

import re
from collections.abc import Iterable
from pathlib import Path

from packaging.markers import Marker

from caracal_server.release.contents import Component, debian_component, python_component
from caracal_server.release.manifest import Kind
from distribution import debian
from distribution.rootfs import PYTHON

CLI_LOCK = Path("requirements/cli.txt")
IMAGE_LOCK = Path("requirements/image.txt")

_ENTRY = re.compile(
    r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$", re.MULTILINE
)
_LINUX = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
_IMAGE = _LINUX | {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}


def python_distributions(
    lock: Path, platform: dict[str, str] | None = None
) -> frozenset[Component]:
    """The distributions of a lock, on every platform or on one."""
    return frozenset(
        python_component(name, version)
        for name, version, marker in _ENTRY.findall(lock.read_text())
        if platform is None or not marker or Marker(marker).evaluate(dict(platform))
    )


def debian_packages(lock: Path) -> frozenset[Component]:
    """The packages of the lock of Debian packages."""
    return frozenset(
        debian_component(one.name, one.version, one.architecture)
        for one in debian.read_lock(lock).package
    )


def locked(kind: Kind, root: Path, version: str) -> frozenset[Component]:
    """What an artifact of a kind is made of, or depends on, by the locks of a tree."""
    own = python_component("caracal", version)
    match kind:
        case Kind.WHEEL | Kind.SDIST:
            return _joined(map(python_distributions, (root / CLI_LOCK, root / IMAGE_LOCK)))
        case Kind.CLI:
            return python_distributions(root / CLI_LOCK, _LINUX) | {own}
        case Kind.IMAGES:
            packages = debian_packages(root / debian.LOCK)
            return python_distributions(root / IMAGE_LOCK, _IMAGE) | packages | {own}
        case _:
            return frozenset()


def _joined(sets: Iterable[frozenset[Component]]) -> frozenset[Component]:
    return frozenset[Component]().union(*sets)
