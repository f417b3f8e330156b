"""httpx transports that send to the Gateway, with a mandate of its own for each request."""

import httpx

from caracal.sdk.acting import mint
from caracal.sdk.engine import AsyncEngine, Engine, OversizedAnswer, abounded, bounded
from caracal.sdk.governed import Governed, refusal
from caracal.sdk.opening import closed
from caracal.sdk.sources import AsyncAuthoritySource, AuthoritySource
from caracal.wire.calls.gateway import CALL, from_upstream


class GovernedTransport(httpx.BaseTransport):
    """For `httpx.Client(transport=...)`; closing that client closes this."""

    def __init__(self, engine: Engine, governed: Governed, source: AuthoritySource) -> None:
        self._engine = engine
        self._governed = governed
        self._source = source
        self._closed = False

    def open(self) -> None:
        """Open its session now, and not with the first request.

        Raises:
            CaracalError: there is none to be had.
        """
        if self._closed:
            raise closed(CALL)
        self._source.current()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request with a fresh mandate, once.

        Raises:
            CaracalError: Caracal refused it; what the upstream answers is a response, whatever it says.
            httpx.TransportError: the Gateway gave no answer.
        """
        if self._closed:
            raise closed(CALL)
        governed = self._governed
        target = governed.target(request)
        authority = self._source.current()
        caller = self._engine.caller
        mandate = self._engine.run(mint(caller, authority, governed.wanted))
        trace = authority.standing.trace
        response = self._engine.gateway.handle_request(
            governed.outgoing(request, target, mandate, trace)
        )
        governed.keep(response)
        if from_upstream(response.headers):
            return response
        try:
            body = b"".join(bounded(response.iter_raw()))
        except OversizedAnswer:
            body = b""
        finally:
            response.close()
        raise refusal(response, body)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._source.close()


class AsyncGovernedTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient(transport=...)`; closing that client closes this."""

    def __init__(
        self, engine: AsyncEngine, governed: Governed, source: AsyncAuthoritySource
    ) -> None:
        self._engine = engine
        self._governed = governed
        self._source = source
        self._closed = False

    async def open(self) -> None:
        """Open its session now, and not with the first request.

        Raises:
            CaracalError: there is none to be had.
        """
        if self._closed:
            raise closed(CALL)
        await self._source.current()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request with a fresh mandate, once.

        Raises:
            CaracalError: Caracal refused it; what the upstream answers is a response, whatever it says.
            httpx.TransportError: the Gateway gave no answer.
        """
        if self._closed:
            raise closed(CALL)
        governed = self._governed
        target = governed.target(request)
        authority = await self._source.current()
        caller = self._engine.caller
        mandate = await self._engine.run(mint(caller, authority, governed.wanted))
        trace = authority.standing.trace
        response = await self._engine.gateway.handle_async_request(
            governed.outgoing(request, target, mandate, trace)
        )
        governed.keep(response)
        if from_upstream(response.headers):
            return response
        try:
            body = b"".join([chunk async for chunk in abounded(response.aiter_raw())])
        except OversizedAnswer:
            body = b""
        finally:
            await response.aclose()
        raise refusal(response, body)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._source.aclose()
