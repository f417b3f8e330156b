"""Asking one peer: the request is proven to it, and its answer to us."""

import asyncio
import contextlib
import hmac
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from caracal.authority.outcomes import Reason, Unavailable
from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
)
from caracal_server.web.peers.messages import Done, Fault, decode, encode
from caracal_server.web.peers.proofs import (
    ANSWER_HEADER,
    NONCE_BYTES,
    REQUEST_HEADER,
    Claim,
    answer_mac,
    digest_of,
    render_claim,
    request_mac,
)
from caracal_server.web.peers.services import ALIVE, PERMISSIONS, Ask, PeerName, service_of

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
WATCH_SECONDS: Final = 2.0
_OK: Final = 200

Shape = TypeVar("Shape")


@dataclass(slots=True)
class PeerChannel:
    """One service as another one asks it. What went wrong last is kept for readiness.

    Attributes:
        reason: what a caller is told when the peer can not be reached.
    """

    me: PeerName
    peer: PeerName
    key: bytes = field(repr=False)
    url: UpstreamUrl
    client: UpstreamClient
    clock: Clock
    entropy: Entropy
    reason: Reason = Reason.PEER_UNAVAILABLE
    failing: str | None = field(default="has not been reached yet", init=False)

    async def ask(self, ask: Ask, message: object, shape: type[Shape]) -> Shape:
        """Ask, once; nothing is repeated.

        Raises:
            Unavailable: no proven answer came, or the peer can not do it. It may have been done.
        """
        if PERMISSIONS[ask].of is not service_of(self.peer):
            raise ValueError(f"{ask} is not for {self.peer} to answer")
        return await self._ask(ask.path, message, shape)

    async def watch(self) -> None:
        """Ask every other second whether the peer is there, until cancelled; for readiness."""
        while True:
            with contextlib.suppress(Unavailable):
                await self._ask(ALIVE, Done(), Done)
            await asyncio.sleep(WATCH_SECONDS)

    async def _ask(self, path: str, message: object, shape: type[Shape]) -> Shape:
        body = encode(message)
        at_us = self.clock.now_us()
        nonce = self.entropy.token_bytes(NONCE_BYTES).hex().encode()
        digest = digest_of(body)
        mac = request_mac(self.key, self.me, self.peer, path, at_us, nonce, digest)
        claim = render_claim(Claim(self.me, at_us, nonce, digest, mac))
        status, answer = await self._exchange(path, claim, mac, body)
        if status != _OK:
            raise self._refusal(status, answer)
        try:
            found = decode(answer, shape)
        except msgspec.DecodeError:
            raise self._unavailable("answered something that can not be read") from None
        self.failing = None
        return found

    async def _exchange(
        self, path: str, claim: bytes, mac: bytes, body: bytes
    ) -> tuple[int, bytes]:
        request = UpstreamRequest(
            method="POST",
            url=self.url,
            target=path.encode(),
            headers=((b"content-type", b"application/json"), (REQUEST_HEADER, claim)),
            body=_Once(body),
            content_length=len(body),
        )
        try:
            response = await self.client.send(request)
            try:
                answer = await self._whole(response)
            finally:
                await response.aclose()
        except UpstreamError as error:
            raise self._unavailable(f"can not be reached ({error.kind})") from None
        proof = next((value for name, value in response.headers if name == ANSWER_HEADER), b"")
        expected = answer_mac(self.key, mac, response.status, answer)
        if not hmac.compare_digest(proof, expected):
            why = "does not accept who asks" if response.status == 401 else "is not proven"  # noqa: PLR2004 (HTTP)
            raise self._unavailable(why)
        return response.status, answer

    async def _whole(self, response: UpstreamResponse) -> bytes:
        answer = bytearray()
        async for chunk in response.body():
            answer += chunk
            if len(answer) > MAX_ANSWER_BYTES:
                raise self._unavailable("answered without end")
        return bytes(answer)

    def _refusal(self, status: int, answer: bytes) -> Unavailable:
        try:
            fault = decode(answer, Fault)
        except msgspec.DecodeError:
            return self._unavailable(f"answered {status}")
        if status != 503:  # noqa: PLR2004 (HTTP)
            return self._unavailable(fault.detail)
        self.failing = None
        return Unavailable(fault.reason, fault.detail)

    def _unavailable(self, why: str) -> Unavailable:
        self.failing = f"{self.peer} {why}"
        return Unavailable(self.reason, self.failing)

    def check(self) -> str | None:
        """What readiness asks."""
        return self.failing


class _Once:
    """A body in one piece; a generator that is not read to its end would have to be ended."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __aiter__(self) -> "_Once":
        return self

    async def __anext__(self) -> bytes:
        body, self._body = self._body, b""
        if not body:
            raise StopAsyncIteration
        return body
