"""A client that says exactly what a test tells it to, and reads what comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.gateway.world import World, listening


@dataclass
class RawClient:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response; interim ones count."""
        line, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        pairs = [field.lower().split(": ", 1) for field in fields]
        assert len(dict(pairs)) == len(pairs), f"a repeated header: {fields}"
        return int(line.split(" ")[1]), dict(pairs)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """A whole response, its body unframed.

        Raises:
            IncompleteReadError: it is cut off.
        """
        status, fields = await self.head()
        if "content-length" in fields:
            return status, fields, await self.reader.readexactly(int(fields["content-length"]))
        body = b""
        if fields.get("transfer-encoding") == "chunked":
            while chunk := await self.chunk():
                body += chunk
        return status, fields, body

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty for the last."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def cut(self) -> None:
        """Wait until the server has ended the connection."""
        while await self.reader.read(65536):
            pass

    def leave(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    async with asyncio.timeout(15):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def caller_of(world: World) -> AsyncIterator[RawClient]:
    """A connection to the Gateway behind the real listener."""
    async with listening(world) as port, connected(port) as caller:
        yield caller


def request(
    world: World,
    line: str = "GET /items/7 HTTP/1.1",
    *fields: str,
    body: bytes = b"",
    token: str | None = None,
) -> bytes:
    """A call with a fresh mandate; `fields` come after what every call carries."""
    carried = [f"{name.decode()}: {value.decode()}" for name, value in world.headers(token)]
    return "\r\n".join([line, *carried, *fields, "", ""]).encode() + body
