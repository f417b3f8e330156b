"""One message to an MCP server over streamable HTTP, read so that nobody can read it otherwise.

The body goes upstream byte for byte, so whatever parser stands there must find in it what was decided
on. What two parsers could take differently is refused. Sources: JSON-RPC 2.0, MCP 2025-11-25 and
2026-07-28 (transports).
"""

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import msgspec

from caracal.authority.mcp import (
    END,
    LISTEN,
    METHODS,
    RESPONSE,
    McpRequest,
    Target,
    unusable_name,
)
from caracal.authority.outcomes import Reason
from caracal.wire.argument_digest import canonical_arguments
from caracal.wire.errors import WireError

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 20_000
"""Of a message: what it costs to read one is bounded by more than its bytes."""
MAX_INTEGER: Final = 2**53 - 1
MODERN: Final = "2026-07-28"
"""From this revision on, `Mcp-Method` and `Mcp-Name` are required."""
REVISIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25", MODERN)

_ENDED: Final = ("resources/subscribe", "resources/unsubscribe")
"""Methods that name something, and that this revision has no longer."""

_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_$./-]{0,127}")
_RESERVED: Final = frozenset({RESPONSE, LISTEN, END})
_NOTIFICATION: Final = "notifications/"
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_DECIDING: Final = frozenset({"name", "uri", "arguments", "_meta", "ref", "notifications"})
_WATCHED: Final = "resourceSubscriptions"
_SUBSCRIBED: Final = frozenset(
    {"toolsListChanged", "promptsListChanged", "resourcesListChanged", _WATCHED}
)
_NAME_REQUIRED: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
_MEDIA_TYPE: Final = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE)
_SENTINEL: Final = ("=?base64?", "?=")
_SMALL: Final = 4_096
"""Bytes, in which there is no room for too many values."""
_LARGE: Final = re.compile(rb"[0-9]{16}|[0-9][eE]")
"""In the text of every number that is out of bounds."""
_SEPARATOR: Final = re.compile(r"[/?#;]")
_READ: Final = frozenset(
    {
        b"content-encoding",
        b"content-type",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
    }
)

Headers = Sequence[tuple[bytes, bytes]]


class _Message(msgspec.Struct, frozen=True):
    request: McpRequest
    version: str | None = None
    notification: bool = False


def parse_message(body: bytes, headers: Headers) -> McpRequest:
    """Read the message of a `POST`.

    Args:
        body: all of it.
        headers: of the request; names in lower case.

    Raises:
        WireError: MCP_MESSAGE_INVALID, MCP_HEADER_MISMATCH when the headers say something else, or
            OPERATION_UNDECLARED for a method that the revision has no longer.
    """
    fields = _fields(headers)
    if fields.get("content-encoding", "identity").lower() != "identity":
        _invalid("the body has a content coding: send it uncompressed")
    if _MEDIA_TYPE.fullmatch(fields.get("content-type", "")) is None:
        _invalid("send Content-Type: application/json")
    said = decode_object(body)
    if fields.get("mcp-protocol-version") == MODERN and said.get("method") in _ENDED:
        description = f"{MODERN} has no {said['method']}: listen with subscriptions/listen"
        raise WireError(description, code="invalid_request", reason=Reason.OPERATION_UNDECLARED)
    message = _read(said)
    _check_version(fields.get("mcp-protocol-version"), message)
    _check_mirrored(fields, message)
    return message.request


def message_id(body: bytes) -> str | int | None:
    """The id of a message, for an answer about it; `None` when it has none that can be told."""
    try:
        found = decode_object(body).get("id")
    except WireError:
        return None
    return found if _is_id(found) else None


def _fields(headers: Headers) -> dict[str, str]:
    """The headers that are read here, each once; servers read `_` in a name as `-`."""
    found: dict[str, str] = {}
    for given, value in headers:
        name = given.replace(b"_", b"-")
        if name in _READ:
            text = name.decode()
            if text in found:
                refuse = _mismatch if text.startswith("mcp-") else _invalid
                refuse(f"the header {text} may stand only once")
            found[text] = value.decode("latin-1").strip(" \t")
    return found


