"""As much of a Valkey server as `XREAD` needs, in both versions of its protocol, on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

Fields = Mapping[str, str | bytes]


@dataclass
class StreamServer:
    port: int = 0
    broken: bool = False
    reads: int = 0
    _streams: dict[bytes, list[tuple[int, Fields]]] = field(default_factory=dict)
    _added: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, stream: str, fields: Fields, *, milliseconds: int) -> None:
        self._streams.setdefault(stream.encode(), []).append((milliseconds, fields))
        self._added.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = 2
        with (
            contextlib.suppress(ConnectionError, asyncio.IncompleteReadError),
            contextlib.closing(writer),
        ):
            while line := await reader.readline():
                words = [await _word(reader) for _ in range(int(line[1:]))]
                command = words[0].upper()
                if command == b"HELLO":
                    protocol = int(words[1])
                    writer.write(b"%1\r\n+proto\r\n:3\r\n")
                elif command == b"XREAD":
                    if self.broken:
                        return
                    writer.write(await self._read(words, protocol))
                else:
                    writer.write(b"+OK\r\n")
                await writer.drain()

    async def _read(self, words: list[bytes], protocol: int) -> bytes:
        self.reads += 1
        upper = [word.upper() for word in words]
        count = int(words[upper.index(b"COUNT") + 1])
        block = int(words[upper.index(b"BLOCK") + 1])
        assert block, "a read that blocks for ever would never notice that the server is gone"
        names = words[upper.index(b"STREAMS") + 1 :]
        asked = dict(zip(names[: len(names) // 2], names[len(names) // 2 :], strict=True))
        found = self._after(asked, count)
        if not found:
            self._added.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._added.wait(), min(block, 50) / 1_000)
            found = self._after(asked, count)
        if not found:
            return b"_\r\n" if protocol == 3 else b"*-1\r\n"
        if protocol == 3:
            head = b"%%%d\r\n" % len(found)
            return head + b"".join(_text(name) + entries for name, entries in found)
        head = b"*%d\r\n" % len(found)
        return head + b"".join(b"*2\r\n" + _text(name) + entries for name, entries in found)

    def _after(self, asked: Mapping[bytes, bytes], count: int) -> list[tuple[bytes, bytes]]:
        found = []
        for name, last in asked.items():
            entries = [
                (number, entry)
                for number, entry in enumerate(self._streams.get(name, ()), start=1)
                if number > int(last.partition(b"-")[2])
            ][:count]
            if entries:
                rows = [_row(f"{at}-{number}", fields) for number, (at, fields) in entries]
                found.append((name, b"*%d\r\n" % len(rows) + b"".join(rows)))
        return found


async def _word(reader: asyncio.StreamReader) -> bytes:
    length = int((await reader.readline())[1:])
    return (await reader.readexactly(length + 2))[:-2]


def _row(entry: str, fields: Fields) -> bytes:
    texts = [_text(text) for pair in fields.items() for text in pair]
    return b"*2\r\n" + _text(entry) + b"*%d\r\n" % len(texts) + b"".join(texts)


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return b"$%d\r\n%s\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def stream_server() -> AsyncIterator[StreamServer]:
    held = StreamServer()
    server = await asyncio.start_server(held.serve, "127.0.0.1", 0)
    async with server:
        held.port = server.sockets[0].getsockname()[1]
        yield held
