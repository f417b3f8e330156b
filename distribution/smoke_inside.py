"""The part of `smoke.py` that runs inside fresh name spaces."""

import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from distribution.smoke import Plan, Seen

READY_SECONDS = 60
BETWEEN_SECONDS = 0.2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def main(plan_file: str) -> int:
    plan = msgspec.json.decode(Path(plan_file).read_bytes(), type=Plan)
    root = Path(plan.root)
    _mount(root, plan.writable, plan.user.partition(":")[0])
    _loopback_up()
    for command in plan.before:
        done = subprocess.run(
            _confined(plan, command), env=plan.environment, stdout=sys.stderr, check=False
        )
        if done.returncode:
            return 1
    processes = {name: _started(plan, command) for name, command in plan.commands.items()}
    signal.signal(signal.SIGALRM, lambda *_: _kill(processes))
    signal.alarm(READY_SECONDS)
    deadline = time.monotonic() + READY_SECONDS
    announced = {name: _line(process) for name, process in processes.items()}
    wrong = [f"{name} ends before it listens" for name, line in announced.items() if not line]
    wrong = wrong or [f"{one} does not get ready" for one in plan.ask if not _ready(one, deadline)]
    wrong = wrong or list(_writes(processes, root, plan.writable))
    if wrong:
        print("; ".join(wrong))
        return 1
    statuses = {name: _status(root / f"proc/{one.pid}/status") for name, one in processes.items()}
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    seen = [
        Seen(name, announced[name], statuses[name], process.wait())
        for name, process in processes.items()
    ]
    sys.stdout.buffer.write(msgspec.json.encode(seen))
    return 0


def _started(plan: Plan, command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        _confined(plan, command),
        env=plan.environment,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )


def _kill(processes: Mapping[str, subprocess.Popen[str]]) -> None:
    for process in processes.values():
        process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    return process.stdout.readline().strip()


def _mount(root: Path, writable: Sequence[str], user: str) -> None:
    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    mount("--make-rprivate", "/")
    mount("--bind", str(root), str(root))
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    for path in writable:
        options = f"mode=0700,uid={user},gid={user},nosuid,nodev,noexec,size=256m"
        mount("-t", "tmpfs", "-o", options, "tmpfs", f"{root}{path}")
    mount("-o", "remount,bind,ro", str(root))


def _loopback_up() -> None:
    with socket.socket() as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _confined(plan: Plan, command: Sequence[str]) -> list[str]:
    """The command without capabilities: those that `chroot` needs are lost with the change of user."""
    bounds = "--bounding-set=-all,+sys_chroot,+setuid,+setgid"
    drop = [_found("setpriv"), "--no-new-privs", "--inh-caps=-all", bounds]
    return [*drop, _found("chroot"), f"--userspec={plan.user}", "--groups=", plan.root, *command]


def _found(tool: str) -> str:
    """Where a tool of this machine is: the image's own PATH holds none."""
    return shutil.which(tool) or tool


def _status(file: Path) -> dict[str, str]:
    fields = dict(line.split(":", 1) for line in file.read_text().splitlines())
    wanted = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")
    return {name: fields[name].strip() for name in wanted}


def _ready(address: str, deadline: float) -> bool:
    """Whether it comes to answer 200 in time; services find each other only after they listen."""
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if _answer(address) == HTTPStatus.OK:
                return True
        time.sleep(BETWEEN_SECONDS)
    return False


def _answer(address: str) -> int:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", parts.path)
        return connection.getresponse().status


def _writes(
    processes: Mapping[str, subprocess.Popen[str]], root: Path, writable: Sequence[str]
) -> Iterator[str]:
    """Where somebody with root's rights could write, mounts apart; it should be nowhere."""
    for path in ("etc/passwd", "usr/bin/python3.13"):
        with contextlib.suppress(OSError):
            os.close(os.open(root / path, os.O_WRONLY | os.O_APPEND))
            yield f"/{path} can be written"
    for name, process in processes.items():
        # What a process sees of its mounts begins at its own root.
        lines = (root / f"proc/{process.pid}/mountinfo").read_text().splitlines()
        mounted = {line.split()[4]: line.split()[5].split(",") for line in lines}
        yield from (f"{path} is not mounted" for path in writable if path not in mounted)
        if "ro" not in mounted["/"]:
            yield f"the root of {name} is mounted for writing"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
