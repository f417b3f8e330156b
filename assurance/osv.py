"""Advisories in the OSV format, and whether one is about a version of a PyPI package.

Source: OSV schema 1.7, `affected` and "Evaluation".
"""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEM: Final = "PyPI"


class AdvisoryFault(Exception):
    """The data are absent, empty or not what they should be: nothing can be said with them."""


class Event(msgspec.Struct, frozen=True):
    """Where a range begins or ends; one field is set."""

    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    limit: str = ""


class Range(msgspec.Struct, frozen=True):
    """A range; `kind` is ECOSYSTEM for versions and GIT for commits."""

    kind: str = msgspec.field(name="type")
    events: tuple[Event, ...] = ()


class Package(msgspec.Struct, frozen=True):
    """The package that an advisory is about."""

    ecosystem: str
    name: str


class Affected(msgspec.Struct, frozen=True):
    """Which versions of one package are affected."""

    package: Package = Package("", "")
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()

    def includes(self, version: Version) -> bool:
        """Whether the version is affected; also when that can not be told."""
        of_versions = [one for one in self.ranges if one.kind != "GIT"]
        if not of_versions and not self.versions:
            return True
        return _listed(self.versions, version) or any(_within(one, version) for one in of_versions)

    def fixed(self) -> tuple[str, ...]:
        """The versions in which it is repaired."""
        return tuple(
            event.fixed
            for one in self.ranges
            for event in one.events
            if one.kind != "GIT" and event.fixed
        )


class Advisory(msgspec.Struct, frozen=True):
    """One advisory."""

    id: str
    modified: datetime
    withdrawn: datetime | None = None
    aliases: tuple[str, ...] = ()
    summary: str = ""
    affected: tuple[Affected, ...] = ()

    def packages(self) -> Iterator[tuple[str, Affected]]:
        """The PyPI packages it is about, by the name that the index compares."""
        for one in self.affected:
            if one.package.ecosystem == ECOSYSTEM:
                yield canonicalize_name(one.package.name), one


def _listed(versions: Sequence[str], version: Version) -> bool:
    return any(_parsed(text) == version for text in versions)


def _within(one: Range, version: Version) -> bool:
    """Walk the events in order of version; a range that can not be read counts as a hit."""
    placed = []
    for event in one.events:
        if event.introduced == "0":
            placed.append((Version("0.dev0"), 0, event))
            continue
        at = _parsed(event.introduced or event.fixed or event.last_affected or event.limit)
        if at is None:
            return True
        placed.append((at, 0 if event.introduced else 1, event))
    hit = False
    for at, _, event in sorted(placed, key=lambda item: item[:2]):
        if event.introduced == "0" or (event.introduced and version >= at):
            hit = True
        elif event.last_affected:
            hit = hit and version <= at
        elif not event.introduced and version >= at:
            hit = False
    return hit


def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def read(data: Path) -> tuple[Advisory, ...]:
    """Read every advisory of a folder or of a zip archive.

    Raises:
        AdvisoryFault: there is none, or one is malformed.
    """
    advisories = tuple(_advisory(name, content) for name, content in _files(data))
    if not advisories:
        raise AdvisoryFault(f"{data} holds no advisory")
    return advisories


def _files(data: Path) -> Iterator[tuple[str, bytes]]:
    if data.is_dir():
        for file in sorted(data.rglob("*")):
            if file.suffix in {".json", ".yaml", ".yml"}:
                yield file.name, file.read_bytes()
    elif data.is_file():
        try:
            with zipfile.ZipFile(data) as archive:
                for name in archive.namelist():
                    if name.endswith((".json", ".yaml", ".yml")):
                        yield name, archive.read(name)
        except (zipfile.BadZipFile, OSError) as fault:
            raise AdvisoryFault(f"{data} can not be read: {fault}") from None
    else:
        raise AdvisoryFault(f"there is no advisory data at {data}")


def _advisory(name: str, content: bytes) -> Advisory:
    try:
        if name.endswith(".json"):
            return msgspec.json.decode(content, type=Advisory)
        # Every scalar stays text: a version such as 1.10 must not become a number.
        return msgspec.convert(yaml.load(content, Loader=yaml.CBaseLoader), Advisory)  # noqa: S506 (makes text only)
    except (msgspec.DecodeError, yaml.YAMLError, UnicodeDecodeError) as fault:
        raise AdvisoryFault(f"{name} is not an advisory: {fault}") from None
