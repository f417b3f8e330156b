"""MCP servers by URL, for clients that name no resource in a header; and where those get a token."""

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from caracal.authority.access import reachable
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Resource
from caracal.authority.zones import Zone
from caracal.wire.endpoints import (
    RESOURCE_METADATA,
    EndpointPath,
    endpoint_path,
    is_endpoint,
    read_endpoint,
    server_url,
)
from caracal.wire.oauth_metadata import challenge, render_resource
from caracal_server.gateway.arrival import Headers, first
from caracal_server.ports.zones import NamedZones
from caracal_server.web.asgi import JSON, NO_SNIFF, Header, Reply
from caracal_server.web.meanings import MEANINGS
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CHALLENGE: Final = b"www-authenticate"
_CACHED: Final[Header] = (b"cache-control", b"public, max-age=60")
_READS: Final = frozenset({"GET", "HEAD"})


class Address(msgspec.Struct, frozen=True):
    """The MCP server that a URL names."""

    zone: Zone
    resource: Resource
    url: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Addressing:
    """Finds MCP servers by the paths of their URLs.

    Attributes:
        gateway: the public URL of this Gateway; empty where it has none to tell.
        issuer: the public URL of the STS.
    """

    gateway: str
    issuer: str
    zones: NamedZones

    def concerns(self, path: str, headers: Headers) -> bool:
        """Whether a request is for what this finds: one that names a resource in a header is not."""
        return bool(self.gateway) and is_endpoint(path) and first(headers, _RESOURCE) is None

    def find(self, path: str) -> tuple[Address, EndpointPath] | None:
        """The MCP server at a path, or the one that is described there.

        Raises:
            Unavailable: the view of the zones is too old.
        """
        named = read_endpoint(path)
        zone = None if named is None else self.zones.named(named.zone)
        resource = None if named is None or zone is None else zone.at_endpoint(named.endpoint)
        if named is None or zone is None or resource is None:
            return None
        place = endpoint_path(named.zone, named.endpoint)
        url, metadata = self.gateway + place, self.gateway + RESOURCE_METADATA + place
        return Address(zone, resource, url, metadata), named

    def describe(self, address: Address, method: str) -> Reply | Problem:
        """The resource's metadata (RFC 9728)."""
        if method not in _READS:
            allow = ((b"allow", b"GET, HEAD"),)
            return Problem(Reason.METHOD_UNSUPPORTED, "this path takes GET, HEAD", headers=allow)
        resource = address.resource
        server = server_url(self.issuer, address.zone.name)
        body = render_resource(address.url, server, reachable(resource), resource.name)
        return Reply(200, (JSON, NO_SNIFF, _CACHED), body)


_RESOURCE: Final = b"x-caracal-resource"

NOTHING: Final = Problem(
    Reason.RESOURCE_UNKNOWN, "there is no MCP server at this path", variant=Variant.NOT_FOUND
)


def challenged(reply: Reply, address: Address, refused: Refused) -> Reply:
    """The refusal with what a client needs to get a token that will do (RFC 9728 section 5.1)."""
    scopes = reachable(address.resource).render()
    if reply.status == _UNAUTHORIZED:
        missing = refused.reason is Reason.MANDATE_MISSING
        said = challenge(
            address.metadata,
            scopes,
            error="" if missing else "invalid_token",
            description="" if missing else MEANINGS[refused.reason].title,
        )
    elif reply.status == _FORBIDDEN and refused.needed:
        said = challenge(address.metadata, refused.needed, error="insufficient_scope")
    else:
        return reply
    kept = tuple(header for header in reply.headers if header[0] != _CHALLENGE)
    return replace(reply, headers=(*kept, (_CHALLENGE, said)))
