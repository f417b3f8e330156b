"""A FastMCP server with tools of its own, and two published stdio servers behind a proxy: PORT REPOSITORY."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from fastmcp import Context, FastMCP
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy

PORT, REPOSITORY = int(sys.argv[1]), sys.argv[2]
BIN = Path(sys.executable).parent
server: Any = FastMCP("toolbox")
ended: list[str] = []


@server.tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool
def drop(name: str) -> str:
    """Drop a table."""
    return f"dropped {name}"


@server.tool
async def count(to: int, context: Context) -> int:
    """Count, and tell of it."""
    for number in range(to):
        await context.report_progress(number, to, f"at {number}")
    return to


@server.tool
async def wait(seconds: float) -> str:
    """Wait."""
    try:
        await asyncio.sleep(seconds)
    finally:
        ended.append("wait")
    return "waited"


@server.tool
def log() -> list[str]:
    """What has ended."""
    return ended


def published(name: str, *arguments: str) -> Any:
    return create_proxy(StdioTransport(str(BIN / name), list(arguments)))


server.mount(published("mcp-server-git", "--repository", REPOSITORY))
server.mount(published("mcp-server-time", "--local-timezone", "UTC"))
server.run(transport="http", host="127.0.0.1", port=PORT, path="/mcp", show_banner=False)