def request_for(method: str, name: object) -> McpRequest | None:
    """What some message with this method and name would ask for; `None` when no such message passes."""
    try:
        request = _request(method, {"uri": name, "name": name})
    except WireError:
        return None
    return msgspec.structs.replace(request, hypothetical=True)


def decode_object(body: bytes, max_values: int = MAX_VALUES) -> dict[str, Any]:
    """Decode a JSON object that has one reading, and at most so many values in it.

    Raises:
        WireError: MCP_MESSAGE_INVALID.
    """
    try:
        message = _DECODER.decode(body.decode())
        if (
            len(body) > _SMALL
            or body.count(b"[") + body.count(b"{") > MAX_DEPTH
            or _LARGE.search(body) is not None
        ):
            _check_values(message, max_values)
        # Only a lone surrogate is left that can not be written.
        msgspec.json.encode(message)
    except (UnicodeError, RecursionError):
        _invalid("the body is not JSON in UTF-8, or is nested too deep")
    except ValueError as fault:
        _invalid(f"the body is not JSON: {str(fault)[:100]}")
    if isinstance(message, list):
        _invalid("the body is a batch: send each message in a request of its own")
    if not isinstance(message, dict):
        _invalid("the body is no JSON object")
    return message


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is stated twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)


def _check_values(root: object, left: int) -> None:
    """Hold depth and numbers to what every reader keeps (RFC 7493 section 2.2)."""
    stack = [(root, 1)]
    while stack:
        value, depth = stack.pop()
        left -= 1
        if left < len(stack):
            raise ValueError("there are too many values in it")
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
            inside = value.values() if isinstance(value, dict) else value
            stack.extend((item, depth + 1) for item in inside)
        elif isinstance(value, float):
            if not isfinite(value):
                raise ValueError("a number is too large")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ValueError("an integer is beyond 2^53 - 1: send it as text")


def _read(message: dict[str, Any]) -> _Message:
    if message.get("jsonrpc") != "2.0":
        _invalid("jsonrpc must be 2.0")
    if "id" in message and not _is_id(message["id"]):
        _invalid("id must be text or an integer")
    members = message.keys() - {"jsonrpc", "id"}
    if members in ({"result"}, {"error"}) and "id" in message:
        if not all(isinstance(message[answer], dict) for answer in members):
            _invalid("result or error must be an object")
        return _Message(McpRequest(RESPONSE))
    if not {"method"} <= members <= {"method", "params"}:
        _invalid("a message has the members jsonrpc, id, method and params, and no others")
    method = message["method"]
    if not isinstance(method, str) or _METHOD.fullmatch(method) is None or method in _RESERVED:
        _invalid("method is not the name of a method")
    notification = method.startswith(_NOTIFICATION)
    if notification is ("id" in message):
        _invalid("a request has an id, a notification has none")
    params = _params(message)
    return _Message(_request(method, params), _stated_version(params), notification)


