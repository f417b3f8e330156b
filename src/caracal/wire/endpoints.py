"""Where clients that know nothing of Caracal find things: an MCP server's URL, and what describes it.

Source: RFC 9728 section 3.1, RFC 8414 section 3.1: a well-known part goes between host and path.
"""

import re

import msgspec

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
SERVER = "/oauth/zones/"
TOKEN = "token"  # noqa: S105 (a path)
AUTHORIZE = "authorize"
CONSENT = "consent"
CALLBACK = "callback"
REGISTER = "register"
_MCP = "/mcp/"
_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
_ENDPOINT = re.compile(rf"/mcp/({_NAME})/({_NAME})")
_SERVER = re.compile(
    rf"/oauth/zones/({_NAME})(?:/({TOKEN}|{AUTHORIZE}|{CONSENT}|{CALLBACK}|{REGISTER}))?"
)


class EndpointPath(msgspec.Struct, frozen=True):
    """What a path at the Gateway names; `describes` when it is the metadata's and not the server's own."""

    zone: str
    endpoint: str
    describes: bool = False


class ServerPath(msgspec.Struct, frozen=True):
    """What a path at the STS names: a zone's authorization server; `part` is empty for its metadata."""

    zone: str
    part: str = ""


def endpoint_path(zone: str, endpoint: str) -> str:
    return f"{_MCP}{zone}/{endpoint}"


def server_url(issuer: str, zone: str) -> str:
    """The issuer identifier of a zone's authorization server."""
    return f"{issuer}{SERVER}{zone}"


def is_endpoint(path: str) -> bool:
    """Whether a path is below what is for such clients, be there anything or not."""
    return path.startswith((_MCP, RESOURCE_METADATA))


def is_server(path: str) -> bool:
    """Whether a path is a zone's authorization server's, be there such a zone or not."""
    return path.startswith((SERVER, SERVER_METADATA + SERVER))


def read_endpoint(path: str) -> EndpointPath | None:
    """What a path at the Gateway names, if it is one of ours to the letter."""
    describes = path.startswith(RESOURCE_METADATA)
    found = _ENDPOINT.fullmatch(path.removeprefix(RESOURCE_METADATA) if describes else path)
    return None if found is None else EndpointPath(found[1], found[2], describes)


def read_server(path: str) -> ServerPath | None:
    """What a path at the STS names, if it is one of ours to the letter."""
    described = path.startswith(SERVER_METADATA)
    found = _SERVER.fullmatch(path.removeprefix(SERVER_METADATA) if described else path)
    if found is None or described is (found[2] is not None):
        return None
    return ServerPath(found[1], found[2] or "")
