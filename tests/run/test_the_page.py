"""The ten-minute guide works as it stands: its files and its commands, word by word, on a server of its own."""

import json
import os
import re
import subprocess
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest

from caracal.run.child_environment import WELL_KNOWN
from caracal.run.options import OPTIONS
from tests.support.running import COMMAND, running_caracal
from tools.repository import ROOT

PAGE = (ROOT / "docs" / "wrap-a-coding-agent.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The page's API: a folder served over HTTP."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "today.json").write_text('{"total": 42}')

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory, reports):
    """A folder with all that the page made until step 4, and a way to run its commands there."""
    folder = tmp_path_factory.mktemp("page")
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": f"127.0.0.1:{reports}"}
    with running_caracal(folder / "data", environment=egress) as server:
        (folder / "caracal").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
        (folder / "caracal").chmod(0o755)
        environment = {
            **os.environ,
            **server.environment,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
        }

        def run(script: str, **more: str) -> subprocess.CompletedProcess:
            return subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                capture_output=True,
                check=False,
                text=True,
                timeout=60,
                cwd=folder,
                env=environment | more,
            )

        zone = blocks("yaml")[0].replace("127.0.0.1:9000", f"127.0.0.1:{reports}")
        (folder / "zone.yaml").write_text(zone)
        applied = json.loads(run("caracal apply zone.yaml --json").stdout)
        (application,) = applied["applications"]
        profile = blocks("toml")[0]
        profile = profile.replace('zone_id = "..."', f'zone_id = "{applied["zone"]["id"]}"')
        profile = profile.replace(
            'application_id = "..."', f'application_id = "{application["id"]}"'
        )
        # The page's Caracal listens where the defaults say; this one does not.
        addresses = f'sts_url = "{server.control}"\ngateway_url = "{server.gateway}"\n'
        (folder / "agent.toml").write_text(addresses + profile)
        secret = next(block for block in blocks("sh") if "agent.secret" in block)
        made = run(secret, SECRET=application["secret"])
        assert made.returncode == 0, made.stderr
        yield run


def commands(holding: str) -> str:
    return next(block for block in blocks("sh") if holding in block)


def test_the_zone_is_shown_and_applying_again_changes_nothing(place):
    again = place(commands("apply zone.yaml"))
    assert again.returncode == 0, again.stderr
    assert "wrapped" in again.stdout


def test_a_newcomer_gets_the_report(place):
    done = place(commands("curl -s http://reports.example/today.json"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": 42}
    assert done.stderr == ""


def test_what_it_may_not_is_refused_with_what_to_do(place):
    done = place(commands("-X PUT"))
    put, elsewhere = done.stdout.splitlines()
    assert put.startswith("caracal: could not call: PUT")
    assert "[operation_scope_missing]" in put
    assert elsewhere.startswith("caracal: elsewhere.example is no resource of this run")
    assert len(done.stderr.splitlines()) == 2
    seen = place(commands("evidence tail"))
    assert seen.returncode == 0, seen.stderr
    assert "operation_scope_missing" in seen.stdout
    assert "coding-agent" in seen.stdout


def test_the_page_names_every_family_of_clients_and_only_options_that_there_are():
    named = set(re.findall(r"(?<![\w-])--[a-z-]+(?= [A-Z\[r]|`)", PAGE))
    assert {f"--{family}" for family in WELL_KNOWN} <= named
    known = {option.flag for option in OPTIONS} | {"--all", "--bind", "--directory", "--version"}
    assert named <= known
