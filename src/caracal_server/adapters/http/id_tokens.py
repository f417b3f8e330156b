"""ID tokens of people who signed in, from the provider's token endpoint (OpenID Connect Core 3.1.3)."""

from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from caracal.tokens.jws import RawToken
from caracal_server.adapters.http.issuer_keys import read_document
from caracal_server.ports.subjects import SignInFailed
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamUrl,
)

_HEADERS: Final = (
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
    (b"content-type", b"application/x-www-form-urlencoded"),
)


class _Answer(msgspec.Struct):
    id_token: str


class FetchedIdTokens:
    """Implements `IdTokens`. The client is guarded, follows no redirects, and is bounded in time."""

    __slots__ = ("_client",)

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def redeem(self, token_url: str, fields: Mapping[str, str]) -> RawToken:
        try:
            body = await self._post(token_url, urlencode(fields).encode())
            return RawToken(msgspec.json.decode(body, type=_Answer).id_token.encode())
        except (UpstreamError, ValueError) as error:
            raise SignInFailed(str(error)) from None

    async def _post(self, token_url: str, form: bytes) -> bytes:
        url = UpstreamUrl.parse(token_url)
        if url.scheme != "https":
            raise ValueError(f"{token_url} is not https")
        target = url.path + (f"?{url.query}" if url.query else "")
        request = UpstreamRequest(
            "POST", url, target.encode("ascii"), _HEADERS, _one(form), len(form)
        )
        response = await self._client.send(request)
        try:
            return await read_document(response)
        finally:
            await response.aclose()


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
