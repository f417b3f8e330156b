"""Requests to witnesses, through the egress guard."""

from collections.abc import AsyncIterator
from typing import Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.witness_protocol import MAX_ANSWER_BYTES, PATH, Answer, parse_answer
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUrl,
)
from caracal_server.ports.witnesses import WitnessUnreachable

_HEADERS: Final = (
    (b"accept-encoding", b"identity"),
    (b"content-type", b"text/plain; charset=utf-8"),
)


class GuardedWitnessClient:
    """Implements `WitnessClient` on a client that is guarded and bounded in time as a whole."""

    __slots__ = ("_client",)

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def add_checkpoint(self, prefix: str, body: str) -> Answer:
        """Post a request; see `WitnessClient.add_checkpoint`."""
        data = body.encode()
        try:
            url = _url(prefix)
            request = UpstreamRequest(
                "POST", url, url.path.encode("ascii"), _HEADERS, _one(data), len(data)
            )
            response = await self._client.send(request)
            try:
                return await _answer(response)
            finally:
                await response.aclose()
        except (UpstreamError, EvidenceError, ValueError) as fault:
            raise WitnessUnreachable(str(fault)) from None


def _url(prefix: str) -> UpstreamUrl:
    url = UpstreamUrl.parse(prefix.removesuffix("/") + PATH)
    if url.query:
        raise ValueError("a submission prefix has no query")
    return url


async def _answer(response: UpstreamResponse) -> Answer:
    types = [value for name, value in response.headers if name == b"content-type"]
    body = bytearray()
    async for chunk in response.body():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise EvidenceError(f"an answer has at most {MAX_ANSWER_BYTES} bytes")
    content_type = types[0].decode("latin-1") if types else ""
    return parse_answer(response.status, content_type, bytes(body))


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
