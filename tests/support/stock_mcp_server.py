"""Run by the clients' interpreter: a FastMCP server on a free loopback port, which it prints."""

import socket

import uvicorn
from fastmcp import FastMCP

server = FastMCP("tickets")


@server.tool
def search(q: str) -> str:
    return f"found {q}"


@server.tool
def ticket_open(title: str) -> str:
    return f"opened {title}"


@server.tool
def drop_everything() -> str:
    return "dropped"


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            server.http_app(path="/mcp", stateless_http=True), log_level="critical"
        )
        uvicorn.Server(config).run([listening])


main()
