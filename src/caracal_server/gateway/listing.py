"""Lists of an MCP server on their way back: only what a call would be allowed."""

from typing import Final

from msgspec.structs import replace

from caracal.authority.outcomes import Reason, Refused
from caracal.wire.mcp_lists import Allowed, ListFilter, Seen, filter_for, is_list
from caracal_server.gateway.arrival import first
from caracal_server.gateway.enforcement import Admission, IncomingCall
from caracal_server.gateway.passages import CallFailed
from caracal_server.ports.upstream import UpstreamResponse

_OK: Final = 200
_CODED: Final = b"accept-encoding"


def asks_for_list(admission: Admission) -> bool:
    request = admission.admitted.call.mcp
    return request is not None and is_list(request)


def uncoded(incoming: IncomingCall) -> IncomingCall:
    """The same call, whose answer is to come uncompressed."""
    kept = [header for header in incoming.headers if header[0].replace(b"_", b"-") != _CODED]
    return replace(incoming, headers=[*kept, (_CODED, b"identity")])


class Listing:
    """The answer to a request for a list; the answers to all others pass as they are."""

    __slots__ = ("_filter",)

    def __init__(
        self,
        admission: Admission,
        response: UpstreamResponse,
        allowed: Allowed,
        seen: Seen,
        limit: int,
    ) -> None:
        """Look at how the response begins.

        Raises:
            CallFailed: it is a list that can not be read.
        """
        self._filter: ListFilter | None = None
        request = admission.admitted.call.mcp
        if request is None or not is_list(request) or response.status != _OK:
            return
        headers = [(name.lower(), value) for name, value in response.headers]
        if (first(headers, b"content-encoding") or b"identity").lower() != b"identity":
            raise _unreadable("a list has a content coding")
        try:
            content_type = first(headers, b"content-type") or b""
            self._filter = filter_for(request, content_type, allowed, limit, seen)
        except ValueError as fault:
            raise _unreadable(str(fault)) from None

    @property
    def filters(self) -> bool:
        return self._filter is not None

    def feed(self, chunk: bytes) -> bytes:
        """What of the response can be passed on.

        Raises:
            CallFailed: it can not be read.
        """
        if self._filter is None:
            return chunk
        try:
            return self._filter.feed(chunk)
        except ValueError as fault:
            raise _unreadable(str(fault)) from None

    def finish(self) -> bytes:
        """What is left of it.

        Raises:
            CallFailed: it can not be read.
        """
        if self._filter is None:
            return b""
        try:
            return self._filter.finish()
        except ValueError as fault:
            raise _unreadable(str(fault)) from None


def _unreadable(why: str) -> CallFailed:
    return CallFailed(Refused(Reason.UPSTREAM_PROTOCOL, why))
