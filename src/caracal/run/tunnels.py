"""Tunnels to hosts that the operator lets go directly: bytes both ways, unseen."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from caracal.run.routes import Tunnel

CONNECT_SECONDS: Final = 10.0
_READ: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Streams:
    """One end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def open_tunnel(asked: Tunnel) -> Streams:
    """Connect to the far end.

    Raises:
        OSError: it can not be reached.
        TimeoutError: not within 10 seconds.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        return Streams(*await asyncio.open_connection(asked.host, asked.port))


async def relay(near: Streams, far: Streams, first: bytes) -> None:
    """Carry bytes until both sides have ended, or one has failed."""
    try:
        far.writer.write(first)
        async with asyncio.TaskGroup() as both:
            both.create_task(_carry(near.reader, far.writer))
            both.create_task(_carry(far.reader, near.writer))
    finally:
        far.writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_READ):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
