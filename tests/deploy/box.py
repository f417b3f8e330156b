"""A machine in a box: the commands of deploy/ are started as they stand, and asked from inside."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.deployment import eventually

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PROGRAM = "/opt/caracal/bin/caracal"
USER = 65532
NEEDED = ("unshare", "nsenter", "setpriv", "ip", "mount", "pivot_root")
READY_SECONDS = 60
STOP_SECONDS = 40

FETCHING = """
import json, subprocess, sys, urllib.error, urllib.request
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for url in sys.stdin:
    try:
        with opener.open(url.strip(), timeout=5) as answer:
            found = [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        with error:
            found = [error.status, error.read().decode()]
    except OSError:
        found = None
    print(json.dumps(found), flush=True)
"""


def why_not_here() -> str:
    """Why this machine can hold no box; nothing when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can make namespaces with users in them"
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        return f"this machine has no {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "tmpfs", "box", "/mnt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


in_a_box = pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "it can")


@dataclass(frozen=True, slots=True)
class Network:
    """A loopback interface that nothing else is on, and somebody on it who fetches."""

    holder: subprocess.Popen[str]

    @property
    def enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--")

    def fetch(self, url: str) -> tuple[int, str] | None:
        """GET; nothing when nobody answers."""
        assert self.holder.stdin is not None
        assert self.holder.stdout is not None
        self.holder.stdin.write(f"{url}\n")
        self.holder.stdin.flush()
        found = json.loads(self.holder.stdout.readline())
        return None if found is None else (found[0], found[1])

    def becomes(self, url: str, status: int) -> str:
        """The body, once the status is this."""

        def look() -> tuple[int, str] | None:
            answer = self.fetch(url)
            return answer if answer is not None and answer[0] == status else None

        return eventually(look, seconds=READY_SECONDS)[1]


@contextlib.contextmanager
def network() -> Iterator[Network]:
    command = ["unshare", "--net", "--", sys.executable, "-c", FETCHING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        try:
            on = Network(holder)
            assert on.fetch("http://127.0.0.1:1/") is None
            yield on
        finally:
            holder.kill()


@dataclass(frozen=True, slots=True)
class Boxed:
    """A process in a box, the first one in it."""

    process: subprocess.Popen
    log: Path

    @property
    def pid(self) -> int:
        """As this machine numbers it."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        return int(eventually(lambda: children.read_text().split())[0])

    def run(self, *command: str, as_user: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command beside it."""
        ids = ("--setuid", str(USER), "--setgid", str(USER)) if as_user else ()
        inside = ("nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", *ids, "--")
        return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

    def status(self, pid: int | None = None) -> dict[str, str]:
        """Of a process of this machine, as the kernel tells it."""
        lines = Path(f"/proc/{pid or self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def boxed(
    on: Network,
    work: Path,
    files: Path,
    command: Sequence[str],
    environment: Mapping[str, str] = {},
    cgroup: Path | None = None,
) -> Iterator[Boxed]:
    """Start a command in a box of its own.

    Args:
        files: is laid over the root.
        cgroup: what the box sees as the root of the control groups; as outside when `None`.
    """
    mounted = work / "box"
    mounted.mkdir(parents=True)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = sysconfig.get_path("purelib")
    prepare = ["bash", HERE / "box.sh", mounted, sys.base_prefix, python, packages, ROOT / "src"]
    isolated = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    if cgroup is not None:
        isolated += ["--cgroup"]
        isolated = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(cgroup), *isolated]
    log = work / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*on.enter, *isolated, *prepare, files, *command],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        ) as process,
    ):  # fmt: skip
        try:
            yield Boxed(process, log)
        except BaseException:
            print(log.read_text())
            raise
        finally:
            process.kill()


def contained(command: Sequence[str], writable: Sequence[str]) -> list[str]:
    """The command as a container engine would start it."""
    script = (HERE / "container.sh").read_text()
    return ["bash", "-c", script, "container.sh", " ".join(writable), *command]
