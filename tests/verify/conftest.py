"""A started Caracal, and a real application behind its Gateway that verifies what the Gateway sends."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from caracal.verify import AsyncVerifier, MemoryRevocations
from caracal.verify.asgi import CaracalMiddleware
from caracal.verify.clock import utc_now
from tests.support.deployment import API, Deployment, Zone, deployed, eventually
from tests.support.running import running_caracal
from tests.support.valkey import Valkey, running_valkey

OTHER = "resource://other"


async def _who(request: Request) -> JSONResponse:
    principal = request.state.caracal
    return JSONResponse(
        {
            "application": principal.application_id if principal else None,
            "session": principal.session_id if principal else None,
            "seen": request.headers.get("authorization"),
        }
    )


@dataclass
class Protected:
    """The application, its zone, and its clock, which may be set ahead."""

    zone: Zone
    url: str
    revocations: MemoryRevocations = field(default_factory=MemoryRevocations)
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def app(self) -> CaracalMiddleware:
        verifier = AsyncVerifier(
            issuer=self.zone.deployment.running.control,
            audience=API,
            zone_id=self.zone.id,
            revocations=self.revocations,
            now=self.now,
            scopes=["api:read"],
            require_delegation=True,
        )
        routes = [Route("/{path:path}", _who, methods=["GET", "POST"])]
        return CaracalMiddleware(
            Starlette(routes=routes),
            verifier=verifier,
            routes={"/admin": {"scopes": ["api:admin"]}},
            public=["/health"],
            resource_url=self.url,
        )


@contextmanager
def serving(app, listening: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def listening() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
        yield sock


@dataclass(frozen=True)
class Streams:
    """The server on which the deployment publishes, and the key that it signs with."""

    server: Valkey
    key: bytes
    environment: dict[str, str]


@pytest.fixture(scope="session")
def streams(tmp_path_factory) -> Iterator[Streams]:
    directory, key = tmp_path_factory.mktemp("streams"), os.urandom(32)
    with running_valkey(directory) as server:
        (directory / "url").write_text(server.url)
        (directory / "key").write_text(key.hex())
        environment = {
            "CARACAL_STREAMS_URL_FILE": str(directory / "url"),
            "CARACAL_STREAMS_KEY_FILE": str(directory / "key"),
        }
        yield Streams(server, key, environment)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory, listening, streams) -> Iterator[Deployment]:
    authority = f"127.0.0.1:{listening.getsockname()[1]}"
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": authority} | streams.environment
    upstream = SimpleNamespace(url=f"http://{authority}")
    data = tmp_path_factory.mktemp("verify") / "data"
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it


@pytest.fixture(scope="session")
def protected(deployment, listening) -> Iterator[Protected]:
    url = deployment.upstream.url
    behind = {"upstream": url, "provider": "mandates", "operations": {"GET /{path*}": "api:read"}}
    zone = deployment.zone(
        providers=[{"name": "mandates", "kind": "caracal_mandate"}],
        resources=[{"identifier": API, **behind}, {"identifier": OTHER, **behind}],
    )
    held = Protected(zone, url)
    with serving(held.app(), listening):
        yield held


@pytest.fixture
def direct(protected) -> Iterator[httpx.Client]:
    """A caller that goes past the Gateway."""
    with httpx.Client(base_url=protected.url, trust_env=False, timeout=20) as http:
        yield http
