"""Opens connections: resolve once, let the guard choose, dial exactly what it chose."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from caracal_server.adapters.http.connection import UpstreamConnection
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.ports.upstream import (
    IPAddress,
    Resolver,
    UpstreamError,
    UpstreamErrorKind,
    UpstreamUrl,
)


class Dialer:
    """Connects to one of the addresses that the guard permits.

    INVARIANT: the address that was checked is the address that is dialled. The name goes
    into SNI and certificate verification, never into a second look-up.
    """

    def __init__(
        self, guard: EgressGuard, resolver: Resolver, tls: ssl.SSLContext, connect_seconds: float
    ) -> None:
        self._guard = guard
        self._resolver = resolver
        self._tls = tls
        self._connect_seconds = connect_seconds

    async def dial(
        self, url: UpstreamUrl, new_connection: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        """Connect to the origin of `url`.

        Raises:
            UpstreamError: it cannot be resolved, reached or verified, or not in time, or the
                guard permits none of its addresses.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._connect_seconds
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._addresses(url)
        except TimeoutError:
            detail = f"{url.host}: name resolution took too long"
            raise UpstreamError(UpstreamErrorKind.CONNECT_TIMEOUT, detail) from None
        failure: UpstreamError | None = None
        for tried, address in enumerate(addresses):
            # Each address gets its share of what is left, so that one that swallows packets
            # does not use up the time of the others.
            now = loop.time()
            until = now + (deadline - now) / (len(addresses) - tried)
            try:
                async with asyncio.timeout_at(until):
                    return await self._connect(loop, url, address, new_connection)
            except TimeoutError:
                failure = _error(UpstreamErrorKind.CONNECT_TIMEOUT, url, address, "too slow")
            except UpstreamError as error:
                failure = error
        raise failure or UpstreamError(UpstreamErrorKind.UNRESOLVABLE, url.host)

    async def _addresses(self, url: UpstreamUrl) -> tuple[IPAddress, ...]:
        try:
            found = [ip_address(url.host)]
        except ValueError:
            try:
                found = list(await self._resolver.resolve(url.host, url.port))
            except OSError as error:
                detail = f"{url.host}: {error.strerror or error}"
                raise UpstreamError(UpstreamErrorKind.UNRESOLVABLE, detail) from error
        if not found:
            raise UpstreamError(UpstreamErrorKind.UNRESOLVABLE, f"{url.host} has no address")
        return self._guard.permitted(url.host, url.port, found)

    async def _connect(
        self,
        loop: asyncio.AbstractEventLoop,
        url: UpstreamUrl,
        address: IPAddress,
        new_connection: Callable[[], UpstreamConnection],
    ) -> UpstreamConnection:
        family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            await loop.sock_connect(sock, (str(address), url.port))
        except OSError as error:
            sock.close()
            why = error.strerror or str(error)
            raise _error(UpstreamErrorKind.CONNECT_FAILED, url, address, why) from error
        except BaseException:
            sock.close()
            raise
        secure = url.scheme == "https"
        try:
            _, connection = await loop.create_connection(
                new_connection,
                sock=sock,
                ssl=self._tls if secure else None,
                server_hostname=url.host if secure else None,
                ssl_handshake_timeout=self._connect_seconds if secure else None,
            )
        except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot carry
            kind = UpstreamErrorKind.TLS_FAILED if secure else UpstreamErrorKind.CONNECT_FAILED
            raise _error(kind, url, address, str(error)) from error
        return connection


def _error(
    kind: UpstreamErrorKind, url: UpstreamUrl, address: IPAddress, why: str
) -> UpstreamError:
    return UpstreamError(kind, f"{url.host} at {address} port {url.port}: {why}")
