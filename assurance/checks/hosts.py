"""What is installed on one machine: the compose files and the systemd units."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from assurance.checks import NotRunHere
from assurance.units import read_unit

COMPOSE: Final = Path("deploy/compose")
UNITS: Final = Path("deploy/systemd")
PROGRAM: Final = "/opt/caracal/bin/caracal"
EXPOSURE: Final = 15
"""In tenths: what `systemd-analyze security` calls "OK" ends at 30."""

CONTAINER: Final[Mapping[str, Any]] = {
    "user": "65532:65532",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
BOUNDED: Final = ("pids_limit", "mem_limit", "cpus", "stop_grace_period", "healthcheck", "logging")
LOOSENED: Final = frozenset(
    {
        "privileged",
        "cap_add",
        "devices",
        "pid",
        "ipc",
        "userns_mode",
        "build",
        "env_file",
    }
)

SANDBOX: Final[Mapping[str, str]] = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "DynamicUser": "yes",
    "LimitCORE": "0",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "StateDirectoryMode": "0700",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service ~@privileged @resources",
    "UMask": "0077",
}

_BY_DIGEST = re.compile(
    r"\$\{CARACAL_IMAGE_REGISTRY:\?[^}]+\}/(?P<name>[a-z]+)@\$\{CARACAL_\w*DIGEST:\?[^}]+\}"
)
_SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|CREDENTIAL|PRIVATE_KEY|DATABASE_URL")
_SCHEMA = ("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")


def compose_is_valid(root: Path) -> Sequence[str]:
    """The compose files are what the compose specification's schema says."""
    files = sorted((root / COMPOSE).glob("*.yaml"))
    ran = subprocess.run(
        [sys.executable, *_SCHEMA, *files], capture_output=True, text=True, check=False, timeout=60
    )
    return [ran.stdout + ran.stderr] if ran.returncode or not files else []


def compose_is_confined(root: Path) -> Sequence[str]:
    """Every container runs as user 65532, its root read-only, no capability, bounded, and by digest."""
    return [
        f"{file.name}: {name}: {finding}"
        for file in sorted((root / COMPOSE).glob("*.yaml"))
        for name, service in yaml.safe_load(file.read_text())["services"].items()
        for finding in _unconfined(service)
    ]


def _unconfined(service: Mapping[str, Any]) -> Iterator[str]:
    for field, value in CONTAINER.items():
        if service.get(field) != value:
            yield f"{field} is {service.get(field)!r}"
    for field in sorted(LOOSENED & service.keys()):
        yield f"has {field}"
    if service.get("network_mode", "none") != "none":
        yield f"is on the network {service['network_mode']}"
    # What runs once and ends needs no bound on what it does for ever.
    for field in () if service.get("profiles") else BOUNDED:
        if field not in service:
            yield f"has no {field}"
    if _BY_DIGEST.fullmatch(str(service.get("image"))) is None:
        yield f"runs {service.get('image')}, which is not by digest"
    yield from _exposed(service)


def _exposed(service: Mapping[str, Any]) -> Iterator[str]:
    for name in service.get("environment", {}):
        if _SECRET.search(name) and not name.endswith("_FILE"):
            yield f"{name} is in the environment"
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is not on loopback, where the proxy that terminates TLS is"


def units_are_sandboxed(root: Path) -> Sequence[str]:
    """Every unit runs as a user of its own, without capability, in the sandbox that is listed here."""
    wrong = []
    for file in sorted((root / UNITS).glob("*.service")):
        said = read_unit(file)["Service"]
        wrong += [
            f"{file.name}: {name} is {said.get(name)!r}"
            for name, value in SANDBOX.items()
            if said.get(name) != value
        ]
        wrong += [
            f"{file.name}: {line} is in the environment"
            for line in said.get("Environment", "").split()
            if _SECRET.search(line) and "_FILE=" not in line
        ]
        if not said["ExecStart"].startswith(f"{PROGRAM} "):
            wrong.append(f"{file.name}: starts {said['ExecStart']}")
    return wrong


def units_are_sound(root: Path) -> Sequence[str]:
    """systemd reads every unit without complaint, and calls its exposure 1.5 of 10 at most."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        raise NotRunHere("no systemd-analyze on this machine")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted((root / UNITS).glob("*.service")):
            # An instance of a template, and a program that is there.
            unit = Path(folder) / file.name.replace("@.", "@sts.")
            unit.write_text(file.read_text().replace(PROGRAM, sys.executable))
            security = ("security", "--offline=yes", f"--threshold={EXPOSURE}")
            for command in (("verify", "--man=no"), security):
                ran = subprocess.run(
                    [analyze, *command, "--no-pager", unit],
                    capture_output=True, text=True, check=False, timeout=60,
                )  # fmt: skip
                if ran.returncode or (command[0] == "verify" and ran.stderr.strip()):
                    last = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:]
                    wrong.append(f"{file.name}: systemd-analyze {command[0]}: {''.join(last)}")
    return wrong
