"""What a request to an MCP server asks for, read from its body before it is decided on."""

from typing import Final

from caracal.authority.mcp import END, LISTEN, McpRequest
from caracal.authority.outcomes import Reason, Refused
from caracal.wire.errors import WireError
from caracal.wire.mcp import parse_message
from caracal.wire.paths import CallTarget
from caracal_server.gateway.arrival import Headers
from caracal_server.gateway.caller import Body
from caracal_server.gateway.passages import CallFailed

_ENDPOINT: Final = ("",)


async def inspect(
    method: str, target: CallTarget, headers: Headers, body: Body | None, limit: int
) -> McpRequest | Refused:
    """Wait for the body, at most `limit` bytes of it, and read the message in it.

    Returns:
        `Refused` for what is no single message that everyone reads alike, and for a body that is too
        large or does not come.
    """
    if target.segments != _ENDPOINT or target.query:
        return Refused(
            Reason.MCP_MESSAGE_INVALID, "an MCP server has one endpoint: call / without a query"
        )
    if method in {LISTEN, END}:
        if body is not None:
            return Refused(Reason.MCP_MESSAGE_INVALID, f"{method} has no body")
        return McpRequest(method)
    if method != "POST":
        return Refused(Reason.OPERATION_UNDECLARED, f"{method} is not passed on to an MCP server")
    try:
        return parse_message(b"" if body is None else await body.take(limit), headers)
    except CallFailed as failed:
        return failed.refused
    except WireError as error:
        return Refused(error.reason, error.description)
