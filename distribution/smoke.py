"""Running an image as a hardened engine would: read-only root, its own user, no capability.

Linux name spaces do it, so this must be root; no container engine is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

from distribution.faults import CannotBuild
from distribution.layers import OpenedImage

ISOLATED = ("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
TIMEOUT_SECONDS = 100
READY = ("http://127.0.0.1:8080/ready", "http://127.0.0.1:8081/ready")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a running image.

    Attributes:
        announced: what it printed once it was ready.
        status: of its process, as the kernel tells it.
        answers: the HTTP status of each address that was asked.
        wrong: what it could do and should not.
        exit_code: after SIGTERM.
    """

    announced: str
    status: dict[str, str]
    answers: dict[str, int]
    wrong: list[str]
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


def findings(image: OpenedImage) -> list[str]:
    """Run the image of all services; answer what it can do and should not, or why it does not run."""
    try:
        seen = run(image, [*image.config["Cmd"], "--json"], READY)
    except CannotBuild as fault:
        return [str(fault)]
    return [*seen.wrong, *_unexpected(seen)]


def _unexpected(seen: Seen) -> Iterator[str]:
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        if int(seen.status[field], 16):
            yield f"it has capabilities: {field} {seen.status[field]}"
    if seen.status["NoNewPrivs"] != "1" or "0" in seen.status["Uid"].split():
        yield f"it may gain privileges, or is root: {seen.status}"
    for address, status in seen.answers.items():
        if status != HTTPStatus.OK:
            yield f"{address} answers {status}"
    if seen.exit_code != 0:
        yield f"told to stop, it ends with {seen.exit_code}"


def run(image: OpenedImage, command: Sequence[str], ask: Sequence[str]) -> Seen:
    """Start the image, wait until it announces itself, ask it, stop it.

    Raises:
        CannotBuild: it can not be run here, or never becomes ready.
    """
    if reason := why_not_here():
        raise CannotBuild(reason)
    with tempfile.TemporaryDirectory(prefix="caracal-smoke-") as folder:
        root = Path(folder, "root")
        root.mkdir(mode=0o755)
        for layer in image.layers:
            with tarfile.open(fileobj=BytesIO(layer)) as archive:
                archive.extractall(  # noqa: S202 (our own layers, with their owners)
                    root, numeric_owner=True, filter="fully_trusted"
                )
        plan = Path(folder, "plan.json")
        plan.write_text(
            json.dumps(
                {
                    "root": str(root),
                    "user": image.config["User"],
                    "environment": image.config["Env"],
                    "writable": list(image.config["Volumes"]),
                    "command": [*image.config["Entrypoint"], *command],
                    "ask": list(ask),
                }
            )
        )
        ran = subprocess.run(
            [*ISOLATED, sys.executable, "-m", "distribution.smoke_inside", str(plan)],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    if ran.returncode:
        raise CannotBuild(f"the image {image.name} did not run: {ran.stderr.strip()[-2000:]}")
    return Seen(**json.loads(ran.stdout))
