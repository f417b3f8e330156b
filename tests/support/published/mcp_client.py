"""The clients `mcp` and `fastmcp` as they are: a fresh mandate for each request is all that they are given.

Reads what to do as JSON from stdin, one object, and prints what came of it.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import fastmcp
import httpx2
import mcp
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.streamable_http import streamable_http_client

TOLD: list[list[Any]] = []


class Mandates(httpx2.Auth):
    """Trades the application's credential for a mandate, once for each request."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        answer = yield httpx2.Request("POST", self.asked["token_url"], data=self.asked["fields"])
        mandate = json.loads(await answer.aread())["access_token"]
        request.headers["authorization"] = f"Bearer {mandate}"
        yield request


async def note(response: httpx2.Response) -> None:
    if response.status_code >= 400 and "x-caracal-resource" in response.request.headers:
        TOLD.append([response.status_code, json.loads(await response.aread())["reason"]])


def http_client(asked: dict[str, Any], **more: Any) -> httpx2.AsyncClient:
    more.pop("auth", None)
    headers = (more.pop("headers", None) or {}) | {"x-caracal-resource": asked["resource"]}
    hooks = {"response": [note]}
    return httpx2.AsyncClient(
        headers=headers, auth=Mandates(asked), event_hooks=hooks, timeout=30, trust_env=False
    )


async def connect(stack: AsyncExitStack, asked: dict[str, Any], mode: str) -> Any:
    if asked["client"] == "fastmcp":
        transport = StreamableHttpTransport(
            asked["url"], httpx_client_factory=lambda **more: http_client(asked, **more)
        )
        return await stack.enter_async_context(fastmcp.Client(transport, mode=mode))
    http = await stack.enter_async_context(http_client(asked))
    transport = streamable_http_client(asked["url"], http_client=http)
    return await stack.enter_async_context(mcp.Client(transport, mode=mode))


async def call(client: Any, name: str, arguments: dict[str, Any], **more: Any) -> str:
    try:
        result = await client.call_tool(name, arguments, **more)
    except Exception as fault:  # noqa: BLE001 (whatever a client makes of a refusal)
        return f"fault: {type(fault).__name__}"
    return str(result.content[0].text)


async def progress(client: Any, kind: str) -> list[float]:
    seen: list[float] = []

    async def handle(now: float, _total: float | None, _message: str | None) -> None:
        seen.append(now)

    name = "progress_handler" if kind == "fastmcp" else "progress_callback"
    await call(client, "count", {"to": 3}, **{name: handle})
    return seen


async def cancel(client: Any) -> bool:
    """Give a call up, and see that the server has noticed."""
    task = asyncio.create_task(call(client, "wait", {"seconds": 30}))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for _ in range(100):
        if "wait" in await call(client, "log", {}):
            return True
        await asyncio.sleep(0.05)
    return False


async def run(asked: dict[str, Any], mode: str) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        client = await connect(stack, asked, mode)
        listed = await client.list_tools()
        tools = listed if isinstance(listed, list) else listed.tools
        done = {
            "tools": sorted(tool.name for tool in tools),
            "add": await call(client, "add", {"a": 2, "b": 3}),
            "time": await call(client, "get_current_time", {"timezone": "UTC"}),
            "git": await call(client, "git_log", {"repo_path": asked["repository"]}),
            "progress": await progress(client, asked["client"]),
            "cancelled": await cancel(client),
        }
        TOLD.clear()
        done["refused"] = [await call(client, "drop", {"name": "a"}), *TOLD]
        TOLD.clear()
        done["unknown"] = [await call(client, "none", {}), *TOLD]
        return done


ASKED = json.load(sys.stdin)
print(json.dumps({mode: asyncio.run(run(ASKED, mode)) for mode in ASKED["modes"]}))
