"""The upstream client: pooled connections behind the egress guard."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from caracal_server.adapters.http.connection import ConnectionLimits, OutgoingCall
from caracal_server.adapters.http.dialing import Dialer
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.pool import OriginPool, PoolLimits
from caracal_server.adapters.http.request_body import SLICE_BYTES, framed
from caracal_server.adapters.http.request_head import render_head
from caracal_server.adapters.http.resolver import SystemResolver
from caracal_server.adapters.http.response import StreamedResponse
from caracal_server.ports.upstream import (
    Resolver,
    UpstreamError,
    UpstreamErrorKind,
    UpstreamRequest,
    UpstreamTimeouts,
    UpstreamUrl,
)

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


def verifying_context(*ca_files: Path | None) -> ssl.SSLContext:
    """Trust the system's authorities and those in the files (PEM) that are given as well.

    Raises:
        OSError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for ca_file in filter(None, ca_files):
        context.load_verify_locations(cafile=ca_file)
    return context


class PooledUpstreamClient:
    """Implements `UpstreamClient` on HTTP/1.1. Belongs to one event loop."""

    def __init__(
        self,
        guard: EgressGuard,
        *,
        timeouts: UpstreamTimeouts | None = None,
        limits: PoolLimits | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        timeouts = timeouts or UpstreamTimeouts()
        self._bounds = limits or PoolLimits()
        self._own_resolver = SystemResolver() if resolver is None else None
        self._connect_seconds = timeouts.connect.total_seconds()
        self._total_seconds = timeouts.total.total_seconds() if timeouts.total else None
        self._limits = ConnectionLimits(
            first_byte=timeouts.first_byte.total_seconds(),
            idle=timeouts.idle.total_seconds(),
            kept_alive=self._bounds.kept_alive.total_seconds(),
            lifetime=self._bounds.lifetime.total_seconds(),
            head_bytes=self._bounds.head_bytes,
        )
        self._dialer = Dialer(
            guard,
            resolver or self._own_resolver or SystemResolver(),
            tls or verifying_context(),
            self._connect_seconds,
        )
        self._pools: dict[tuple[str, str, int], OriginPool] = {}
        self._closed = False

    async def send(self, request: UpstreamRequest) -> StreamedResponse:
        """Send one request; see `UpstreamClient.send`."""
        pool = self._pool(request.url)
        call = OutgoingCall(
            render_head(request, pool.host_line), request.method == "HEAD", None, None
        )
        if self._total_seconds is None:
            return await self._exchange(pool, request, call)
        call.ends_at = asyncio.get_running_loop().time() + self._total_seconds
        whole = asyncio.timeout_at(call.ends_at)
        try:
            async with whole:
                return await self._exchange(pool, request, call)
        except TimeoutError:
            if not whole.expired():
                raise
            detail = "the upstream took too long"
            raise UpstreamError(
                UpstreamErrorKind.TOTAL_TIMEOUT, detail, request_sent=call.written
            ) from None

    async def _exchange(
        self, pool: OriginPool, request: UpstreamRequest, call: OutgoingCall
    ) -> StreamedResponse:
        if request.body is not None:
            await _take_body(call, request.body, request.content_length)
        connection = pool.take()
        if connection is not None:
            try:
                return await connection.exchange(call)
            except UpstreamError as error:
                # The upstream may close a kept-alive connection at any time, also just now.
                if not (
                    error.kind is UpstreamErrorKind.CLOSED_EARLY
                    and connection.heard_nothing
                    and request.body is None
                    and request.method in _REPEATABLE
                ):
                    raise
        connection = await pool.open()
        return await connection.exchange(call)

    def _pool(self, url: UpstreamUrl) -> OriginPool:
        origin = (url.scheme, url.host, url.port)
        pool = self._pools.get(origin)
        if pool is None:
            if self._closed:
                raise UpstreamError(UpstreamErrorKind.CONNECT_FAILED, "the client is closed")
            pool = self._pools[origin] = OriginPool(
                url, self._dialer, self._bounds, self._limits, self._connect_seconds
            )
        return pool

    async def aclose(self) -> None:
        """End every connection, in use or not, and wait until the sockets are gone."""
        self._closed = True
        for pool in list(self._pools.values()):
            await pool.aclose()
        if self._own_resolver is not None:
            self._own_resolver.close()


async def _take_body(
    call: OutgoingCall, body: AsyncIterator[bytes], content_length: int | None
) -> None:
    """Let a small body travel with the head; a larger one is sent as its chunks come."""
    if content_length == 0:
        return
    first = await anext(body, b"")
    if len(first) == content_length and len(first) <= SLICE_BYTES:
        call.head += first
    else:
        call.upload = framed(first, body, content_length)
