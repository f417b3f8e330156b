"""One Caracal, and behind it the MCP servers of docs/verify.md, each a process of its own."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tests.support.deployment import Authority, Deployment, Zone, deployed
from tests.support.running import running_caracal

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / ".venv" / "tools" / "clients" / "bin" / "python"
PROGRAM = Path(__file__).parent / "programs" / "serving.py"
PAGE = (ROOT / "docs/verify.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KINDS = {"mcp": "from mcp.server", "fastmcp": "from fastmcp"}
TICKETS, READ, WRITE = "resource://tickets", "tickets:read", "tickets:write"
SECONDS = 60
LEGACY = "2025-11-25"


def block(kind: str) -> str:
    """The one block of the page that shows a server of this kind."""
    [found] = [text for text in BLOCKS if KINDS[kind] in text]
    return found


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Tickets:
    """A served block, and the zone that leads to it."""

    zone: Zone
    url: str

    def client(self) -> "Client":
        return Client(self.zone.agent().authority(), self.url)


@dataclass(slots=True)
class Client:
    """Speaks MCP through the Gateway, in one MCP session."""

    authority: Authority
    url: str
    session: str = ""

    def post(self, message: dict, scope: str = f"{READ} {WRITE}") -> httpx.Response:
        headers = {"accept": "application/json, text/event-stream"}
        headers |= {"mcp-session-id": self.session} if self.session else {}
        mandate = self.authority.mint(scope)
        return self.authority.use(mandate, "/", "POST", json=message, headers=headers)

    def open(self) -> None:
        answer = self.post(initialize())
        assert answer.status_code == 200, answer.text
        self.session = answer.headers["mcp-session-id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert self.post(ready).status_code == 202

    def call(self, tool: str, scope: str = f"{READ} {WRITE}", **arguments) -> dict:
        answer = self.post(call(tool, **arguments), scope)
        assert answer.status_code == 200, answer.text
        return result(answer)


def initialize() -> dict:
    params = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def call(tool: str, **arguments) -> dict:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


def result(answer: httpx.Response) -> dict:
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        [text] = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    return json.loads(text)["result"]


@pytest.fixture(scope="package")
def listening() -> Iterator[dict[str, socket.socket]]:
    with ExitStack() as stack:
        yield {kind: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for kind in KINDS}


@pytest.fixture(scope="package")
def deployment(tmp_path_factory, listening) -> Iterator[Deployment]:
    hosts = [url_of(one).removeprefix("http://") for one in listening.values()]
    environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": ",".join(hosts)}
    data = tmp_path_factory.mktemp("verify-mcp") / "data"
    upstream = SimpleNamespace(url="http://127.0.0.1:9")
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        yield it
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="package")
def served(deployment, listening, tmp_path_factory) -> Iterator[dict[str, Tickets]]:
    """Both servers, started side by side."""
    folder = tmp_path_factory.mktemp("served")
    with ExitStack() as stack:
        tickets = {
            kind: stack.enter_context(_serving(kind, deployment, listening[kind], folder))
            for kind in KINDS
        }
        for kind, one in tickets.items():
            answer = httpx.get(one.url, timeout=SECONDS, trust_env=False)
            assert answer.status_code == 401, (folder / f"{kind}.log").read_text()
        yield tickets


@pytest.fixture(params=list(KINDS))
def kind(request) -> str:
    return request.param


@pytest.fixture
def tickets(kind, served) -> Tickets:
    return served[kind]


class _serving:  # noqa: N801 (it is used as a function)
    """A zone for the server, and its process while the context lasts."""

    def __init__(self, kind, deployment, listening, folder) -> None:
        url = url_of(listening) + "/mcp"
        resource = {
            "identifier": TICKETS,
            "kind": "mcp",
            "upstream": url,
            "provider": "mandates",
            "tools": {"ticket_close": READ, "told": READ, "ticket_open": WRITE},
        }
        providers = [{"name": "mandates", "kind": "caracal_mandate"}]
        zone = deployment.zone(providers=providers, resources=[resource])
        self.tickets = Tickets(zone, url)
        text = block(kind).replace("https://caracal.example", deployment.running.control)
        text = text.replace('"01J00000000000000000000000"', repr(zone.id))
        self.program = folder / f"{kind}.py"
        self.program.write_text(text.replace("https://tickets.example/mcp", url))
        self.log, self.listening = folder / f"{kind}.log", listening

    def __enter__(self) -> Tickets:
        number = self.listening.fileno()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
        with self.log.open("wb") as written:
            self.process = subprocess.Popen(
                [str(CLIENTS), str(PROGRAM), str(self.program), str(number)],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                pass_fds=(number,),
                env=environment,
            )
        return self.tickets

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(SECONDS)
