"""Run the suite under coverage and hold it to two gates; pytest's closing line comes last.

Usage: python -m tools.run_tests [PYTEST ARGUMENT ...]

With arguments pytest runs as told, without coverage and without gates. Exit codes: pytest's own
when tests fail, 1 when a gate is missed, 130 when interrupted.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.repository import ROOT

PURE = tuple(f"src/caracal/{name}/*" for name in ("authority", "evidence", "tokens", "wire"))
PROCESSES = (os.cpu_count() or 1) + 1
"""One worker more than cores, since servers are waited for."""
SPREAD = ("--dist=loadfile", "--no-loadscope-reorder")
"""The tests of a file share servers. In the order of collection, few slow ones do not come last."""
MISSED_GATE = 1
INTERRUPTED = 130

_CLOSING_LINE = re.compile(
    r"(?:=+ )?(?:\d+ [a-z]+(?:, \d+ [a-z]+)*|no tests ran) in [0-9.]+s(?: \([^)]+\))?(?: =+)?"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """The least share, in percent with branches, that the tests must execute of some files."""

    name: str
    least: int
    selection: tuple[str, ...]


GATES = (
    Gate("the pure packages", 100, ("--include", ",".join(PURE))),
    Gate("everything else", 90, ("--include", "src/caracal_server/*")),
)


def run_tests(arguments: Sequence[str], *, root: Path, processes: int = PROCESSES) -> int:
    """Run pytest in `root`, in so many processes unless told how, judge the gates, return the exit code."""
    if arguments:
        print("arguments given: running without coverage, so no gate is judged", flush=True)
        code, closing = _run_pytest([sys.executable, "-m", "pytest", *arguments], root)
    else:
        _coverage(root, "erase")
        spread = (f"--numprocesses={processes}", *SPREAD)
        command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *spread]
        code, closing = _run_pytest(command, root)
        if code == 0:
            code = _judge(root)
        else:
            print("tests failed, so no gate is judged", flush=True)
    print(closing, flush=True)
    return code


def _run_pytest(command: list[str], root: Path) -> tuple[int, str]:
    """Pass the output on as it comes; return the exit code and pytest's closing line."""
    closing = "pytest ended without a closing line"
    process = subprocess.Popen(
        command, cwd=root, env=_environment(), stdout=subprocess.PIPE, text=True, errors="replace"
    )
    assert process.stdout is not None
    with process, process.stdout:
        for line in process.stdout:
            print(line, end="", flush=True)
            if _CLOSING_LINE.fullmatch(line.rstrip("\n")):
                closing = line.rstrip("\n")
    return process.returncode, closing


def _judge(root: Path) -> int:
    _coverage(root, "combine", "--quiet")
    missed = []
    for gate in GATES:
        print(f"\nbranch coverage of {gate.name}, at least {gate.least} %", flush=True)
        options = ("--skip-covered", "--show-missing", f"--fail-under={gate.least}")
        if _coverage(root, "report", *options, *gate.selection) != 0:
            missed.append(gate.name)
    print(flush=True)
    for name in missed:
        print(f"coverage gate missed: {name}", flush=True)
    return MISSED_GATE if missed else 0


def _coverage(root: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=root, env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    """What we were given, but for the coverage measurement that may surround us."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


if __name__ == "__main__":
    try:
        sys.exit(run_tests(sys.argv[1:], root=ROOT))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
