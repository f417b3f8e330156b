"""One server for all stories that do not have to restart it."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment, deployed
from tests.support.running import running_caracal
from tests.support.upstream import RecordingUpstream
from tests.support.upstream import upstream as upstream  # noqa: PLC0414 (a fixture, for this folder)


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream
) -> Iterator[Deployment]:
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("scenarios") / "data"
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as it:
        yield it
