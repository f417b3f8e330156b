"""The processes of the demo: Caracal itself, agents, and single `caracal` commands."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class AgentProcess:
    """An agent in a process of its own, with nothing in its environment but its credential."""

    def __init__(self, caracal: RunningCaracal, zone: str, application: dict[str, str]) -> None:
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
