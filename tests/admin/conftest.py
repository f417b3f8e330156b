"""One Caracal for the tests of the admin API, and the published admin client as a process of its own."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Running, running_caracal
from tests.support.upstream import RecordingUpstream, upstream

__all__ = ["upstream"]

CLIENTS = Path(__file__).parents[2] / ".venv" / "tools" / "clients" / "bin" / "python"
_PRELUDE = """\
import json, os, sys
from caracalai_admin import *
client = AdminClient(
    api_url=os.environ["API"], admin_token=os.environ["TOKEN"],
    coordinator_url=os.environ["API"], coordinator_token=os.environ["TOKEN"],
)
def refused(call):
    try:
        answer = call()
    except AdminApiError as error:
        return [error.status, error.code, error.body]
    raise AssertionError(f"it was answered: {answer}")
said = {}
given = json.load(sys.stdin)
"""

Driven = Callable[..., dict[str, Any]]


@pytest.fixture(scope="package")
def caracal(
    tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream
) -> Iterator[Running]:
    """One server for the package; tests keep to zones of their own."""
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("admin") / "data"
    with running_caracal(data, environment=egress) as running:
        yield running


@pytest.fixture(scope="package")
def drive(caracal: Running) -> Driven:
    """Run a script with the published client, on what is given to it, and return what it says."""

    def run(script: str, *, token: str | None = None, **given: Any) -> dict[str, Any]:
        finished = subprocess.run(
            [CLIENTS, "-c", f"{_PRELUDE}{script}\nprint(json.dumps(said))"],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "API": caracal.control, "TOKEN": token or caracal.token},
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    return run
