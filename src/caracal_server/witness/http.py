"""The witness on HTTP: `POST /add-checkpoint` and `GET /health`, within bounds."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from caracal.evidence.witness_protocol import MAX_REQUEST_BYTES, PATH
from caracal_server.web.asgi import NO_SNIFF, NO_STORE, Receive, Reply, Scope, Send, send_reply
from caracal_server.witness.witness import BAD_REQUEST, NOT_FOUND, UNAVAILABLE, Said, Witness

BODY_SECONDS: Final = 10.0
MAX_AT_ONCE: Final = 64

_TOO_LARGE: Final = 413
_METHOD: Final = 405
_TIMEOUT: Final = 408


class _NotRead(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.said = Said(status, f"{text}\n")


@dataclass(slots=True)
class WitnessApp:
    """An ASGI application."""

    witness: Witness
    at_once: int = MAX_AT_ONCE
    _in_flight: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        said = await self._answer(scope, receive)
        content_type = (b"content-type", said.content_type.encode())
        headers = (content_type, NO_STORE, NO_SNIFF)
        await send_reply(send, Reply(said.status, headers, said.text.encode()))

    async def _answer(self, scope: Scope, receive: Receive) -> Said:
        if scope["path"] == "/health":
            return Said(200, "ok\n")
        if scope["path"] != PATH:
            return Said(NOT_FOUND, "there is nothing at this path\n")
        if scope["method"] != "POST":
            return Said(_METHOD, "this path takes POST\n")
        if self._in_flight >= self.at_once:
            return Said(UNAVAILABLE, "too many requests at once\n")
        self._in_flight += 1
        try:
            body = await _read(receive)
            return await self.witness.add_checkpoint(body)
        except _NotRead as fault:
            return fault.said
        finally:
            self._in_flight -= 1


async def _read(receive: Receive) -> str:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise _NotRead(BAD_REQUEST, "the request broke off")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_REQUEST_BYTES:
                    raise _NotRead(_TOO_LARGE, f"a request has at most {MAX_REQUEST_BYTES} bytes")
    except TimeoutError:
        raise _NotRead(_TIMEOUT, "the request took too long") from None
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise _NotRead(BAD_REQUEST, "the request is not UTF-8") from None
