"""A real Caracal for tests: `caracal up` in a process of its own, on free loopback ports."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "caracal_server.cli")
START_SECONDS = 60
STOP_SECONDS = 30


def listen_to_interrupts() -> None:
    """For `preexec_fn`: whoever runs the tests in the background has SIGINT ignored in all they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(slots=True)
class Running:
    """What `caracal up --json` said, and the means to ask this server with the command line."""

    process: subprocess.Popen
    control: str
    gateway: str
    operator_token_file: Path
    data: Path
    pid: int
    log: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            "CARACAL_SERVER": self.control,
            "CARACAL_OPERATOR_TOKEN_FILE": str(self.operator_token_file),
        }

    @property
    def token(self) -> str:
        return self.operator_token_file.read_text().strip()

    @property
    def operator(self) -> dict[str, str]:
        """The header that an operator's request carries."""
        return {"authorization": f"Bearer {self.token}"}

    def run(
        self, *arguments: str, environment: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess:
        """Run one `caracal` command in a process of its own."""
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **self.environment, **environment},
        )

    def ask(self, *arguments: str, environment: Mapping[str, str] = {}):
        """Run one command with `--json`, which must succeed, and return what it printed."""
        finished = self.run(*arguments, "--json", environment=environment)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code once everything has drained."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


def start_caracal(
    data: Path, *, environment: Mapping[str, str] = {}, database: str | None = None
) -> Running:
    """Start, and return once both listeners accept connections; its log is beside `data`."""
    log = data.with_name(f"{data.name}.log")
    arguments = ["up", "--data", str(data), "--json"]
    arguments += ["--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
    arguments += [] if database is None else ["--database", database]
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **environment},
        )
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        process.wait()
        process.stdout.close()
        raise RuntimeError(f"`caracal up` did not start: {log.read_text()}")
    told = json.loads(line)
    return Running(
        process=process,
        control=told["control"],
        gateway=told["gateway"],
        operator_token_file=Path(told["operator_token_file"]),
        data=Path(told["data"]),
        pid=told["pid"],
        log=log,
    )


@contextmanager
def running_caracal(
    data: Path, *, environment: Mapping[str, str] = {}, database: str | None = None
) -> Iterator[Running]:
    """Run one for the body; it must end by itself, with 0, when it is told to."""
    running = start_caracal(data, environment=environment, database=database)
    try:
        yield running
    finally:
        code = running.stop()
    assert code == 0, running.log.read_text()


@pytest.fixture(scope="session")
def caracal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server on the embedded store for the whole run; tests keep to zones of their own."""
    with running_caracal(tmp_path_factory.mktemp("caracal") / "data") as running:
        yield running
