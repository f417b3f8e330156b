"""Client ID Metadata Documents, fetched behind the egress rules and kept for a while."""

from collections import OrderedDict
from typing import Final

from caracal.wire.client_metadata import MAX_DOCUMENT_BYTES
from caracal_server.adapters.http.issuer_keys import read_document
from caracal_server.ports.client_metadata import ClientMetadataUnavailable
from caracal_server.ports.clock import Clock
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamRequest,
    UpstreamUrl,
)

KEPT_SECONDS: Final = 300
TRIED_AGAIN_SECONDS: Final = 5
"""After a failure: who keeps the host busy must not keep a client out for longer."""
MAX_URLS: Final = 256
_HEADERS: Final = ((b"accept", b"application/json"), (b"accept-encoding", b"identity"))


class FetchedClientDocuments:
    """Implements `ClientDocuments`. What could not be had is not asked for again at once."""

    __slots__ = ("_client", "_clock", "_kept")

    def __init__(self, client: UpstreamClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes | str]] = OrderedDict()

    async def fetch(self, url: str) -> bytes:
        kept = self._kept.get(url)
        if kept is None or self._clock.monotonic() >= kept[0]:
            found = await self._found(url)
            seconds = TRIED_AGAIN_SECONDS if isinstance(found, str) else KEPT_SECONDS
            kept = self._kept[url] = (self._clock.monotonic() + seconds, found)
            self._kept.move_to_end(url)
            if len(self._kept) > MAX_URLS:
                self._kept.popitem(last=False)
        if isinstance(kept[1], str):
            raise ClientMetadataUnavailable(kept[1])
        return kept[1]

    async def _found(self, text: str) -> bytes | str:
        """The document, or why there is none."""
        try:
            url = UpstreamUrl.parse(text)
            request = UpstreamRequest("GET", url, url.path.encode("ascii"), _HEADERS)
            response = await self._client.send(request)
            try:
                return await read_document(response, most=MAX_DOCUMENT_BYTES)
            finally:
                await response.aclose()
        except (UpstreamError, ValueError) as error:
            return str(error)
