"""Running an image as a hardened engine would: read-only root, its own user, no capability.

Linux name spaces do it, so this must be root; no container engine is needed.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import msgspec

from distribution.faults import CannotBuild
from distribution.images import ALL_IN_ONE, PORTS
from distribution.layers import OpenedImage
from distribution.rootfs import STATE

ISOLATED = ("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
TIMEOUT_SECONDS = 110
APART = f"/{STATE}/apart"
PORTS_OF_ALL = (PORTS["sts"], PORTS["gateway"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run in one confinement.

    Attributes:
        root: the unpacked layers.
        user: numeric, `user:group`.
        writable: where memory is mounted; nothing else can be written to.
        before: commands that must end well before the others start.
        commands: of the processes, each of which prints a line once it listens.
        ask: addresses that must come to answer 200.
    """

    root: str
    user: str
    environment: Mapping[str, str]
    writable: Sequence[str]
    before: Sequence[Sequence[str]]
    commands: Mapping[str, Sequence[str]]
    ask: Sequence[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a running process.

    Attributes:
        announced: what it printed once it listened.
        status: of the process, as the kernel tells it.
        exit_code: after SIGTERM.
    """

    name: str
    announced: str
    status: dict[str, str]
    exit_code: int


def why_not_here() -> str:
    """Why images can not be run on this machine; nothing when they can."""
    if os.geteuid() != 0:
        return "running an image without an engine needs root"
    for tool in ("unshare", "mount", "setpriv", "chroot"):
        if shutil.which(tool) is None:
            return f"running an image without an engine needs {tool}"
    tried = subprocess.run([*ISOLATED, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no name spaces: {tried.stderr.strip()}"


def findings(images: Sequence[OpenedImage]) -> list[str]:
    """Run the image of all services, then the five together; answer what is not as it should be."""
    if len({image.layers for image in images}) != 1:
        return ["the images do not share their layers"]
    apart = [image for image in images if image.name != ALL_IN_ONE]
    with tempfile.TemporaryDirectory(prefix="caracal-smoke-") as folder:
        root = Path(folder, "root")
        root.mkdir(mode=0o755)
        _unpack(images[0], root)
        plans = [_whole(image, root) for image in images if image.name == ALL_IN_ONE]
        plans += [_apart(apart, root)] if apart else []
        return [finding for plan in plans for finding in _judged(plan, Path(folder))]


def _whole(image: OpenedImage, root: Path) -> Plan:
    """One image, with the command that it comes with."""
    command = [*image.config["Entrypoint"], *image.config["Cmd"], "--json"]
    return _plan(image, root, {image.name: command}, PORTS_OF_ALL)


def _apart(images: Sequence[OpenedImage], root: Path) -> Plan:
    """Keys are made, and each service runs with the command of its image, in a directory of its own."""
    commands = {}
    for image in images:
        command = [*image.config["Entrypoint"], *image.config["Cmd"], "--json"]
        own = {f"/{STATE}": f"{APART}/{image.name}"}
        commands[image.name] = [own.get(word, word) for word in command]
    plan = _plan(images[0], root, commands, tuple(PORTS.values()))
    more = {"CARACAL_ISSUER": "http://127.0.0.1:8080", "CARACAL_UNSAFE_PEER_NO_TLS": "true"}
    provision = [*images[0].config["Entrypoint"], "provision", APART]
    return replace(plan, before=[provision], environment={**plan.environment, **more})


def _plan(
    image: OpenedImage, root: Path, commands: Mapping[str, Sequence[str]], ports: Sequence[int]
) -> Plan:
    return Plan(
        root=str(root),
        user=image.config["User"],
        environment=dict(pair.split("=", 1) for pair in image.config["Env"]),
        writable=list(image.config["Volumes"]),
        before=(),
        commands=commands,
        ask=[f"http://127.0.0.1:{port}/ready" for port in ports],
    )


def _judged(plan: Plan, folder: Path) -> list[str]:
    try:
        return [finding for seen in _run(plan, folder) for finding in _unexpected(seen)]
    except CannotBuild as fault:
        return [str(fault)]


def _run(plan: Plan, folder: Path) -> list[Seen]:
    """Run a plan in name spaces of its own.

    Raises:
        CannotBuild: it can not be run here, or something in it did not come about.
    """
    if reason := why_not_here():
        raise CannotBuild(reason)
    written = folder / "plan.json"
    written.write_bytes(msgspec.json.encode(plan))
    ran = subprocess.run(
        [*ISOLATED, sys.executable, "-m", "distribution.smoke_inside", str(written)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if ran.returncode:
        why = f"{ran.stdout} {ran.stderr.strip()[-2000:]}".strip()
        raise CannotBuild(f"{', '.join(plan.commands)}: {why}")
    return msgspec.json.decode(ran.stdout, type=list[Seen])


def _unpack(image: OpenedImage, root: Path) -> None:
    for layer in image.layers:
        with tarfile.open(fileobj=BytesIO(layer)) as archive:
            archive.extractall(  # noqa: S202 (our own layers, with their owners)
                root, numeric_owner=True, filter="fully_trusted"
            )


def _unexpected(seen: Seen) -> Iterator[str]:
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        if int(seen.status[field], 16):
            yield f"{seen.name} has capabilities: {field} {seen.status[field]}"
    if seen.status["NoNewPrivs"] != "1" or "0" in seen.status["Uid"].split():
        yield f"{seen.name} may gain privileges, or is root: {seen.status}"
    if seen.exit_code != 0:
        yield f"{seen.name}, told to stop, ends with {seen.exit_code}"