def _params(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params", {})
    if not isinstance(params, dict):
        _invalid("params must be an object")
    for name in params:
        if name not in _DECIDING and name.casefold() in _DECIDING:
            _invalid(f"params has {name[:20]!r}, which some readers take for {name.casefold()!r}")
    return params


def _request(method: str, params: dict[str, Any]) -> McpRequest:
    if method == "completion/complete":
        return _completion(params)
    if method == "subscriptions/listen":
        return _subscription(params)
    target = METHODS.get(method, Target.NOTHING)
    if target is Target.NOTHING:
        return McpRequest(method)
    member = "uri" if target is Target.CONTENT else "name"
    name = params.get(member)
    if not isinstance(name, str):
        _invalid(f"{method} needs params.{member}, a text")
    if fault := unusable_name(name):
        _invalid(f"params.{member} {fault}")
    if target is Target.CONTENT:
        _check_uri(name)
        return McpRequest(method, name)
    if "arguments" not in params:
        return McpRequest(method, name)
    if not isinstance(params["arguments"], dict):
        _invalid("params.arguments must be an object")
    return _with_arguments(McpRequest(method, name), params["arguments"])


def _with_arguments(request: McpRequest, arguments: dict[str, Any]) -> McpRequest:
    said = canonical_arguments(arguments)
    digest = hashlib.sha256(said).hexdigest()
    return msgspec.structs.replace(request, arguments=digest, said=said.decode())


def _completion(params: dict[str, Any]) -> McpRequest:
    """Completion of an argument of a prompt, or of a variable of a template: by its literal beginning."""
    ref = params.get("ref")
    if not isinstance(ref, dict) or ref.get("type") not in ("ref/prompt", "ref/resource"):
        _invalid("completion/complete needs params.ref, of a prompt or a resource")
    member = "name" if ref["type"] == "ref/prompt" else "uri"
    name = ref.get(member)
    if not isinstance(name, str):
        _invalid(f"params.ref needs {member}, a text")
    about = Target.PROMPT
    if member == "uri":
        name, about = template_beginning(name), Target.CONTENT
        _check_uri(name)
    if fault := unusable_name(name):
        _invalid(f"params.ref.{member} {fault}")
    said = {key: value for key, value in params.items() if key in {"argument", "context"}}
    return _with_arguments(McpRequest("completion/complete", name, about=about), said)


def _subscription(params: dict[str, Any]) -> McpRequest:
    """What a stream is to tell of: changes of lists, and of one resource (MCP 2026-07-28)."""
    wanted = params.get("notifications", {})
    if not isinstance(wanted, dict) or not wanted.keys() <= _SUBSCRIBED:
        _invalid(f"params.notifications has members other than {', '.join(sorted(_SUBSCRIBED))}")
    uris = wanted.get(_WATCHED, [])
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        _invalid(f"params.notifications.{_WATCHED} must be a list of texts")
    if not uris:
        return McpRequest("subscriptions/listen")
    if len(uris) > 1:
        _invalid("watch one resource in a request: each is decided on by itself")
    if fault := unusable_name(uris[0]):
        _invalid(f"params.notifications.{_WATCHED} {fault}")
    _check_uri(uris[0])
    return McpRequest("subscriptions/listen", uris[0], about=Target.CONTENT)


def template_beginning(template: str) -> str:
    """What every URI of a template (RFC 6570) begins with."""
    return template.partition("{")[0]


def _check_uri(uri: str) -> None:
    """No way up, however often it is decoded: rules go by how a URI begins."""
    before, text = "", uri
    while before != text:
        if "\\" in text or not {".", ".."}.isdisjoint(_SEPARATOR.split(text)):
            _invalid("params.uri has a dot segment or a backslash")
        before, text = text, unquote(text)


def _stated_version(params: dict[str, Any]) -> str | None:
    meta = params.get("_meta", {})
    if not isinstance(meta, dict):
        _invalid("params._meta must be an object")
    version = meta.get(_VERSION)
    if version is not None and not isinstance(version, str):
        _invalid(f"params._meta.{_VERSION} must be text")
    return version


def _check_version(version: str | None, message: _Message) -> None:
    if message.version is not None and message.version != version:
        _mismatch("MCP-Protocol-Version is not the revision that the message states")
    if version is not None and version not in REVISIONS:
        _invalid(f"MCP-Protocol-Version must be one of {', '.join(REVISIONS)}")


def _check_mirrored(fields: dict[str, str], message: _Message) -> None:
    request = message.request
    modern = fields.get("mcp-protocol-version") == MODERN
    response = request.method == RESPONSE
    method = fields.get("mcp-method")
    if method is None:
        if modern and not response and not message.notification:
            _mismatch("Mcp-Method is missing")
    elif response or method != request.method:
        _mismatch("Mcp-Method is not the method of the message")
    name = fields.get("mcp-name")
    if name is None:
        if modern and request.method in _NAME_REQUIRED:
            _mismatch("Mcp-Name is missing")
    elif not request.name or _decode_name(name) != request.name:
        _mismatch("Mcp-Name is not the name in the message")


def _decode_name(value: str) -> str | None:
    prefix, suffix = _SENTINEL
    if not value.isascii():
        return None
    if not (value.startswith(prefix) and value.endswith(suffix)):
        return value
    try:
        return b64decode(value[len(prefix) : -len(suffix)], validate=True).decode()
    except ValueError:
        return None


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _invalid(description: str) -> NoReturn:
    raise WireError(description, code="invalid_request", reason=Reason.MCP_MESSAGE_INVALID)


def _mismatch(description: str) -> NoReturn:
    raise WireError(description, code="invalid_request", reason=Reason.MCP_HEADER_MISMATCH)
