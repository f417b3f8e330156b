"""One server that gives up on upstreams quickly, for all attacks that leave it standing."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Authority, Deployment, deployed
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)

SETTINGS = {
    "CARACAL_FIRST_BYTE_TIMEOUT_SECONDS": "0.5",
    "CARACAL_IDLE_TIMEOUT_SECONDS": "0.5",
    "CARACAL_CONNECT_TIMEOUT_SECONDS": "0.5",
    "CARACAL_MAX_CLIENT_FAILURES": "10",
}


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream
) -> Iterator[Deployment]:
    environment = SETTINGS | {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("adversarial") / "data"
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        yield it
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def authority(deployment: Deployment) -> Authority:
    return deployment.zone().agent().authority()


@pytest.fixture(scope="module")
def shared_authority(deployment: Deployment) -> Authority:
    """For many attacks of which none is to leave anything behind."""
    return deployment.zone().agent().authority()
