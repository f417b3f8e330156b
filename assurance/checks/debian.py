"""The Debian packages of the images, held against what the distribution offers now."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from assurance.checks import NotRunHere
from distribution.debian import LOCK, DebianLock, Package, configured_sources, read_lock
from distribution.debian_lock import newest
from distribution.faults import CannotBuild


def image_packages_are_current(root: Path) -> Sequence[str]:
    """Every Debian package of the images is the newest that the release and its security suite offer."""
    try:
        lock = read_lock(root / LOCK)
    except (OSError, ValueError, msgspec.ValidationError) as fault:
        return [f"{LOCK}: {fault}"]
    return list(behind(lock, _offered()))


@cache
def _offered() -> tuple[Package, ...]:
    """Ask this machine's apt, once.

    Raises:
        NotRunHere: it is not there, can not be reached, or knows no security suite.
    """
    try:
        if not any(source.suite.endswith("-security") for source in configured_sources()):
            raise NotRunHere("this machine's apt has no security suite to compare with")
        return tuple(newest())
    except CannotBuild as fault:
        raise NotRunHere(str(fault)) from None
    except (OSError, subprocess.CalledProcessError) as fault:
        raise NotRunHere(f"apt can not be asked: {fault}") from None


def behind(lock: DebianLock, offered: Iterable[Package]) -> Iterator[str]:
    """Yield each package that is not locked, need not be, or is locked at another version or hash."""
    on_offer = {package.name: package for package in offered}
    locked = {package.name: package for package in lock.package}
    if not on_offer:
        yield "the distribution offers nothing, so nothing was compared"
    for name in sorted(on_offer.keys() ^ locked.keys()):
        yield f"{name} is {'not locked' if name in on_offer else 'locked, and nobody asked for it'}"
    for name in sorted(on_offer.keys() & locked.keys()):
        have, newer = locked[name], on_offer[name]
        if have.version != newer.version:
            yield f"{name} is locked at {have.version}, and {newer.version} is offered"
        elif have.sha256 != newer.sha256:
            yield f"{name} {have.version} is locked with another hash than the one that is offered"
