"""Witnesses in processes of their own: ours, and one that we did not write."""

import json
import select
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.running import COMMAND

JUDGES = Path(__file__).parents[2] / ".venv" / "tools" / "judges" / "bin" / "python"
SECONDS = 30


@dataclass(slots=True)
class RunningWitness:
    """One that answers."""

    process: subprocess.Popen
    url: str
    key: str

    def submit(self, body: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/add-checkpoint", content=body, timeout=SECONDS, trust_env=False
        )

    def kill(self) -> None:
        """As a machine that lost power would, as far as one process can."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def start_witness(
    state: Path, logs: Sequence[str], *, listen: str = "127.0.0.1:0"
) -> RunningWitness:
    """Run `caracal witness`, and return once it answers."""
    named = [part for log in logs for part in ("--log", log)]
    arguments = ["witness", "--state", str(state), "--listen", listen, *named, "--json"]
    with state.with_name(f"{state.name}.log").open("ab") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        )
    ready, _, _ = select.select([process.stdout], [], [], SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        process.wait()
        raise RuntimeError(state.with_name(f"{state.name}.log").read_text())
    told = json.loads(line)
    return RunningWitness(process, told["listening"], told["key"])


@contextmanager
def running_witness(state: Path, logs: Sequence[str]) -> Iterator[RunningWitness]:
    found = start_witness(state, logs)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            assert found.stop() == 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def foreign_witness(directory: Path, logs: Sequence[str]) -> Iterator[RunningWitness]:
    """Run aics-witness, and yield once it answers."""
    directory.mkdir()
    config = str(directory / "witness.json")
    address = f"127.0.0.1:{free_port()}"

    def command(name: str, *more: str) -> list[str]:
        return [str(JUDGES), "-m", "aics_witness", name, "--config", config, *more]

    made = subprocess.run(
        command("init", "--name", "foreign.example/w1", "--listen", address),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    key = made.stdout.split()[-1]
    for log in logs:
        origin = log.split("+")[0]
        subprocess.run(
            command("add-log", "--origin", origin, "--vkey", log),
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
    process = subprocess.Popen(
        command("serve"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for line in process.stdout:
            if b"listening on" in line:
                break
        yield RunningWitness(process, f"http://{address}", key)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
