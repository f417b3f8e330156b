"""Syslog: RFC 5424 messages, framed and secured as RFC 5425 has it."""

import asyncio
import ssl
from datetime import UTC, datetime
from typing import Final

from caracal.authority.events import Verdict
from caracal_server.shipping.batches import Batch, Line
from caracal_server.shipping.config import Form
from caracal_server.shipping.forms import render
from caracal_server.shipping.parts import Network, Undelivered

CONNECT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 60.0
_NOTICE, _INFO = 5, 6
_MAX_NAME: Final = 32


class SyslogSink:
    """Implements `Sink`: a connection for each batch, closed by TLS's own close on both sides.

    Syslog has no acknowledgement. What is known is that the receiver's TLS took every byte and answered our
    close; docs/shipping.md says what that leaves.
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
                reader, writer = await asyncio.open_connection(
                    str(addresses[0]), self._port, ssl=self._tls, server_hostname=self._server_name
                )
        except (OSError, TimeoutError) as fault:
            raise Undelivered(f"{self._host}: {_why(fault)}") from None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                writer.write(frames)
                await writer.drain()
                await _close(reader, writer)
        except (OSError, TimeoutError) as fault:
            raise Undelivered(f"{self._host}: {_why(fault)}") from None
        finally:
            writer.transport.abort()

    async def aclose(self) -> None:
        """Nothing is held open."""


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the sending side, and wait until the receiver has ended its own."""
    writer.close()
    await writer.wait_closed()
    if reader.exception() is not None:
        raise OSError("the connection broke off")


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
