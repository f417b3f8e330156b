"""Reads HTTP/1.1 responses. Pure: bytes in, head and body chunks out, no sockets.

The parser underneath is llhttp in its strict mode, which refuses bare line feeds, folded
fields, and a Content-Length that is malformed, repeated or next to Transfer-Encoding.
What it lets through and a proxy must not is refused here.

Source: RFC 9112 sections 6 and 9, RFC 9110 section 15.2.
"""

from typing import NoReturn

import httptools

from caracal_server.ports.upstream import UpstreamError, UpstreamErrorKind

_NO_CONTENT = 204
_NOT_MODIFIED = 304


class ResponseReader:
    """Reads one response after another from one connection; `begin` before each."""

    __slots__ = (
        "_content_length",
        "_fault",
        "_for_head_request",
        "_head_bytes",
        "_max_head_bytes",
        "_parser",
        "_transfer_encoding",
        "_unproductive_bytes",
        "_until_close",
        "chunks",
        "complete",
        "head_complete",
        "headers",
        "reusable",
        "status",
    )

    def __init__(self, max_head_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._parser = httptools.HttpResponseParser(self)
        self.begin(for_head_request=False)

    def begin(self, *, for_head_request: bool) -> None:
        """Expect the response to a new request."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.head_complete = False
        self.complete = False
        self.reusable = False
        """Whether another response may follow on the same connection."""
        self._for_head_request = for_head_request
        self._until_close = False
        self._head_bytes = 0
        self._unproductive_bytes = 0
        self._content_length: bytes | None = None
        self._transfer_encoding: bytes | None = None
        self._fault: UpstreamError | None = None

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Raises:
            UpstreamError: `protocol_error` or `header_too_large`; the connection is of no more
                use.
        """
        self._unproductive_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise self._fault or _protocol_error(str(error)) from None
            self.reusable = False  # the response was whole, what followed it was not one
        # Bytes that yield neither a head nor a body are bounded: trailers and chunk
        # extensions would otherwise go on for ever.
        if self._unproductive_bytes > self._max_head_bytes and not self.complete:
            if self.head_complete:
                raise _protocol_error("too much framing around too little body")
            raise _head_too_large()

    def feed_eof(self, *, authentic: bool) -> None:
        """Take the end of the connection.

        Args:
            authentic: false when TLS was cut off, so that anyone may have ended it.

        Raises:
            UpstreamError: `closed_early`; the response is not whole.
        """
        if self.complete:
            return
        if not (self._until_close and authentic):
            raise UpstreamError(
                UpstreamErrorKind.CLOSED_EARLY,
                "the upstream closed the connection before the end of its response",
                request_sent=True,
            )
        self.complete = True

    # What follows is called by the parser, in the order of the bytes.

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._max_head_bytes:
            self._refuse(_head_too_large())
        if self.head_complete:
            return  # a trailer field: nothing downstream may depend on it
        name = name.lower()
        if name == b"content-length":
            self._content_length = value
        elif name == b"transfer-encoding":
            if self._transfer_encoding is not None:
                self._refuse(_protocol_error("more than one Transfer-Encoding"))
            self._transfer_encoding = value
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        self._refuse_unsafe_framing()
        if self.status < 200:  # noqa: PLR2004 - interim responses, RFC 9110 section 15.2
            self.headers = []
            return
        self.head_complete = True
        self._unproductive_bytes -= self._head_bytes
        if self._for_head_request:
            self.complete = True  # whatever follows is dropped with the connection
        self._until_close = (
            self._transfer_encoding is None
            and self._content_length is None
            and self.status not in (_NO_CONTENT, _NOT_MODIFIED)
        )

    def on_body(self, chunk: bytes) -> None:
        if not self.complete:
            self._unproductive_bytes = 0
            self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self.complete or not self.head_complete:
            return
        self.complete = True
        self.reusable = self._parser.should_keep_alive() and not (
            # Upstreams are known to send the body that a 304 only announces.
            self.status == _NOT_MODIFIED
            and (self._transfer_encoding or self._content_length not in (None, b"0"))
        )

    def _refuse_unsafe_framing(self) -> None:
        status, version = self.status, self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(_protocol_error(f"HTTP/{version} was not asked for"))
        if status == 101 or not 100 <= status < 600:  # noqa: PLR2004 - RFC 9110 section 15
            self._refuse(_protocol_error(f"status {status} was not to be expected"))
        coding = self._transfer_encoding
        if coding is not None and (coding.lower() != b"chunked" or version != "1.1"):
            self._refuse(_protocol_error("a Transfer-Encoding other than chunked"))
        if (status < 200 or status == _NO_CONTENT) and (  # noqa: PLR2004 - as above
            coding is not None or self._content_length not in (None, b"0")
        ):
            self._refuse(_protocol_error(f"status {status} announces a body"))

    def _refuse(self, fault: UpstreamError) -> NoReturn:
        """Stop the parser; it replaces what a callback raises by an error of its own."""
        self._fault = fault
        raise fault


def _protocol_error(detail: str) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.PROTOCOL_ERROR, detail, request_sent=True)


def _head_too_large() -> UpstreamError:
    detail = "the response head is longer than the limit"
    return UpstreamError(UpstreamErrorKind.HEADER_TOO_LARGE, detail, request_sent=True)
