"""Session mandates of a resource server that is an application of its zone: what feeds ask for."""

from collections.abc import Callable

import httpx

from caracal.tokens.secret import Secret
from caracal.verify.key_document import plain_async_client, plain_client
from caracal.verify.requirements import origin
from caracal.wire.calls.messages import Request
from caracal.wire.calls.refusals import Answer
from caracal.wire.calls.tokens import (
    SESSION_MANDATE,
    Application,
    read_mandate,
    session_mandate_request,
)


class ApplicationTokens:
    """Asks the STS for a session mandate each time; it opens no resource.

    `sync` and `asynchronous` are what `SseFeed` and `AsyncSseFeed` take as `token`.
    """

    def __init__(
        self,
        *,
        issuer: str,
        zone_id: str,
        application_id: str,
        client_secret: str,
        resource: str,
        client: Callable[[], httpx.Client] = plain_client,
        async_client: Callable[[], httpx.AsyncClient] = plain_async_client,
    ) -> None:
        """Take who asks, and where.

        Args:
            issuer: the URL of the STS: https, or loopback.
            zone_id: of the application.
            application_id: of the resource server.
            client_secret: of that application.
            resource: any resource of the zone; the STS wants one named.
            client: makes the client for `sync`.
            async_client: makes that for `asynchronous`.

        Raises:
            ValueError: the issuer is neither https nor on loopback.
        """
        origin(issuer)
        who = Application(issuer.rstrip("/"), zone_id, application_id, Secret(client_secret))
        self._request = session_mandate_request(who, (resource,))
        self._client = client
        self._async_client = async_client

    def sync(self) -> str:
        """Fetch one.

        Raises:
            CaracalError: it was refused.
            httpx.HTTPError: the STS could not be reached.
        """
        with self._client() as client:
            return _read(client.send(_build(client, self._request), follow_redirects=False))

    async def asynchronous(self) -> str:
        """As `sync`."""
        async with self._async_client() as client:
            answer = await client.send(_build(client, self._request), follow_redirects=False)
        return _read(answer)


def _build(client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    return client.build_request(
        request.method, request.url, headers=list(request.headers), content=request.body
    )


def _read(response: httpx.Response) -> str:
    answer = Answer(response.status_code, dict(response.headers), response.content)
    return read_mandate(answer, SESSION_MANDATE).token.reveal()
