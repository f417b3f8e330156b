"""Syslog: RFC 5424 messages, framed and secured as RFC 5425 has it."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from caracal.authority.events import Verdict
from caracal_server.shipping.batches import Batch, Line
from caracal_server.shipping.config import Form
from caracal_server.shipping.forms import render
from caracal_server.shipping.parts import Network, Undelivered

CONNECT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 60.0
PIECE_BYTES: Final = 64 * 1024
_NOTICE, _INFO = 5, 6
_MAX_NAME: Final = 32


class SyslogSink:
    """Implements `Sink`: a connection for each batch, closed by TLS's own close on both sides.

    Syslog has no acknowledgement. What is known is that the receiver's TLS answered our close with its
    own; docs/shipping.md says what that leaves.
    """

    def __init__(
        self,
        network: Network,
        address: tuple[str, int],
        tls: ssl.SSLContext,
        *,
        server_name: str,
        form: Form,
        facility: int,
    ) -> None:
        self._network = network
        self._host, self._port = address
        self._tls = tls
        self._server_name = server_name
        self._form = form
        self._facility = facility

    async def deliver(self, batch: Batch) -> None:
        texts = render(batch, self._form)
        messages = [
            syslog_message(batch, line, text, self._facility)
            for line, text in zip(batch.lines, texts, strict=True)
        ]
        frames = b"".join(b"%d %b" % (len(message), message) for message in messages)
        addresses = await self._network.addresses(self._host, self._port)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                streams = await asyncio.open_connection(str(addresses[0]), self._port)
        except (OSError, TimeoutError) as fault:
            raise Undelivered(f"{self._host}: {_why(fault)}") from None
        channel = _Channel(*streams, self._tls, self._server_name)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await channel.open()
            async with asyncio.timeout(SEND_SECONDS):
                await channel.send(frames)
                await channel.close()
        except (OSError, TimeoutError) as fault:
            raise Undelivered(f"{self._host}: {_why(fault)}") from None
        finally:
            channel.abort()

    async def aclose(self) -> None:
        """Nothing is held open."""


class _Channel:
    """TLS over a connection, closed as RFC 5425 section 4.4 asks.

    The event loop's own TLS takes a connection that merely ended, or an alert that came after the
    handshake (TLS 1.3: the receiver takes no such client certificate), for a close in good order.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext,
        server_name: str,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._in, self._out, server_hostname=server_name)

    async def open(self) -> None:
        await self._drive(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            await self._drive(partial(self._tls.write, piece))

    async def close(self) -> None:
        """Say that no more comes, and wait until the receiver says the same. Raises `OSError`."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            await self._flush()
        else:
            raise OSError("it closed before it was told to")
        # `unwrap` takes an alert for a close; reading tells them apart.
        await self._drive(self._require_closed)

    def _require_closed(self) -> None:
        try:
            said = self._tls.read(1)
        except ssl.SSLZeroReturnError:
            return
        if said:
            raise OSError("it answered, which syslog does not")

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _drive(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                await self._flush()
            else:
                return await self._flush()
            received = await self._reader.read(PIECE_BYTES)
            if received:
                self._in.write(received)
            else:
                self._in.write_eof()

    async def _flush(self) -> None:
        self._writer.write(self._out.read())
        await self._writer.drain()


def _why(fault: OSError) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate does not verify: {fault.verify_message}"
    return "too slow" if isinstance(fault, TimeoutError) else fault.strerror or str(fault)


def syslog_message(batch: Batch, line: Line, text: bytes, facility: int) -> bytes:
    """One message: time, the kind as its id, where the entry stands as structured data, the event."""
    entry = line.entry
    severity = _NOTICE if entry is None or entry.verdict is Verdict.REFUSE else _INFO
    at = datetime.fromtimestamp((line.at if entry is None or batch.raw else entry.at) / 1e6, UTC)
    kind = entry.kind.value[:_MAX_NAME] if entry is not None else "-"
    place = (
        f'[caracal@32473 log="{_escaped(batch.log.origin)}" index="{line.placed.index}"'
        f' leaf="{line.placed.leaf_hash}"]'
    )
    stamp = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    head = f"<{facility * 8 + severity}>1 {stamp} - caracal - {kind} {place} "
    return head.encode() + b"\xef\xbb\xbf" + text


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
