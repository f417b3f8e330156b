"""The connections to one origin: kept alive, reused, bounded, with a bounded queue."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from caracal_server.adapters.http.connection import ConnectionLimits, UpstreamConnection
from caracal_server.adapters.http.dialing import Dialer
from caracal_server.ports.upstream import UpstreamError, UpstreamErrorKind, UpstreamUrl


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds on what one upstream may occupy."""

    connections: int = 128
    """Open at the same time, for each origin."""
    waiting: int = 1024
    """Calls that may wait for a connection, for each origin."""
    kept_alive: timedelta = timedelta(seconds=20)
    """How long an unused connection is kept."""
    lifetime: timedelta = timedelta(minutes=5)
    """After which a connection is replaced, so that a change in DNS is noticed."""
    head_bytes: int = 64 * 1024
    """The longest response head, trailers included."""


class OriginPool:
    """Hands out connections to one origin and takes them back.

    A connection stays with the address it was dialled at, which the guard had checked.
    """

    def __init__(
        self,
        url: UpstreamUrl,
        dialer: Dialer,
        bounds: PoolLimits,
        limits: ConnectionLimits,
        wait_seconds: float,
    ) -> None:
        self.host_line = f"Host: {url.authority}".encode()
        self._url = url
        self._dialer = dialer
        self._bounds = bounds
        self._limits = limits
        self._wait_seconds = wait_seconds
        self._loop = asyncio.get_running_loop()
        self._taken_slots = 0
        self._idle: list[UpstreamConnection] = []
        self._waiters: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._members: set[UpstreamConnection] = set()
        self._sockets: set[UpstreamConnection] = set()
        self._closed = False

    def take(self) -> UpstreamConnection | None:
        """Return the most recently used connection that may still be used, if there is one."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if self._loop.time() < connection.usable_until:
                return connection
            connection.close()
        return None

    async def open(self) -> UpstreamConnection:
        """Dial a new connection; when all are in use, wait for one of them to become free.

        Raises:
            UpstreamError: as `Dialer.dial`; `connect_timeout` when none became free in time;
                `connect_failed` when too many calls wait already.
        """
        if self._closed:
            raise _pool_error(self._url, "the client is closed")
        if self._taken_slots >= self._bounds.connections:
            if self._idle:
                self._idle.pop(0).close()
            else:
                connection = await self._wait()
                if connection is not None:
                    return connection
                return await self._dial()
        self._taken_slots += 1
        return await self._dial()

    async def _dial(self) -> UpstreamConnection:
        """Dial in a slot that has been taken for it."""
        try:
            connection = await self._dialer.dial(
                self._url, lambda: UpstreamConnection(self._loop, self._limits, self)
            )
        except BaseException:
            self._free_slot()
            raise
        self._members.add(connection)
        self._sockets.add(connection)
        connection.closed.add_done_callback(lambda _: self._sockets.discard(connection))
        if self._closed:
            connection.close()
            raise _pool_error(self._url, "the client is closed")
        if connection.lost:  # between the end of the handshake and now
            self.connection_lost(connection)
        return connection

    async def _wait(self) -> UpstreamConnection | None:
        """Wait for a connection, or for `None`: a free slot to dial in."""
        if len(self._waiters) >= self._bounds.waiting:
            raise _pool_error(self._url, "too many calls wait for a connection")
        waiter: asyncio.Future[UpstreamConnection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())  # it came in the moment the caller gave up
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"{self._url.authority}: no connection became free"
                raise UpstreamError(UpstreamErrorKind.CONNECT_TIMEOUT, detail) from None
            raise

    def _pass_on(self, connection: UpstreamConnection | None) -> None:
        if connection is None:
            self._free_slot()
        else:
            self.connection_free(connection)

    def connection_free(self, connection: UpstreamConnection) -> None:
        """Take back a clean connection."""
        if not self._give_to_waiter(connection):
            self._idle.append(connection)

    def connection_lost(self, connection: UpstreamConnection) -> None:
        """Forget a connection that will carry nothing more."""
        if connection not in self._members:
            return  # an attempt to dial, whose slot `_dial` frees
        self._members.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _free_slot(self) -> None:
        if not self._give_to_waiter(None):
            self._taken_slots -= 1

    def _give_to_waiter(self, connection: UpstreamConnection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def aclose(self) -> None:
        """Close every connection and wait until the sockets are gone."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(_pool_error(self._url, "the client is closed"))
        self._waiters.clear()
        sockets = list(self._sockets)
        for connection in sockets:
            connection.close()
        await asyncio.gather(*(connection.closed for connection in sockets))


def _pool_error(url: UpstreamUrl, detail: str) -> UpstreamError:
    return UpstreamError(UpstreamErrorKind.CONNECT_FAILED, f"{url.authority}: {detail}")
