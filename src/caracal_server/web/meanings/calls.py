"""Calls through the Gateway."""

from caracal.authority.outcomes import Reason
from caracal_server.web.meanings.answers import Answer, Meaning, Meanings

_MALFORMED = Answer(400, "invalid_token")
_INVALID_REQUEST = Answer(400, "invalid_request")
_NOT_PERMITTED = Answer(403, "operation_not_permitted")
_BAD_GATEWAY = Answer(502, "internal_error")

MEANINGS: Meanings = {
    Reason.ROUTING_MISSING: Meaning(
        "the request does not say which resource it is for",
        "send the resource's identifier in X-Caracal-Resource",
        oauth=_MALFORMED,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.ROUTING_FORBIDDEN_HEADER: Meaning(
        "the request carries a header that it may not",
        "leave out the header that the description names; the mandate says who calls",
        oauth=_MALFORMED,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.HEADER_DUPLICATE: Meaning(
        "a header that decides appears more than once",
        "send the header that the description names once",
        oauth=_MALFORMED,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.FRAMING_INVALID: Meaning(
        "the request's length is ambiguous",
        "send either one Content-Length or one Transfer-Encoding: chunked",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.PATH_UNSAFE: Meaning(
        "the path could be read in two ways",
        "send a path without dot segments, backslashes, encoded slashes or broken escapes",
        oauth=_MALFORMED,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.METHOD_UNSUPPORTED: Meaning(
        "the method is not supported here",
        "use a method that the description names",
        oauth=Answer(405, "invalid_request"),
        coordinator=Answer(405, "method_not_allowed"),
        problem=405,
    ),
    Reason.TARGET_MISMATCH: Meaning(
        "the mandate is for another resource",
        "get a mandate for the resource that is called",
        oauth=Answer(403, "access_denied"),
        coordinator=Answer(403, "access_denied"),
        problem=403,
    ),
    Reason.OPERATION_UNDECLARED: Meaning(
        "the resource declares no such operation",
        "call a declared operation, or have an operator declare this one in the zone file",
        oauth=_NOT_PERMITTED,
        coordinator=_NOT_PERMITTED,
        problem=403,
    ),
    Reason.OPERATION_SCOPE_MISSING: Meaning(
        "the mandate lacks the operation's scope",
        "get a mandate that carries the scope the description names",
        oauth=_NOT_PERMITTED,
        coordinator=_NOT_PERMITTED,
        problem=403,
    ),
    Reason.TOOL_UNKNOWN: Meaning(
        "the MCP server has no tool, prompt or resource of that name here",
        "call one that is listed, or have an operator declare this one in the zone file",
        oauth=Answer(404, "tool_unknown"),
        coordinator=Answer(404, "not_found"),
        problem=404,
    ),
    Reason.TOOL_DEFINITION_CHANGED: Meaning(
        "the MCP server defines the tool otherwise than before",
        "have an operator look at `caracal tools diff` and accept what is right",
        oauth=_NOT_PERMITTED,
        coordinator=_NOT_PERMITTED,
        problem=409,
    ),
    Reason.TOOL_DEFINITION_UNACCEPTED: Meaning(
        "no operator has accepted the tool's definition, which this resource demands",
        "have an operator look at `caracal tools list` and accept it",
        oauth=_NOT_PERMITTED,
        coordinator=_NOT_PERMITTED,
        problem=403,
    ),
    Reason.MCP_MESSAGE_INVALID: Meaning(
        "the request is not one MCP message that everyone reads alike",
        "send one JSON-RPC 2.0 message, uncompressed, as application/json in UTF-8, to the path /",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.MCP_SESSION_FOREIGN: Meaning(
        "the session of the MCP server was begun by another caller",
        "begin a session of your own with initialize",
        oauth=Answer(404, "session_unknown"),
        coordinator=Answer(404, "not_found"),
        problem=404,
    ),
    Reason.MCP_HEADER_MISMATCH: Meaning(
        "a header of the request says something else than its message",
        "send Mcp-Method, Mcp-Name and MCP-Protocol-Version as the message has them",
        oauth=_INVALID_REQUEST,
        coordinator=_INVALID_REQUEST,
        problem=400,
    ),
    Reason.HEADERS_TOO_LARGE: Meaning(
        "the request's headers are too large",
        "send fewer or shorter headers",
        oauth=Answer(431, "invalid_request"),
        coordinator=Answer(431, "invalid_request"),
        problem=431,
    ),
    Reason.BODY_TOO_LARGE: Meaning(
        "the body is too large",
        "send at most the number of bytes that the description names",
        oauth=Answer(413, "payload_too_large"),
        coordinator=Answer(413, "payload_too_large"),
        problem=413,
    ),
    Reason.EGRESS_REFUSED: Meaning(
        "the upstream's address may not be called",
        "have an operator list the address as a permitted private one, if it is meant to be reached",
        oauth=_BAD_GATEWAY,
        coordinator=_BAD_GATEWAY,
        problem=502,
    ),
    Reason.CREDENTIAL_HOST_REFUSED: Meaning(
        "the credential may not be sent to the upstream's host",
        "have an operator add the host to the provider's allowed hosts",
        oauth=_BAD_GATEWAY,
        coordinator=_BAD_GATEWAY,
        problem=502,
    ),
    Reason.CREDENTIAL_UNAVAILABLE: Meaning(
        "the upstream's credential is not available",
        "have an operator set the provider's secret again",
        oauth=Answer(502, "http_request_failed"),
        coordinator=Answer(502, "http_request_failed"),
        problem=502,
    ),
    Reason.UPSTREAM_UNREACHABLE: Meaning(
        "the upstream cannot be reached",
        "check that the upstream runs and that its URL in the zone file is right",
        oauth=_BAD_GATEWAY,
        coordinator=_BAD_GATEWAY,
        problem=502,
    ),
    Reason.UPSTREAM_TIMEOUT: Meaning(
        "the upstream took too long",
        "look at the upstream before repeating: the call may have taken effect",
        oauth=Answer(504, "internal_error"),
        coordinator=Answer(504, "internal_error"),
        problem=504,
    ),
    Reason.UPSTREAM_PROTOCOL: Meaning(
        "the upstream's response is not valid HTTP",
        "look at the upstream before repeating: the call may have taken effect",
        oauth=_BAD_GATEWAY,
        coordinator=_BAD_GATEWAY,
        problem=502,
    ),
    Reason.UPSTREAM_CLOSED_EARLY: Meaning(
        "the upstream closed the connection before its response was whole",
        "look at the upstream before repeating: the call may have taken effect",
        oauth=_BAD_GATEWAY,
        coordinator=_BAD_GATEWAY,
        problem=502,
    ),
    Reason.CLIENT_GONE: Meaning(
        "the client closed the connection before it had its answer",
        "wait longer; the call may have taken effect",
        oauth=Answer(499, "internal_error"),
        coordinator=Answer(499, "internal_error"),
        problem=499,
    ),
}
