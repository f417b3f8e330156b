"""The demo holds every promise it makes, on the embedded store and on PostgreSQL."""

import contextlib
import os
import re
import subprocess
import sys

from examples.demo import __main__ as demo
from examples.demo.processes import ROOT, AgentProcess, RunningCaracal
from examples.demo.story import Story
from examples.demo.upstream import RunningDatasette
from tests.support.running import running_caracal

MOST_LINES, FEWEST_LINES = 60, 30


def test_the_demo_tells_its_story_in_about_forty_lines():
    finished = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    assert FEWEST_LINES <= len(finished.stdout.splitlines()) <= MOST_LINES
    assert len(re.findall(r"^\d+\. ", finished.stdout, re.MULTILINE)) == 10
    assert "Every promise held" in finished.stdout


def test_the_same_story_on_postgresql(tmp_path, postgres):
    database = postgres.create_database("the_story")
    with contextlib.ExitStack() as stack:
        shop = stack.enter_context(RunningDatasette(tmp_path))
        egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": shop.url.removeprefix("http://")}
        running = stack.enter_context(
            running_caracal(tmp_path / "caracal", environment=egress, database=database)
        )
        assert not list(running.data.glob("*.db"))
        caracal = RunningCaracal(
            running.process,
            running.control,
            running.gateway,
            running.operator_token_file,
            running.data,
            running.log,
        )
        secrets = {"SHOP_TOKEN": shop.token, "SHOP_URL": shop.url}
        applied = caracal.command("apply", str(demo.ZONE_FILE), environment=secrets)
        zone = applied["zone"]["id"]
        agents = []
        for application in applied["applications"]:
            agents.append(AgentProcess(caracal, zone, application))
            stack.callback(agents[-1].stop)
        stage = demo.Stage(Story(), tmp_path, shop, caracal, zone, *agents)
        for chapter in (demo.read_rows, demo.try_to_write, demo.delegate, demo.kill, demo.prove):
            chapter(stage)
        demo.keep_a_receipt(stage)
