"""HTTP listeners: uvicorn on httptools, with the bounds that it leaves to its user."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 5.0
MAX_HEAD_BYTES = 32 * 1024
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose request head is too large or too slow, or whose answers nobody reads.

    The parser alone would collect header bytes without end, and a full buffer would wait for ever.
    """

    def __init__(self, *args: Any, unread: timedelta, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread_seconds = unread.total_seconds()
        self._unread: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_waiting()
        # Closing would wait for the very bytes that nobody reads.
        self._unread = self.loop.call_later(self._unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.close()


class _Server(uvicorn.Server):
    """Leaves signals to the process: it runs several listeners and drains them in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a certificate chain and its private key, in PEM."""

    chain: Path
    key: Path


@dataclass(slots=True)
class Listener:
    """One bound socket and the application behind it."""

    socket: socket.socket
    _server: _Server | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    @classmethod
    def bind(cls, host: str, port: int) -> "Listener":
        """Bind; port 0 takes a free one.

        Raises:
            OSError: the address can not be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(BACKLOG)
            bound.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        except OSError as error:
            bound.close()
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise OSError(error.errno, f"{error.strerror} ({place})") from None
        return cls(bound)

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(
        self,
        app: Any,
        *,
        drain_seconds: int,
        unread: timedelta,
        tls: Certificate | None = None,
    ) -> None:
        """Serve `app`; return once connections are accepted.

        Args:
            app: an ASGI application.
            drain_seconds: how long requests under way may go on after `drain`.
            unread: how long a client may leave a full buffer unread before its connection ends.
            tls: what to serve TLS with; plain HTTP without.

        Raises:
            OSError: the certificate can not be used.
        """
        config = uvicorn.Config(
            app,
            http=partial(BoundedProtocol, unread=unread),  # type: ignore[arg-type]  # it is only called
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=drain_seconds,
            ssl_certfile=None if tls is None else tls.chain,
            ssl_keyfile=None if tls is None else tls.key,
        )
        # What uvicorn would log holds request data; our own events say what happened.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self.socket]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the listener ended before it had started")
            await asyncio.sleep(0.005)

    async def drain(self) -> None:
        """Stop accepting, let requests under way finish within their time, then end."""
        if self._server is None or self._task is None:
            self.socket.close()
            return
        self._server.should_exit = True
        await self._task
