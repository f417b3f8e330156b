"""What only a person at a terminal, or a process that is interrupted, meets."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from caracal_server.cli.failures import ExitCode
from caracal_server.cli.program import CommandsOnDemand
from examples.demo.agent import Agent
from tests.support.running import COMMAND, Running, listen_to_interrupts

PATIENCE_SECONDS = 30
ZONE = "terminal"


@pytest.fixture(scope="module")
def agent(caracal: Running, tmp_path_factory: pytest.TempPathFactory):
    file = tmp_path_factory.mktemp("zone") / "zone.yaml"
    resource = "resources: [{identifier: 'resource://shop', upstream: 'http://127.0.0.1:9'}]"
    file.write_text(f"zone: {ZONE}\napplications: [{{name: worker}}]\n{resource}\n")
    applied = caracal.ask("apply", str(file))
    (application,) = applied["applications"]
    agent = Agent(
        {
            "CARACAL_STS_URL": caracal.control,
            "CARACAL_GATEWAY_URL": caracal.gateway,
            "CARACAL_ZONE_ID": applied["zone"]["id"],
            "CARACAL_APPLICATION_ID": application["id"],
            "CARACAL_APP_CLIENT_SECRET": application["secret"],
        }
    )
    with agent._http:
        yield agent


class Terminal:
    """A command at a pseudo-terminal: what it shows is read until some text came."""

    def __init__(self, caracal: Running, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
            env={**os.environ, **caracal.environment, "COLUMNS": "200"},
        )
        os.close(theirs)
        self.shown = ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} did not come in {self.shown!r}"
            self.shown += os.read(self._ours, 4096).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            os.close(self._ours)


def test_a_kill_shows_what_would_end_and_does_as_it_is_told(caracal, agent):
    root = agent.start()["body"]["agent_session_id"]
    child = agent.start(root)["body"]["agent_session_id"]
    for answer, code, left in (("n\n", ExitCode.REFUSED, 2), ("y\n", ExitCode.OK, 0)):
        terminal = Terminal(caracal, "session", "kill", root, "--zone", ZONE)
        terminal.read_until("End 2 sessions and revoke 0 delegations? [y/N]")
        assert root in terminal.shown
        assert child in terminal.shown
        terminal.type(answer)
        terminal.read_until("nothing was done" if left else "ended 2 sessions")
        assert terminal.end() == code
        assert len(caracal.ask("session", "list", "--zone", ZONE)["sessions"]) == left


def test_a_tail_that_follows_shows_what_comes_until_it_is_interrupted(
    caracal, agent, tmp_path: Path
):
    begun = caracal.ask("evidence", "tail", "--zone", ZONE, "--lines", "1")["entries"][0]["index"]
    shown = tmp_path / "shown"
    with shown.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "evidence", "tail", "--zone", ZONE, "-n", "1", "--follow", "--json"],
            stdout=out,
            env={**os.environ, **caracal.environment},
            preexec_fn=listen_to_interrupts,  # noqa: PLW1509 (no other thread starts one)
        )
    try:
        _wait_for(lambda: f'"index":{begun},'.encode() in shown.read_bytes())
        agent.start()
        _wait_for(lambda: b'"kind":"session.start"' in shown.read_bytes())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED
    lines = shown.read_bytes().splitlines()
    assert [line.count(b'"leaf_hash"') for line in lines] == [1] * len(lines)
    assert len(set(lines)) == len(lines)


def test_a_reader_that_leaves_is_no_defect(caracal, agent):
    finished = subprocess.run(
        ["/bin/sh", "-c", '"$@" | true', "sh", *COMMAND, "evidence", "tail", "--zone", ZONE],
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **caracal.environment},
    )
    assert b"Traceback" not in finished.stderr
    assert b"defect" not in finished.stderr


def test_a_defect_is_one_line_without_what_the_values_hold():
    app = typer.Typer(cls=CommandsOnDemand, invoke_without_command=True)

    @app.callback()
    def fail() -> None:
        raise RuntimeError("planted-secret")

    ended = CliRunner().invoke(app, [])
    assert ended.exit_code == ExitCode.FAULT
    assert ended.stderr.count("\n") == 1
    assert f"RuntimeError at {__file__}:" in ended.stderr
    assert "planted-secret" not in ended.output


def test_the_demo_says_where_it_is_to_be_had(tmp_path: Path):
    package = Path(sys.modules["caracal_server.cli.failures"].__file__).parents[2]
    installed = tmp_path / "lib" / "python" / "site-packages"
    installed.mkdir(parents=True)
    for name in ("caracal", "caracal_server"):
        _copy_tree(package / name, installed / name)
    finished = subprocess.run(
        (*COMMAND, "demo"),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert finished.returncode == ExitCode.USAGE
    assert "clone the repository" in finished.stderr


def _copy_tree(source: Path, copy: Path) -> None:
    for file in source.rglob("*.py"):
        place = copy / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def _wait_for(holds) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)
