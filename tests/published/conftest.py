"""A started Caracal before a published MCP server that others bridge more published servers into."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.support.deployment import PERMIT_ALL, TOKEN_EXCHANGE, Zone, deployed
from tests.support.published_programs import PROGRAMS, PYTHON, free_port, published_server
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)

SECONDS = 60
USE, DROP = "toolbox:use", "toolbox:drop"
TOOLS = {
    "add": USE, "count": USE, "wait": USE, "log": USE, "get_current_time": USE, "git_log": USE, "drop": DROP,
}  # fmt: skip
Client = Callable[[str, Sequence[str]], dict[str, Any]]


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("repository")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return str(folder)


@pytest.fixture(scope="package")
def zone(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream, repository: str
) -> Iterator[Zone]:
    port = free_port()
    data = tmp_path_factory.mktemp("published") / "data"
    with published_server("toolbox_server.py", port, repository) as authority:
        environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": authority}
        with (
            running_caracal(data, environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            resource = {
                "identifier": "resource://toolbox",
                "kind": "mcp",
                "upstream": f"http://{authority}/mcp",
                "tools": TOOLS,
            }
            yield deployment.zone("toolbox", resources=[resource], policy=PERMIT_ALL)
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="package")
def client(zone: Zone, repository: str) -> Client:
    """Run one of the clients, in a process of its own, with the scope to use tools and no other.

    Returns what came of it, by the mode that it was run in.
    """
    authority = zone.agent().authority()
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "zone_id": zone.id,
        "application_id": authority.agent.application,
        "client_secret": authority.agent.secret,
        "scope": USE,
        "resource": "resource://toolbox",
        "agent_session_id": authority.session,
        "delegation_edge_id": authority.delegation,
    }

    def run(name: str, modes: Sequence[str]) -> dict[str, Any]:
        asked = {
            "client": name,
            "modes": modes,
            "url": zone.deployment.running.gateway,
            "resource": "resource://toolbox",
            "repository": repository,
            "token_url": f"{zone.deployment.running.control}/oauth/2/token",
            "fields": fields,
        }
        command = [str(PYTHON), str(PROGRAMS / "mcp_client.py")]
        done = subprocess.run(
            command,
            check=False,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run
