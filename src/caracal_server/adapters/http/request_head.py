"""Renders request heads. Refuses, before a byte is written, what could be read two ways."""

import re
from functools import lru_cache

from caracal_server.ports.upstream import CLIENT_OWNED_HEADERS, UpstreamRequest

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*+")
_FIELD_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ANNOUNCE_EMPTY_BODY = frozenset({"POST", "PUT", "PATCH"})


def render_head(request: UpstreamRequest, host_line: bytes) -> bytes:
    """Render request line and fields, ready to be followed by the framed body.

    Args:
        request: what to send.
        host_line: the Host field of the origin, without its line end.

    Raises:
        ValueError: method, target, a field or the announced length cannot be sent.

    Source: RFC 9110 section 5, RFC 9112 sections 3 and 6.
    """
    method = request.method
    if _METHOD.fullmatch(method) is None or method == "CONNECT":
        raise ValueError(f"{method!r} is not a method that can be forwarded")
    if _TARGET.fullmatch(request.target) is None:
        raise ValueError("the request target is not a path with an optional query")
    framing = _framing(request)
    head = b"%b %b HTTP/1.1\r\n%b" % (method.encode(), request.target, host_line)
    lines = [_line_start(name) + value for name, value in request.headers]
    # Line ends are joined in afterwards, so a control character is one that was smuggled in.
    if lines and _CONTROL.search(b"".join(lines)):
        raise ValueError("a header value holds a control character")
    return b"\r\n".join([head, *lines, framing])


@lru_cache(maxsize=1024)
def _line_start(name: bytes) -> bytes:
    if _FIELD_NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:64]!r} is not a header name")
    if name.lower() in CLIENT_OWNED_HEADERS:
        raise ValueError(f"{name!r} is for the upstream client to write")
    return name + b": "


def _framing(request: UpstreamRequest) -> bytes:
    length = request.content_length
    if length is not None and length < 0:
        raise ValueError("a content length is not negative")
    if request.body is None:
        if length:
            raise ValueError("a content length without a body")
        announce = length == 0 or request.method in _ANNOUNCE_EMPTY_BODY
        return b"Content-Length: 0\r\n\r\n" if announce else b"\r\n"
    if length is None:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    return b"Content-Length: %d\r\n\r\n" % length
