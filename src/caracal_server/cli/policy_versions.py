"""The policy versions of a zone, as the server keeps them."""

import msgspec

from caracal_server.cli.server import Server, path_of


class Version(msgspec.Struct, frozen=True):
    digest: str
    text: str


class _Versions(msgspec.Struct, frozen=True):
    items: tuple[Version, ...]


def versions(server: Server, zone_id: str) -> tuple[Version, ...]:
    """Every policy that the zone ever had."""
    return server.get(path_of("v1", "zones", zone_id, "policy-versions"), _Versions).items
