"""The local upstream: a fixed JSON answer over keep-alive HTTP/1.1, as cheap as Python allows; to a `POST`
that of an MCP server to a call.

Run as `python -m bench.upstream_server`; it prints its port once it listens.
"""

import asyncio

import httptools
import uvloop

BODY = b'{"rows":[' + b",".join(b'{"id":%d,"item":"desk"}' % n for n in range(7)) + b"]}"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)
) + BODY
RESULT = (
    b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"desk"}],"isError":false}}'
)
TOLD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(RESULT)
) + RESULT


class Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        answer = TOLD if self._parser.get_method() == b"POST" else ANSWER
        self._transport.write(answer)  # type: ignore[attr-defined]  # a stream transport


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
