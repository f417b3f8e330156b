"""Asking an ASGI application without a server in between."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

Headers = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """What an application sent; `whole` when it said that nothing more comes."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    whole: bool = False

    def header(self, name: str) -> str | None:
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(found) < 2, f"{name} stands {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and reason of a refusal, whose form is checked on the way."""
        body = self.json
        assert body.keys() == {"error", "error_description", "reason", "hint", "requestId"}
        assert body["requestId"] == self.header("x-request-id")
        assert self.header("content-type") == "application/json"
        assert self.header("cache-control") == "no-store"
        return self.status, body["error"], body["reason"]


class Client:
    """One request's side of an application: sends chunks, then waits until it is made to leave."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self.answer = Answer()
        self.received = 0
        self.gone = asyncio.Event()
        self.begun = asyncio.Event()
        self._messages = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in body
        ]
        if self._messages:
            self._messages[-1]["more_body"] = False
        else:
            self._messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> dict[str, Any]:
        if self.received < len(self._messages):
            self.received += 1
            return self._messages[self.received - 1]
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        answer = self.answer
        if message["type"] == "http.response.start":
            assert not answer.status, "a second answer"
            answer.status, answer.headers = message["status"], list(message["headers"])
            self.begun.set()
        else:
            assert answer.status, "a body before the head"
            assert not answer.whole, "a body after the end"
            answer.body += message.get("body", b"")
            if message.get("body"):
                answer.chunks.append(message["body"])
            answer.whole = not message.get("more_body", False)


def scope(method: str, target: str, headers: Headers, **changes: Any) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 80),
        **changes,
    }


async def ask(
    app: Any,
    method: str,
    target: str,
    headers: Headers,
    body: Iterable[bytes] = (),
    **changes: Any,
) -> Answer:
    """One request, to its end."""
    client = Client(body)
    async with asyncio.timeout(10):
        await app(scope(method, target, headers, **changes), client.receive, client.send)
    return client.answer
