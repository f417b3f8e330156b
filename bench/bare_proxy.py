"""The floor: the same listener and the same upstream client as the Gateway's, and no governance.

Run as `python -m bench.bare_proxy UPSTREAM_URL`; it prints its port once it listens.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any

import uvloop

from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.adapters.http.client import PooledUpstreamClient
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.assembly.listeners import Listener
from caracal_server.ports.upstream import UpstreamRequest

Message = MutableMapping[str, Any]


class BareProxy:
    def __init__(self, upstream: str) -> None:
        self._url = UpstreamUrl.parse(upstream)
        self._client = PooledUpstreamClient(EgressGuard(PrivateEgress.parse("127.0.0.0/8")))

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],  # noqa: ARG002 (ASGI's signature)
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        request = UpstreamRequest(
            method=scope["method"],
            url=self._url,
            target=scope["raw_path"],
            headers=[pair for pair in scope["headers"] if pair[0] not in {b"host", b"connection"}],
        )
        response = await self._client.send(request)
        await send(
            {"type": "http.response.start", "status": response.status, "headers": response.headers}
        )
        async for chunk in response.body():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def main() -> None:
    listener = Listener.bind("127.0.0.1", 0)
    await listener.start(BareProxy(sys.argv[1]), drain_seconds=1, unread=timedelta(minutes=1))
    print(listener.socket.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
