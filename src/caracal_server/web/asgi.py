"""ASGI as this server speaks it: its types, and answers whose bytes are ready to send."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")
NO_STORE: Header = (b"cache-control", b"no-store")
NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
JSON_HEADERS: tuple[Header, ...] = (JSON, NO_STORE, NO_SNIFF)
"""What every JSON answer carries; `content-length` and `x-request-id` come on top."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `headers` lack `content-length`, which `send_reply` adds."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer that is complete."""
    length = (b"content-length", str(len(reply.body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [*reply.headers, length],
        }
    )
    await send({"type": "http.response.body", "body": reply.body})


async def send_json(
    send: Send, status: int, body: bytes, *, request_id: str, more: Iterable[Header] = ()
) -> None:
    """Send JSON that is already rendered, as the hot paths do."""
    headers = [
        *JSON_HEADERS,
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
