"""Five services on loopback: one deployment for the stories, and one of its own for whatever breaks it."""

from collections.abc import Iterator

import pytest

from tests.support.apart import Apart, apart, deployed_apart, provision, running_apart
from tests.support.deployment import Deployment
from tests.support.mcp_server import McpServer, mcp_server
from tests.support.openid import Provider, openid_provider
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)

GRAPH_SECONDS = 2.0
CONFIGURATION_SECONDS = 4.0
BOUNDS = {
    "CARACAL_GRAPH_STALE_SECONDS": f"{GRAPH_SECONDS:g}",
    "CARACAL_CONFIGURATION_STALE_SECONDS": f"{CONFIGURATION_SECONDS:g}",
}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="session")
def tickets() -> Iterator[McpServer]:
    with mcp_server() as server:
        yield server


@pytest.fixture(scope="session")
def services(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: RecordingUpstream,
    provider: Provider,
    tickets: McpServer,
) -> Iterator[Apart]:
    root = tmp_path_factory.mktemp("apart")
    provision(root)
    hosts = f"{upstream.authority},{provider.authority},{tickets.authority}"
    reach = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": hosts,
        "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
    }
    with running_apart(apart(root, upstream, **BOUNDS, **reach)) as running:
        yield running


@pytest.fixture(scope="session")
def deployment(services: Apart, upstream: RecordingUpstream) -> Iterator[Deployment]:
    with deployed_apart(services, upstream) as it:
        yield it
