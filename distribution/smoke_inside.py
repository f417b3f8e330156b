"""The part of `smoke.py` that runs inside fresh name spaces."""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

READY_SECONDS = 60
STOP_SECONDS = 30
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def main(plan_file: str) -> int:
    plan = json.loads(Path(plan_file).read_text())
    root = Path(plan["root"])
    _mount(root, plan["writable"], plan["user"].partition(":")[0])
    _loopback_up()
    process = subprocess.Popen(
        _confined(root, plan["user"], plan["command"]),
        env=dict(pair.split("=", 1) for pair in plan["environment"]),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(READY_SECONDS)
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    announced = process.stdout.readline()
    signal.alarm(STOP_SECONDS)
    if not announced:
        return 1
    seen: dict[str, object] = {
        "announced": announced.strip(),
        "status": _status(root / f"proc/{process.pid}/status"),
        "answers": {address: _answer(address) for address in plan["ask"]},
        "wrong": _writes(process.pid, root, plan["writable"]),
    }
    process.send_signal(signal.SIGTERM)
    seen["exit_code"] = process.wait()
    sys.stdout.write(json.dumps(seen))
    return 0


def _mount(root: Path, writable: list[str], user: str) -> None:
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


def _confined(root: Path, user: str, command: list[str]) -> list[str]:
    """The command without capabilities: those that `chroot` needs are lost with the change of user."""
    bounds = "--bounding-set=-all,+sys_chroot,+setuid,+setgid"
    drop = [_found("setpriv"), "--no-new-privs", "--inh-caps=-all", bounds]
    return [*drop, _found("chroot"), f"--userspec={user}", "--groups=", str(root), *command]


def _found(tool: str) -> str:
    """Where a tool of this machine is: the image's own PATH holds none."""
    return shutil.which(tool) or tool


def _status(file: Path) -> dict[str, str]:
    fields = dict(line.split(":", 1) for line in file.read_text().splitlines())
    wanted = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")
    return {name: fields[name].strip() for name in wanted}


def _answer(address: str) -> int:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", parts.path)
        return connection.getresponse().status


def _writes(process: int, root: Path, writable: list[str]) -> list[str]:
    """Where somebody with root's rights could write in the image, mounts apart; it should be nowhere."""
    wrong = []
    for path in ("etc/passwd", "usr/bin/python3.13"):
        try:
            os.close(os.open(root / path, os.O_WRONLY | os.O_APPEND))
        except OSError:
            continue
        wrong.append(f"/{path} can be written")
    # What a process sees of its mounts begins at its own root.
    lines = (root / f"proc/{process}/mountinfo").read_text().splitlines()
    mounted = {line.split()[4]: line.split()[5].split(",") for line in lines}
    wrong += [f"{path} is not mounted" for path in writable if path not in mounted]
    if "ro" not in mounted["/"]:
        wrong.append("the root is mounted for writing")
    return wrong


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
