"""Refusals that clients of an MCP server must not take for something else."""

from dataclasses import replace
from typing import Final

import msgspec

from caracal.authority.outcomes import Reason, Refused
from caracal.wire.mcp import MODERN, REVISIONS, message_id
from caracal_server.gateway.arrival import Headers, first
from caracal_server.web.asgi import Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, render_oauth

HEADER_MISMATCH: Final = -32020
UNSUPPORTED_REVISION: Final = -32022
METHOD_NOT_FOUND: Final = -32601


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: msgspec.Raw


class _ErrorResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    error: _Error
    id: str | int | None = None
    jsonrpc: str = msgspec.field(default_factory=lambda: "2.0")


class _Unsupported(msgspec.Struct, frozen=True):
    """The data of the protocol's own error, and the refusal beside it."""

    supported: tuple[str, ...]
    requested: str
    reason: Reason
    refusal: msgspec.Raw


def variant_for(refused: Refused, headers: Headers, message: bytes) -> Variant | None:
    """In a session 404 says that the session is gone (MCP 2025-11-25): an unknown tool is not that.

    From 2026-07-28 on there are no sessions, and 404 is what a method gets that is not known.
    """
    if refused.reason is Reason.TOOL_UNKNOWN and first(headers, b"mcp-session-id") is not None:
        return Variant.TOOL_UNKNOWN_IN_SESSION
    if refused.reason is Reason.OPERATION_UNDECLARED and _stated(headers) == MODERN and message:
        return Variant.MCP_METHOD_NOT_FOUND
    return None


def render_refusal(problem: Problem, request_id: str, headers: Headers, message: bytes) -> Reply:
    """Render for whoever sent `message`: where the protocol has an error of its own, that is the body."""
    reply = render_oauth(problem, request_id)
    error = _error(problem, headers, msgspec.Raw(reply.body))
    if error is None:
        return reply
    return replace(reply, body=msgspec.json.encode(_ErrorResponse(error, message_id(message))))


def _error(problem: Problem, headers: Headers, refusal: msgspec.Raw) -> _Error | None:
    if problem.reason is Reason.MCP_HEADER_MISMATCH:
        return _Error(HEADER_MISMATCH, f"Header mismatch: {problem.detail}", refusal)
    if problem.variant is Variant.MCP_METHOD_NOT_FOUND:
        return _Error(METHOD_NOT_FOUND, f"Method not found: {problem.detail}", refusal)
    stated = _stated(headers)
    if problem.reason is Reason.MCP_MESSAGE_INVALID and stated and stated not in REVISIONS:
        data = _Unsupported((MODERN,), stated, problem.reason, refusal)
        encoded = msgspec.Raw(msgspec.json.encode(data))
        return _Error(UNSUPPORTED_REVISION, f"Unsupported revision: {problem.detail}", encoded)
    return None


def _stated(headers: Headers) -> str:
    return (first(headers, b"mcp-protocol-version") or b"").decode("latin-1").strip(" \t")
