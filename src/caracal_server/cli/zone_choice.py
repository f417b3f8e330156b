"""Which zone a command is about: the one that is named, or the only one."""

from typing import Final

import msgspec

from caracal.authority.identifiers import is_id
from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.server import Server

SYSTEM_LOG: Final = "system"
"""The log of what belongs to no zone."""

_SHOWN: Final = 10


class ZoneRow(msgspec.Struct, frozen=True):
    """`name` is the one that zone files use, whatever people call the zone."""

    id: str
    name: str
    revision: int


class _Listed(msgspec.Struct, frozen=True):
    """A server that knows of no titles says no `slug`: its `name` is the one."""

    id: str
    name: str
    revision: int
    slug: str = ""


class _Zones(msgspec.Struct, frozen=True):
    items: tuple[_Listed, ...]


def list_zones(server: Server, *, archived: bool = False) -> tuple[ZoneRow, ...]:
    """The zones of a server, or those of it that are put away.

    Raises:
        CommandFailed: an id is none; it becomes a part of the names of files.
    """
    found = server.get("/v1/zones", _Zones, status="archived" if archived else None).items
    zones = tuple(ZoneRow(zone.id, zone.slug or zone.name, zone.revision) for zone in found)
    if not all(is_id(zone.id) for zone in zones):
        raise CommandFailed(
            ExitCode.UNREACHABLE,
            "the server names a zone whose id can be none of Caracal's",
            "check --server: it is the address of Control",
        )
    return zones


def choose_zone(server: Server, named: str | None) -> ZoneRow:
    """Find the zone with that name or id, or the only zone there is.

    Raises:
        CommandFailed: there is no such zone, or none is named and there are none or several.
    """
    zones = list_zones(server)
    if named is None and len(zones) == 1:
        return zones[0]
    known = ", ".join(sorted(zone.name for zone in zones)[:_SHOWN])
    if named is None:
        advice = f"name one with --zone: {known}" if zones else "make one with `caracal apply`"
        problem = "there are several zones" if zones else "there is no zone yet"
        raise CommandFailed(ExitCode.USAGE, problem, advice)
    for zone in zones:
        if named in {zone.name, zone.id}:
            return zone
    for zone in list_zones(server, archived=True):
        # The evidence of a zone outlives it; its name may be another's by now.
        if named == zone.id:
            return zone
    advice = f"there are: {known}" if zones else "make one with `caracal apply`"
    raise CommandFailed(ExitCode.REFUSED, f"there is no zone {named!r}", advice)


def choose_log(server: Server, named: str | None) -> str:
    """Find the id of the log that is meant: a zone's, or the one of what belongs to no zone."""
    return SYSTEM_LOG if named == SYSTEM_LOG else choose_zone(server, named).id
