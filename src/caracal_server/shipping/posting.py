"""POST requests to receivers: webhooks and OTLP collectors."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamUrl,
)
from caracal_server.shipping.parts import Undelivered

MAX_ANSWER_BYTES: Final = 1024 * 1024
POST_SECONDS: Final = 120.0
"""For a whole request: a receiver that answers a byte at a time is not waited for."""
MAX_WAIT_SECONDS: Final = 3600.0
_REFUSED: Final = frozenset({400, 413, 422})
"""What a receiver says of a request that it will not take, however often it comes."""

Header = tuple[bytes, bytes]


async def post(
    client: UpstreamClient,
    url: UpstreamUrl,
    headers: Sequence[Header],
    body: bytes,
    *,
    seconds: float = POST_SECONDS,
) -> bytes:
    """Send a body, and return the answer of a receiver that took it.

    Raises:
        Undelivered: it did not, or nobody knows.
    """
    target = url.path + (f"?{url.query}" if url.query else "")
    request = UpstreamRequest("POST", url, target.encode(), headers, _once(body), len(body))
    try:
        async with asyncio.timeout(seconds):
            response = await client.send(request)
            try:
                answer = bytearray()
                async for piece in response.body():
                    answer += piece
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise Undelivered(f"{url.host}: the answer is too long")
            finally:
                await response.aclose()
    except TimeoutError:
        raise Undelivered(f"{url.host}: too slow") from None
    except UpstreamError as fault:
        raise Undelivered(f"{url.host}: {fault.kind}") from None
    if 200 <= response.status < 300:  # noqa: PLR2004 - the range of success
        return bytes(answer)
    wait = _wait(response.headers)
    refused = response.status in _REFUSED
    raise Undelivered(f"{url.host} answered {response.status}", refused=refused, wait=wait)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _wait(headers: Sequence[Header]) -> float:
    """Seconds of a `Retry-After` (RFC 9110 section 10.2.3), bounded; 0 when there is none."""
    value = next((value for name, value in headers if name == b"retry-after"), b"")
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:6]), MAX_WAIT_SECONDS)
    sent = next((value for name, value in headers if name == b"date"), b"")
    try:
        until, since = (parsedate_to_datetime(it) for it in (text, sent.decode("latin-1")))
        seconds = (_aware(until) - _aware(since)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
