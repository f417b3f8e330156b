"""The processes of the demo: Caracal itself, agents, and single `caracal` commands."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from caracal.evidence.witness_protocol import PATH, AddCheckpoint

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30


def caracal_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "caracal_server.cli", *arguments]


@dataclass(slots=True)
class RunningCaracal:
    """`caracal up`: all services in one process, on free loopback ports, its state in `data`."""

    process: subprocess.Popen[str]
    control: str
    gateway: str
    operator_token_file: Path
    data: Path
    log: Path

    @classmethod
    def start(cls, data: Path, *, private_egress: str) -> "RunningCaracal":
        log = data.with_suffix(".log")
        with log.open("wb") as written:
            process = subprocess.Popen(
                caracal_command(
                    "up", "--data", str(data), "--json",
                    "--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0",
                ),
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
                env=os.environ | {"CARACAL_PRIVATE_EGRESS_HOSTS": private_egress},
            )  # fmt: skip
        if process.stdout is None:
            raise RuntimeError("the output of `caracal up` can not be read")
        line = process.stdout.readline()
        if not line:
            code = process.wait(START_SECONDS)
            raise RuntimeError(f"`caracal up` ended with {code}: {log.read_text().strip()}")
        ready = json.loads(line)
        return cls(
            process,
            ready["control"],
            ready["gateway"],
            Path(ready["operator_token_file"]),
            Path(ready["data"]),
            log,
        )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self, *arguments: str, environment: dict[str, str] | None = None) -> Any:
        """Run one `caracal` command with `--json` and return what it printed.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        finished = self.run(*arguments, "--json", environment=environment)
        finished.check_returncode()
        return json.loads(finished.stdout)

    def run(
        self, *arguments: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            caracal_command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ
            | {
                "CARACAL_SERVER": self.control,
                "CARACAL_OPERATOR_TOKEN_FILE": str(self.operator_token_file),
            }
            | (environment or {}),
        )


@dataclass(slots=True)
class RunningWitness:
    """`caracal witness`, which knows one log and keeps what it saw of it in `state`."""

    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, state: Path, log_key: str) -> "RunningWitness":
        log = state.with_suffix(".log")
        with log.open("wb") as written:
            process = subprocess.Popen(
                caracal_command(
                    "witness", "--state", str(state), "--log", log_key,
                    "--listen", "127.0.0.1:0", "--json",
                ),
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )  # fmt: skip
        if process.stdout is None:
            raise RuntimeError("the output of `caracal witness` can not be read")
        line = process.stdout.readline()
        if not line:
            code = process.wait(START_SECONDS)
            raise RuntimeError(f"`caracal witness` ended with {code}: {log.read_text().strip()}")
        return cls(process, json.loads(line)["listening"])

    def submit(self, note: str, old: int, proof: tuple[bytes, ...]) -> httpx.Response:
        return httpx.post(
            f"{self.url}{PATH}",
            content=AddCheckpoint(old, proof, note).render(),
            timeout=START_SECONDS,
            trust_env=False,
        )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class AgentProcess:
    """An agent in a process of its own, with nothing in its environment but its credential."""

    def __init__(
        self,
        caracal: RunningCaracal,
        zone: str,
        application: dict[str, str],
        resource: str = "resource://shop",
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("agent.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "CARACAL_STS_URL": caracal.control,
                "CARACAL_GATEWAY_URL": caracal.gateway,
                "CARACAL_ZONE_ID": zone,
                "CARACAL_APPLICATION_ID": application["id"],
                "CARACAL_APP_CLIENT_SECRET": application["secret"],
                "DEMO_RESOURCE": resource,
            },
        )

    def do(self, act: str, **arguments: Any) -> Any:
        self.ask(act, **arguments)
        return self.answer()

    def ask(self, act: str, **arguments: Any) -> None:
        if self.process.stdin is None:
            raise RuntimeError("the agent can not be told anything")
        self.process.stdin.write(json.dumps({"do": act} | arguments) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        if self.process.stdout is None:
            raise RuntimeError("the agent can not be heard")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the agent ended early")
        return json.loads(line)

    def stop(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process.wait(timeout=10)
