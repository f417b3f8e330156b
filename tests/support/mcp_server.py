"""A real MCP server over streamable HTTP, of both generations, on a loopback port: it notes what reaches it."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.deployment import Authority, Deployment, Zone, deployed, unique
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream

TICKETS = "resource://tickets"
READ, WRITE = "tickets:read", "tickets:write"
SESSION = "session-of-the-server"
LEGACY, MODERN = "2025-11-25", "2026-07-28"
TOOLS = ("search", "ticket_open", "ticket_close", "drop_everything")
OFFERED = {
    "tools": {"search": READ, "ticket_*": WRITE},
    "prompts": {"summary": READ},
    "resources": {"file:///handbook/*": READ},
}


@dataclass(slots=True)
class McpServer:
    """What arrived, in order: method of HTTP, headers, body; `misbehaves` is answered to everything."""

    url: str
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    misbehaves: Response | None = None
    tools: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": name, "inputSchema": {"type": "object"}} for name in TOOLS
        ]
    )

    @property
    def authority(self) -> str:
        return self.url.removeprefix("http://").partition("/")[0]

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.received.append((request.method, dict(request.headers), body))
        if self.misbehaves is not None:
            return self.misbehaves
        if request.method == "GET":
            return StreamingResponse(_stream(), media_type="text/event-stream")
        if request.method == "DELETE":
            return Response(status_code=204)
        message = json.loads(body)
        if "id" not in message or "method" not in message:
            return Response(status_code=202)
        answer = _respond(message, self.tools)
        if isinstance(answer, JSONResponse) and "json" not in request.headers.get("accept", ""):
            event = _event(json.loads(answer.body))
            return Response(event, media_type="text/event-stream", headers=_session(answer))
        return answer


def _session(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name == "mcp-session-id"}


def _respond(message: dict[str, Any], tools: list[dict[str, Any]]) -> Response:
    method, params, headers = message["method"], message.get("params", {}), {}
    if method == "initialize":
        headers = {"mcp-session-id": SESSION}
        result = {
            "protocolVersion": LEGACY,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tickets", "version": "1"},
        }
    elif method == "tools/list":
        result = {"tools": tools}
    elif method == "tools/call":
        return StreamingResponse(_call(message["id"], params), media_type="text/event-stream")
    elif method == "resources/read":
        result = {"contents": [{"uri": params["uri"], "text": "be kind"}]}
    else:
        result = {}
    answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
    return JSONResponse(answer, headers=headers)


def _event(message: dict[str, Any]) -> bytes:
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()


async def _call(number: str | int, params: dict[str, Any]) -> AsyncIterator[bytes]:
    progress = {"progressToken": 1, "progress": 0.5}
    yield _event({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
    text = f"{params['name']} {json.dumps(params.get('arguments'))}"
    result = {"content": [{"type": "text", "text": text}], "isError": False}
    yield _event({"jsonrpc": "2.0", "id": number, "result": result})


async def _stream() -> AsyncIterator[bytes]:
    yield _event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})


@contextlib.contextmanager
def mcp_server() -> Iterator[McpServer]:
    """Run one in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = McpServer(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
        methods = ["GET", "POST", "DELETE", "PUT", "HEAD"]
        app = Starlette(routes=[Route("/mcp", server.answer, methods=methods)])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        running = uvicorn.Server(config)
        serving = threading.Thread(target=lambda: asyncio.run(running.serve([listening])))
        serving.start()
        try:
            yield server
        finally:
            running.should_exit = True
            serving.join(10)
            assert not serving.is_alive()


@contextlib.contextmanager
def deployed_with_mcp(
    data: Path, upstream: RecordingUpstream, *others: str
) -> Iterator[tuple[Deployment, McpServer]]:
    """A Caracal that may call an MCP server, and those at `others`."""
    with mcp_server() as server:
        environment = {
            "CARACAL_PRIVATE_EGRESS_HOSTS": ",".join(
                (upstream.authority, server.authority, *others)
            ),
            "CARACAL_MAX_INSPECTED_BYTES": "65536",
            "CARACAL_IDLE_TIMEOUT_SECONDS": "2",
        }
        with (
            running_caracal(data, environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            yield deployment, server
        assert "Traceback" not in running.log.read_text()


@dataclass(slots=True)
class McpClient:
    """An agent that speaks MCP through the Gateway: a fresh mandate for each request."""

    authority: Authority
    server: McpServer
    scope: str = f"{READ} {WRITE}"

    @property
    def zone(self) -> Zone:
        return self.authority.agent.zone

    def request(self, method: str, request_id: str = "", **more: Any) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        path = more.pop("path", "/")
        if request_id:
            headers["x-request-id"] = request_id
        mandate = self.authority.mint(self.scope)
        return self.authority.use(mandate, path, method, headers=headers, **more)

    def post(self, message: Any, request_id: str = "", **more: Any) -> httpx.Response:
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        } | dict(more.pop("headers", {}))
        return self.request("POST", request_id, **({"content": content} | more), headers=headers)

    def call(self, name: str, request_id: str = "", **arguments: Any) -> httpx.Response:
        return self.post(call(name, **arguments), request_id)

    def arrived(self) -> list[bytes]:
        """The bodies that reached the server since the last time this was asked."""
        bodies = [body for _, _, body in self.server.received]
        self.server.received.clear()
        return bodies


def call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def mcp_client(
    deployment: Deployment, server: McpServer, resource: Any = (), **zone: Any
) -> McpClient:
    """A client in a zone of its own, with all of its scopes; `resource` replaces fields of its resource."""
    offered = {"identifier": TICKETS, "kind": "mcp", "upstream": server.url, **OFFERED}
    resource = offered | dict(resource)
    made = deployment.zone(unique("tickets"), resources=[resource], **zone)
    server.received.clear()
    return McpClient(made.agent().authority(), server)
