"""Starting, pinning and reading the processes that are measured."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads included."""
    schedstat = Path(f"/proc/{pid}/task")
    total = 0
    for task in schedstat.iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def pin(pid: int, cpu: int) -> None:
    """Keep what is measured and what measures it on different cores, where there are two."""
    if len(os.sched_getaffinity(0)) > 1 or pid != 0:
        available = sorted(os.sched_getaffinity(pid))
        if len(available) > cpu:
            os.sched_setaffinity(pid, {available[cpu]})


@contextmanager
def child(*arguments: str, cpu: int, environment: dict[str, str] | None = None) -> Iterator[Any]:
    """Run a Python module; yield the process and the first line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
        preexec_fn=lambda: pin(0, cpu),  # noqa: PLW1509 (no other thread runs yet)
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no output to read")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{arguments[0]} did not start")
        yield process, line.strip()
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@dataclass(frozen=True, slots=True)
class Caracal:
    """A started `caracal up`."""

    process: subprocess.Popen[str]
    control: str
    gateway: str
    token: str


@contextmanager
def caracal(
    *, cpu: int = 0, database: str | None = None, program: str = "caracal_server.cli"
) -> Iterator[Caracal]:
    """Start `caracal up` on free ports over a fresh directory."""
    with tempfile.TemporaryDirectory(prefix="caracal-bench-") as directory:
        arguments = [program, "up", "--json", "--data", directory,
                     "--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]  # fmt: skip
        if database is not None:
            arguments += ["--database", database]
        egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": "127.0.0.0/8"}
        with child(*arguments, cpu=cpu, environment=egress) as (process, line):
            ready = json.loads(line)
            token = Path(ready["operator_token_file"]).read_text().strip()
            yield Caracal(process, ready["control"], ready["gateway"], token)
