"""One Caracal for all published clients, which run as processes of their own."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deployment import Deployment, Zone, deployed, zone_document
from tests.support.openid import Provider, openid_provider
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)

CLIENTS = Path(__file__).parents[2] / ".venv" / "tools" / "clients" / "bin" / "python"
PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 90

Told = dict[str, Any]
Program = Callable[..., Told]


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="session")
def guarded() -> Iterator[socket.socket]:
    """Where the guarded servers will listen: known before the server that verifies for them is started."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: RecordingUpstream,
    provider: Provider,
    guarded: socket.socket,
) -> Iterator[Deployment]:
    hosts = (upstream.authority, provider.authority, _authority(guarded))
    environment = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": ",".join(hosts),
        "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
    }
    data = tmp_path_factory.mktemp("stock-clients") / "data"
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        yield it
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="session")
def zone(deployment: Deployment, provider: Provider, guarded: socket.socket) -> Zone:
    """A zone with a plain resource, and a service and tools that verify mandates themselves."""
    [api] = zone_document("", deployment.upstream.url)["resources"]
    at = f"http://{_authority(guarded)}"
    service = api | {
        "identifier": "resource://service",
        "upstream": f"{at}/service",
        "provider": "mandates",
    }
    tools = {
        "identifier": "resource://tools",
        "kind": "mcp",
        "upstream": f"{at}/mcp",
        "provider": "mandates",
        "tools": {"add": "tools:add", "caller": "tools:add", "forbidden": "tools:other"},
    }
    based = api | {
        "identifier": "resource://based",
        "upstream": f"{deployment.upstream.url}/echo",
        "operations": {"GET /": "api:read", "GET /{path*}": "api:read"},
    }
    return deployment.zone(
        "stock-clients",
        subject_issuers=[provider.trust],
        providers=[{"name": "mandates", "kind": "caracal_mandate"}],
        resources=[api, service, tools, based],
    )


@pytest.fixture(scope="session")
def guarded_server(zone: Zone, guarded: socket.socket, tmp_path_factory: Any) -> Iterator[str]:
    """A Starlette service and an FastMCP server, protected by the published packages."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [str(CLIENTS), str(PROGRAMS / "guarded_server.py"), str(guarded.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            pass_fds=(guarded.fileno(),),
            env=environment_of(zone),
        )
    at = f"http://{_authority(guarded)}"
    try:
        answer = httpx.get(f"{at}/health", timeout=SECONDS, trust_env=False)
        assert answer.status_code == 200, log.read_text()
        yield at
    finally:
        process.terminate()
        process.wait(SECONDS)
    assert "Traceback" not in log.read_text()


def _authority(listening: socket.socket) -> str:
    return f"127.0.0.1:{listening.getsockname()[1]}"


def environment_of(zone: Zone, **more: str) -> dict[str, str]:
    """What an application of the zone is deployed with, under the names that its client reads."""
    running = zone.deployment.running
    (application, secret), (helper, helper_secret) = (
        zone.applications["agent"],
        zone.applications["helper"],
    )
    return {
        "PATH": os.environ["PATH"],
        "CARACAL_STS_URL": running.control,
        "CARACAL_COORDINATOR_URL": running.control,
        "CARACAL_GATEWAY_URL": running.gateway,
        "CARACAL_ZONE_ID": zone.id,
        "CARACAL_APPLICATION_ID": application,
        "CARACAL_APP_CLIENT_SECRET": secret,
        "CARACAL_RESOURCES": f"resource://api={zone.deployment.upstream.url}",
        "HELPER_ID": helper,
        "HELPER_SECRET": helper_secret,
        "OPERATOR_TOKEN": running.token,
        "UPSTREAM_URL": zone.deployment.upstream.url,
        **more,
    }


def run(name: str, environment: Mapping[str, str], *checks: str) -> Told:
    """Run one program to its end and return what each of its checks found."""
    finished = subprocess.run(
        [str(CLIENTS), str(PROGRAMS / name), *checks],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env=dict(environment),
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="session")
def program(zone: Zone) -> Program:
    """Run a program of `programs/` as an application of the zone."""
    return lambda name, *checks, **more: run(name, environment_of(zone, **more), *checks)
