"""Stock MCP servers and clients, each a process of its own that knows nothing of us."""

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.deployment import Deployment, Zone, deployed, unique
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "tools" / "clients" / "bin" / "python"
SECONDS = 60
TICKETS = "resource://tickets"
READ, WRITE = "tickets:read", "tickets:write"


@contextmanager
def stock_server() -> Iterator[str]:
    """Run a FastMCP server; its URL."""
    process = subprocess.Popen(
        [PYTHON, Path(__file__).with_name("stock_mcp_server.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        assert ready, "the MCP server did not start"
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(slots=True)
class Stock:
    """A Caracal, and the MCP server behind it."""

    deployment: Deployment
    server: str

    def zone(self, **more: Any) -> "StockZone":
        resource = {
            "identifier": TICKETS,
            "kind": "mcp",
            "upstream": self.server,
            "endpoint": "tickets",
            "tools": {"search": READ, "ticket_*": WRITE},
        }
        return StockZone(
            self.deployment.zone(unique("stock"), **({"resources": [resource]} | more))
        )


@dataclass(slots=True)
class StockZone:
    zone: Zone

    @property
    def http(self) -> httpx.Client:
        return self.zone.deployment.http

    @property
    def url(self) -> str:
        return f"{self.zone.deployment.running.gateway}/mcp/{self.zone.name}/tickets"

    @property
    def issuer(self) -> str:
        return f"{self.zone.deployment.running.control}/oauth/zones/{self.zone.name}"

    def told(self, **more: Any) -> dict[str, Any]:
        """What a client has to be told to get in with a secret."""
        application, secret = self.zone.applications.get("agent", ("", ""))
        told = {
            "library": "mcp",
            "url": self.url,
            "client_id": application,
            "secret": secret,
            "method": "client_secret_basic",
            "issuer": self.issuer,
            "calls": [],
        }
        return told | more

    def ids(self) -> dict[str, str]:
        """The ids of the zone's applications, whether they have a secret or not."""
        running = self.zone.deployment.running
        url = f"{running.control}/v1/zones/{self.zone.name}"
        listed = self.http.get(url, headers=running.operator).json()["applications"]
        return {entry["name"]: entry["id"] for entry in listed}

    def token(self, **fields: Any) -> httpx.Response:
        """Ask for a token as such a client does; `None` leaves a field out."""
        application, secret = self.zone.applications.get("agent", ("", ""))
        form = {
            "grant_type": "client_credentials",
            "client_id": application,
            "client_secret": secret,
            "resource": self.url,
        } | fields
        given = {name: value for name, value in form.items() if value is not None}
        return self.http.post(f"{self.issuer}/token", data=given)

    def access(self, **fields: Any) -> str:
        answer = self.token(**fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def post(
        self, message: dict[str, Any], token: str | None, url: str = "", **more: str
    ) -> httpx.Response:
        headers = {"accept": "application/json, text/event-stream"} | more
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.http.post(url or self.url, json=message, headers=headers)


def run_clients(*told: dict[str, Any]) -> list[dict[str, Any]]:
    """Run stock clients, one after another in one process, and read what they say."""
    finished = subprocess.run(
        [PYTHON, Path(__file__).with_name("stock_mcp_client.py")],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    said: list[dict[str, Any]] = json.loads(finished.stdout)
    return said


@contextmanager
def stock(
    data: Path, upstream: RecordingUpstream, reach: str = "", **environment: str
) -> Iterator[Stock]:
    """A Caracal that may call an MCP server of its own."""
    with stock_server() as server:
        authority = server.removeprefix("http://").partition("/")[0]
        egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": f"{upstream.authority},{authority}{reach}"}
        with (
            running_caracal(data, environment=egress | environment) as running,
            deployed(running, upstream) as deployment,
        ):
            yield Stock(deployment, server)
        assert "Traceback" not in running.log.read_text()
