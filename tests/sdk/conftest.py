"""One started Caracal for all tests of the clients, and clients of zones of their own."""

from collections.abc import Iterator

import pytest

from tests.sdk.clients import configured
from tests.support.deployment import Deployment, Zone, deployed
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream
) -> Iterator[Deployment]:
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("sdk") / "data"
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it


@pytest.fixture
def zone(deployment: Deployment) -> Zone:
    return deployment.zone()


@pytest.fixture
def caracal(zone: Zone):
    from caracal import Caracal

    with Caracal(configured(zone)) as client:
        yield client


@pytest.fixture
async def acaracal(zone: Zone):
    from caracal import AsyncCaracal

    async with AsyncCaracal(configured(zone)) as client:
        yield client
