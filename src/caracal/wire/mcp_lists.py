"""What an MCP server lists, without what a call would be refused (MCP 2026-07-28, tools and transports).

An answer is JSON, or a stream of events (WHATWG HTML, section 9.2) of which one holds it.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import msgspec

from caracal.authority.mcp import McpRequest
from caracal.authority.tool_pins import Definition
from caracal.wire.errors import WireError
from caracal.wire.mcp import decode_object, request_for, template_beginning
from caracal.wire.tool_definitions import read_definitions

_BOM: Final = b"\xef\xbb\xbf"
_MAX_VALUES: Final = 200_000
_JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream"


class _List(NamedTuple):
    member: str
    key: str
    call: str


_TOOLS: Final = "tools"
_TEMPLATES: Final = "resourceTemplates"
_LISTS: Final = {
    "tools/list": _List(_TOOLS, "name", "tools/call"),
    "prompts/list": _List("prompts", "name", "prompts/get"),
    "resources/list": _List("resources", "uri", "resources/read"),
    "resources/templates/list": _List(_TEMPLATES, "uriTemplate", "resources/read"),
}


Allowed = Callable[[McpRequest], bool]
Seen = Callable[[tuple[Definition, ...]], Collection[str]]
"""Takes note of the tools of a list; returns the names of those not to show, allowed or not."""


class ListFilter:
    """Takes an answer in pieces and gives it back in pieces, at most `limit` bytes of it unread.

    Raises:
        ValueError: from `feed` and `finish`, for an answer that can not be read, or is too large.
    """

    __slots__ = ("_allowed", "_events", "_limit", "_list", "_pending", "_seen")

    def __init__(
        self, kind: _List, allowed: Allowed, limit: int, *, events: bool, seen: Seen
    ) -> None:
        self._list = kind
        self._allowed = allowed
        self._seen = seen
        self._limit = limit
        self._events = events
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be passed on after this piece."""
        pending = self._pending + chunk
        ready = b""
        if self._events:
            ready, pending = self._whole_events(pending)
        if len(pending) > self._limit:
            raise ValueError(f"a list has more than {self._limit} bytes")
        self._pending = pending
        return ready

    def finish(self) -> bytes:
        """What is left at the end; an event that is not whole means nothing."""
        if self._events:
            # A line may end with a carriage return alone; then it has ended now.
            return self._whole_events(self._pending + b"\n")[0] if self._held() else b""
        return self._filtered(self._pending) if self._pending else b""

    def _held(self) -> bool:
        return self._pending.endswith(b"\r")

    def _whole_events(self, pending: bytes) -> tuple[bytes, bytes]:
        # A carriage return at the end may be half of a line's end.
        held = b"\r" if pending.endswith(b"\r") else b""
        text = pending.removesuffix(b"\r").removeprefix(_BOM)
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *events, rest = lines.split(b"\n\n")
        return b"".join(map(self._event, events)), rest + held

    def _event(self, event: bytes) -> bytes:
        others: list[bytes] = []
        data: list[bytes] = []
        for line in event.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
            else:
                others.append(line)
        if b"".join(data):
            others.append(b"data: " + self._filtered(b"\n".join(data)))
        return b"\n".join(others) + b"\n\n"

    def _filtered(self, body: bytes) -> bytes:
        try:
            message = decode_object(body, _MAX_VALUES)
        except WireError as fault:
            raise ValueError(fault.description) from None
        result = message.get("result")
        if not isinstance(result, dict) or self._list.member not in result:
            return msgspec.json.encode(message)
        listed = result[self._list.member]
        if not isinstance(listed, list):
            raise ValueError("a list is none")  # noqa: TRY004 (the server's fault, not a caller's)
        hidden: Collection[str] = ()
        if self._list.member == _TOOLS:
            hidden = self._seen(read_definitions(listed))
        result[self._list.member] = [entry for entry in listed if self._is_allowed(entry, hidden)]
        return msgspec.json.encode(message)

    def _is_allowed(self, entry: Any, hidden: Collection[str]) -> bool:
        if not isinstance(entry, dict):
            return False
        name = entry.get(self._list.key)
        if self._list.member == _TEMPLATES and isinstance(name, str):
            name = template_beginning(name)
        request = request_for(self._list.call, name)
        if request is not None and request.name in hidden:
            return False
        return request is not None and self._allowed(request)


def is_list(request: McpRequest) -> bool:
    """Whether the answer to a request lists what can be called."""
    return request.method in _LISTS


def filter_for(
    request: McpRequest, content_type: bytes, allowed: Allowed, limit: int, seen: Seen
) -> ListFilter:
    """What the answer to a request that `is_list` has to go through.

    Raises:
        ValueError: it is neither JSON nor a stream of events.
    """
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type not in {_JSON, _EVENTS}:
        raise ValueError("a list is neither JSON nor a stream of events")
    return ListFilter(
        _LISTS[request.method], allowed, limit, events=media_type == _EVENTS, seen=seen
    )
