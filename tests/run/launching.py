"""`caracal run` as a process of its own, for an application of a test's zone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.deployment import API, READ, WRITE, Zone
from tests.support.running import listen_to_interrupts

SECONDS = 60
SAVE = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


@dataclass(slots=True)
class Launching:
    """Starts programs with the authority of the zone's agent."""

    zone: Zone
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ("--resource", f"{API}={READ},{WRITE}")

    def __post_init__(self) -> None:
        application, secret = self.zone.applications["agent"]
        running = self.zone.deployment.running
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        kept |= {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "LANG": "C.UTF-8"}
        kept |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        self.environment = (
            kept
            | {
                "CARACAL_ZONE_ID": self.zone.id,
                "CARACAL_APPLICATION_ID": application,
                "CARACAL_APP_CLIENT_SECRET": secret,
                "CARACAL_STS_URL": running.control,
                "CARACAL_GATEWAY_URL": running.gateway,
            }
            | self.environment
        )

    @property
    def secret(self) -> str:
        return self.zone.applications["agent"][1]

    def command(self, *program: str, options: tuple[str, ...] | None = None) -> list[str]:
        # By its module: the command line as a whole takes half as long again to start.
        start = (sys.executable, "-m", "caracal.run")
        return [*start, *(self.options if options is None else options), "--", *program]

    def run(
        self, *program: str, options: tuple[str, ...] | None = None, stdin: bytes = b"", **more: str
    ) -> subprocess.CompletedProcess:
        """Run a program to its end; what it wrote is text."""
        finished = subprocess.run(
            self.command(*program, options=options),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=SECONDS,
            env=self.environment | more,
            preexec_fn=listen_to_interrupts,
        )
        finished.stdout, finished.stderr = finished.stdout.decode(), finished.stderr.decode()
        return finished

    def python(self, script: str, *arguments: str, **more) -> subprocess.CompletedProcess:
        return self.run(sys.executable, "-c", script, *arguments, **more)

    @contextmanager
    def started(
        self, *program: str, options: tuple[str, ...] | None = None, **more: str
    ) -> Iterator[subprocess.Popen]:
        """Start one that goes on; whoever leaves it running is the end of it."""
        with subprocess.Popen(
            self.command(*program, options=options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment | more,
            preexec_fn=listen_to_interrupts,  # noqa: PLW1509 (sets a signal's default, nothing else)
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @contextmanager
    def waiting(self, **more) -> Iterator[tuple[subprocess.Popen, Mapping[str, str]]]:
        """A program that says what its environment is, and ends when its input does."""
        # Through a file: what it prints is redacted.
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            script = f"{SAVE}; print(flush=True); sys.stdin.read()"
            with self.started(sys.executable, "-c", script, file.name, **more) as process:
                assert process.stdout.readline(), process.stderr.read().decode()
                yield process, json.load(file)


def found(program: str) -> str:
    """Where a program is that tests need."""
    path = shutil.which(program)
    assert path is not None, f"{program} is not installed: these tests run real programs"
    return path
