"""The page works as it stands: each Python block is run in a process of its own."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.deployment import PERMIT_ALL
from tools.repository import ROOT

PAGE = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def zone(deployment, upstream):
    upstream.raw["today.json"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
        b'{"total": 42}'
    )
    resource = {
        "identifier": "resource://reports",
        "upstream": f"{upstream.url}/raw",
        "operations": {"GET /{report}": "reports:read", "POST /{report}": "reports:write"},
    }
    return deployment.zone(
        applications=[{"name": "planner"}, {"name": "searcher"}],
        resources=[resource],
        policy=PERMIT_ALL,
    )


def profile(zone, name, folder):
    application, secret = zone.applications[name]
    running = zone.deployment.running
    file = folder / f"{name}.toml"
    file.write_text(
        f'zone_id = "{zone.id}"\napplication_id = "{application}"\n'
        f'app_client_secret = "{secret}"\nsts_url = "{running.control}"\n'
        f'gateway_url = "{running.gateway}"\n[[credentials]]\nresource = "resource://reports"\n'
    )
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_block_runs(zone, tmp_path, number, upstream):
    profiles = {name: profile(zone, name, tmp_path) for name in zone.applications}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[number]],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"CARACAL_CONFIG": str(profiles["planner"])},
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    live = zone.operate("GET", "agents?status=active").json()["items"]
    assert live == [], "a block leaves no session"


def test_the_blocks_show_what_they_are_for():
    calls = [block for block in BLOCKS if "today.json" in block]
    assert len(BLOCKS) == 8
    assert len(calls) == 6
