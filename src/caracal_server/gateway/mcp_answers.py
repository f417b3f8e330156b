"""Refusals that clients of an MCP server must not take for something else."""

from dataclasses import replace
from typing import Final

import msgspec

from caracal.authority.outcomes import Reason, Refused
from caracal.wire.mcp import message_id
from caracal_server.gateway.arrival import Headers, first
from caracal_server.web.asgi import Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, render_oauth

HEADER_MISMATCH: Final = -32020


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: msgspec.Raw


class _ErrorResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    error: _Error
    id: str | int | None = None
    jsonrpc: str = msgspec.field(default_factory=lambda: "2.0")


def variant_for(refused: Refused, headers: Headers) -> Variant | None:
    """In a session 404 says that the session is gone (MCP 2025-11-25): an unknown tool is not that."""
    if refused.reason is Reason.TOOL_UNKNOWN and first(headers, b"mcp-session-id") is not None:
        return Variant.TOOL_UNKNOWN_IN_SESSION
    return None


def render_refusal(problem: Problem, request_id: str, message: bytes) -> Reply:
    """Render for whoever sent `message`: headers that disagree get the protocol's own error."""
    reply = render_oauth(problem, request_id)
    if problem.reason is not Reason.MCP_HEADER_MISMATCH:
        return reply
    error = _Error(HEADER_MISMATCH, f"Header mismatch: {problem.detail}", msgspec.Raw(reply.body))
    return replace(reply, body=msgspec.json.encode(_ErrorResponse(error, message_id(message))))
