"""Keys of OpenID providers, fetched through the egress guard and kept for a while."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

from caracal.tokens.keys import InvalidKey
from caracal.tokens.subject_keys import IssuerKeys, parse_issuer_keys
from caracal_server.ports.clock import Clock
from caracal_server.ports.subjects import IssuerKeysUnavailable
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUrl,
)

MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_URLS: Final = 1024
KEPT_SECONDS: Final = 600
FETCHED_AGAIN_SECONDS: Final = 30
"""For a key id that is not known: whoever makes key ids up can not have more fetched than this."""
TRIED_AGAIN_SECONDS: Final = 5
"""After a failure."""

_HEADERS: Final = ((b"accept", b"application/json"), (b"accept-encoding", b"identity"))
_OK: Final = 200


@dataclass(slots=True)
class _Document:
    """What is known of one URL."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    keys: IssuerKeys | None = None
    fetched_at: float = 0.0
    tried_at: float = float("-inf")
    failure: str = ""

    def answers(self, kid: str, now: float) -> bool:
        """Whether what is here is recent, and knows the key or was fetched just now."""
        if self.keys is None or now >= self.fetched_at + KEPT_SECONDS:
            return False
        return bool(self.keys.named(kid)) or now < self.tried_at + FETCHED_AGAIN_SECONDS


class FetchedIssuerKeys:
    """Implements `PublishedIssuerKeys`. Several that want one URL wait for one fetch."""

    __slots__ = ("_client", "_clock", "_documents", "_fetches")

    def __init__(self, client: UpstreamClient, clock: Clock, fetches: Counter) -> None:
        """Take what is needed.

        Args:
            client: guarded, following no redirects, and bounded in time as a whole.
            clock: for how long a document is kept.
            fetches: has the label `outcome`: fetched or failed.
        """
        self._client = client
        self._clock = clock
        self._fetches = fetches
        self._documents: OrderedDict[str, _Document] = OrderedDict()

    async def keys(self, jwks_url: str, kid: str) -> IssuerKeys:
        document = self._documents.get(jwks_url)
        if document is None:
            document = self._documents[jwks_url] = _Document()
            if len(self._documents) > MAX_URLS:
                self._documents.popitem(last=False)
        self._documents.move_to_end(jwks_url)
        if not document.answers(kid, self._clock.monotonic()):
            async with document.lock:
                await self._refresh(document, jwks_url, kid)
        if document.keys is None:
            raise IssuerKeysUnavailable(document.failure)
        return document.keys

    async def _refresh(self, document: _Document, jwks_url: str, kid: str) -> None:
        now = self._clock.monotonic()
        if document.answers(kid, now):
            return
        if now >= document.fetched_at + KEPT_SECONDS:
            document.keys = None
        if document.failure and now < document.tried_at + TRIED_AGAIN_SECONDS:
            return
        try:
            document.keys = parse_issuer_keys(await self._fetch(jwks_url))
        except (UpstreamError, InvalidKey, ValueError) as error:
            document.failure = str(error)
            self._fetches.labels("failed").inc()
        else:
            document.failure, document.fetched_at = "", now
            self._fetches.labels("fetched").inc()
        finally:
            # After the fetch: who waited for one that timed out is refused, and does not fetch in turn.
            document.tried_at = self._clock.monotonic()

    async def _fetch(self, jwks_url: str) -> bytes:
        """The body of a 200 answer.

        Raises:
            UpstreamError, ValueError: there is none that could be used.
        """
        url = UpstreamUrl.parse(jwks_url)
        if url.scheme != "https":
            raise ValueError(f"{jwks_url} is not https")
        target = url.path + (f"?{url.query}" if url.query else "")
        request = UpstreamRequest("GET", url, target.encode("ascii"), _HEADERS)
        response = await self._client.send(request)
        try:
            return await read_document(response)
        finally:
            await response.aclose()


async def read_document(response: UpstreamResponse, most: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The body of a 200 answer of at most so many bytes.

    Raises:
        UpstreamError, ValueError: it is none.
    """
    if response.status != _OK:
        raise ValueError(f"the answer is {response.status} instead of 200")
    codings = {value.lower() for name, value in response.headers if name == b"content-encoding"}
    if not codings <= {b"identity"}:
        raise ValueError("the answer is encoded, which was not asked for")
    body = bytearray()
    async for chunk in response.body():
        body += chunk
        if len(body) > most:
            raise ValueError(f"the document has more than {most} bytes")
    return bytes(body)
