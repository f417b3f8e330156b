"""One started Caracal for all tests of the clients, and clients of zones of their own."""

from collections.abc import Iterator

import pytest

from caracal import AsyncCaracal, Caracal
from tests.sdk.clients import configured
from tests.support.deployment import Deployment, Zone, deployed
from tests.support.openid import Provider, openid_provider
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream, provider: Provider
) -> Iterator[Deployment]:
    egress = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": f"{upstream.authority},{provider.authority}",
        "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
    }
    data = tmp_path_factory.mktemp("sdk") / "data"
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it


@pytest.fixture
def zone(deployment: Deployment) -> Zone:
    return deployment.zone()


@pytest.fixture
def caracal(zone: Zone):
    with Caracal(configured(zone)) as client:
        yield client


@pytest.fixture
async def acaracal(zone: Zone):
    async with AsyncCaracal(configured(zone)) as client:
        yield client
