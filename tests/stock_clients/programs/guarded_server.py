"""Resource servers as their makers protect them: a Starlette service and an FastMCP server, in one process.

The listening socket is handed over; issuer and zone come from the environment as they do where it is deployed.
"""

import asyncio
import contextlib
import os
import socket
import sys

import uvicorn
from caracalai import Caracal, VerifiedClaims, capture_context
from caracalai_asgi import CaracalASGIAuth
from caracalai_fastmcp import CaracalAuth, CaracalAuthError
from caracalai_identity import verify_config
from caracalai_identity.types import JwtConfig
from caracalai_revocation import InMemoryRevocationStore
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_http_headers
from fastmcp.server.middleware import Middleware
from starlette.applications import Starlette
from starlette.middleware import Middleware as Around
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute

ISSUER, ZONE = os.environ["CARACAL_STS_URL"], os.environ["CARACAL_ZONE_ID"]
SERVICE, TOOLS, READ, WRITE = "resource://service", "resource://tools", "api:read", "api:write"
REVOKED = InMemoryRevocationStore()


async def whoami(request):
    claims = request.state.caracal
    return JSONResponse(
        {
            "sub": claims.sub,
            "client": claims.client_id,
            "scope": claims.scope,
            "session": claims.session_id,
            "delegation": claims.delegation_id,
            "record": claims.authority_record_id,
            "root": claims.root_authority_record_id,
            "targets": claims.target_resources,
            "hops": claims.hop_count,
            "chain": [hop.application_id for hop in claims.delegation_chain],
            "headers": dict(request.headers),
        }
    )


async def health(_request):
    return JSONResponse({"ok": True})


async def revoke(request):
    """The service's own revocation store is told, as a consumer of a feed tells it."""
    body = await request.json()
    if "epoch" in body:
        REVOKED.mark_delegation_epoch(ZONE, body["epoch"])
    for anchor in body.get("anchors", ()):
        REVOKED.mark_revoked(anchor)
    return JSONResponse({})


async def socket_echo(websocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def guarded(app):
    return CaracalASGIAuth(
        app,
        audience=SERVICE,
        revocations=REVOKED,
        required_scopes=[READ],
        routes={f"/service{path}": demands for path, demands in DEMANDS.items()},
        exclude=["/service/health", "/service/revoke"],
    )


DEMANDS = {
    "/write": {"required_scopes": [WRITE]},
    "/delegated": {"require_session": True, "require_delegation": True},
    "/target": {"required_targets": [SERVICE]},
    "/other-target": {"required_targets": ["resource://other"]},
    "/chain": {"require_chain_contains": [os.environ["CARACAL_APPLICATION_ID"]]},
    "/other-chain": {"require_chain_contains": ["somebody"]},
    "/one-hop": {"max_hop_count": 1},
}


async def bound(_request):
    """What the SDK's own middleware binds for the code inside."""
    ctx = capture_context()
    return JSONResponse(
        {
            "zone": ctx.zone_id,
            "application": ctx.application_id,
            "session": ctx.session_id,
            "delegation": ctx.delegation_id,
            "hop": ctx.hop,
            "trace": ctx.trace_id,
            "baggage": dict(ctx.baggage),
        }
    )


async def proven(token):
    claims = await verify_config(
        token,
        JwtConfig(issuer=ISSUER, audience=SERVICE, expected_zone_id=ZONE, required_use="resource"),
    )
    return VerifiedClaims(
        zone_id=claims.zone_id,
        application_id=claims.client_id,
        hop=claims.hop_count or 0,
        session_id=claims.session_id,
        delegation_id=claims.delegation_id,
    )


class Guard(Middleware):
    """A tool call is served to whoever brings a mandate for these tools."""

    def __init__(self):
        self.auth = CaracalAuth(
            issuer=ISSUER,
            audience=TOOLS,
            revocations=REVOKED,
            expected_zone_id=ZONE,
            required_scopes=["tools:add"],
            require_delegation=True,
        )

    async def on_call_tool(self, context, call_next):
        bearer = get_http_headers(include_all=True).get("authorization", "")
        try:
            claims = await self.auth(bearer.removeprefix("Bearer "))
        except CaracalAuthError as error:
            raise ToolError(f"{error.code}: {error.description} {error.hint}") from None
        CALLERS.append(claims.client_id)
        return await call_next(context)


CALLERS: list[str] = []
mcp = FastMCP("tools", middleware=[Guard()])


@mcp.tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@mcp.tool
def caller() -> str:
    """Name the application that calls."""
    return CALLERS[-1]


def service():
    routes = [Route(path, whoami, methods=["GET", "POST"]) for path in ("/whoami", *DEMANDS)]
    routes += [
        Route("/health", health),
        Route("/revoke", revoke, methods=["POST"]),
        WebSocketRoute("/socket", socket_echo),
    ]
    return Starlette(routes=routes, middleware=[Around(guarded)])


def main():
    tools = mcp.http_app(path="/mcp", stateless_http=True)
    inner = Starlette(routes=[Route("/{path:path}", bound)])
    caracal = Caracal()
    app = Starlette(
        routes=[
            Route("/health", health),
            Mount("/verified", caracal.context_middleware(verifier=proven)(inner)),
            Mount("/propagated", caracal.context_middleware(trusted_propagation=True)(inner)),
            Mount("/own", caracal.context_middleware(as_application=True)(inner)),
            Mount("/service", service()),
            Mount("/", tools),
        ],
        lifespan=tools.lifespan,
    )
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve([listening]))


main()
