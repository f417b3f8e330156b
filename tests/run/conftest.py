"""One started Caracal for all tests of `caracal run`, with real programs on both sides."""

from collections.abc import Iterator

import pytest

from tests.run.git_server import GitServer, git_server
from tests.run.launching import Launching
from tests.run.model_server import ModelServer, model_server
from tests.support.deployment import Deployment, deployed
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as it:
        yield it


@pytest.fixture(scope="session")
def models() -> Iterator[ModelServer]:
    with model_server() as it:
        yield it


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: RecordingUpstream,
    repository: GitServer,
    models: ModelServer,
) -> Iterator[Deployment]:
    hosts = f"{upstream.authority},{repository.authority},{models.authority}"
    data = tmp_path_factory.mktemp("run") / "data"
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": hosts}
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it


@pytest.fixture
def launching(deployment: Deployment) -> Launching:
    return Launching(deployment.zone())
