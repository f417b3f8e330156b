"""The five services as real processes on loopback, and one client that finds each of them by its path."""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.deployment import Deployment, eventually
from tests.support.running import COMMAND, START_SECONDS, STOP_SECONDS
from tests.support.upstream import RecordingUpstream

SERVICES = ("control", "audit", "coordinator", "sts", "gateway")
STORED = ("control", "audit", "coordinator")
ISSUER = "http://caracal.test"
TLS_FILES = ("CERTIFICATE", "KEY", "CA")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, each another one."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def caracal(*arguments: str, environment: Mapping[str, str] = {}) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


@dataclass(slots=True)
class Process:
    """One service, running or not."""

    service: str
    data: Path
    public: int
    peer: int
    environment: dict[str, str]
    database: str | None = None
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.public}"

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.service}.log")

    def launch(self) -> None:
        """Start, without waiting for anything."""
        arguments = ["serve", self.service.partition(".")[0], "--data", str(self.data), "--json"]
        arguments += ["--listen", f"127.0.0.1:{self.public}"]
        if self.service != "gateway":
            arguments += ["--peer-listen", f"127.0.0.1:{self.peer}"]
        if self.database is not None:
            arguments += ["--database", self.database]
        with self.log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **self.environment},
            )

    def announced(self) -> dict[str, object]:
        """What it says once it listens."""
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            raise RuntimeError(f"{self.service} did not start: {self.log.read_text()}")
        return json.loads(line)

    def start(self) -> dict[str, object]:
        """Start, and return what it said once it listened."""
        self.launch()
        return self.announced()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self._reap()

    def pause(self) -> None:
        """Make it hang: its connections stay, and nothing comes."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self._reap()

    def _reap(self) -> None:
        self.process.wait()
        self.process.stdout.close()

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def failing(self) -> dict[str, str] | None:
        """What `/ready` names, by check; `None` when nothing answers."""
        try:
            answer = httpx.get(f"{self.url}/ready", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None
        return {one["check"]: one["detail"] for one in answer.json()["failing"]}

    def ready(self) -> bool:
        return self.failing() == {}


@dataclass(slots=True)
class Apart:
    """A deployment of five processes. Has what `Deployment` asks of a `Running`."""

    root: Path
    services: dict[str, Process]
    control: str = ISSUER
    gateway: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.gateway = self.services["gateway"].url

    def __getitem__(self, service: str) -> Process:
        return self.services[service]

    @property
    def operator(self) -> dict[str, str]:
        token = (self["control"].data / "operator.token").read_text().strip()
        return {"authorization": f"Bearer {token}"}

    def start(self, *services: str) -> None:
        """Start services (all of them), and wait until each has all it needs."""
        for service in services or self.services:
            self[service].launch()
        for service in services or self.services:
            self[service].announced()
        for service in services or self.services:
            eventually(self[service].ready, seconds=30)

    def stop(self) -> list[int]:
        """Stop what runs, data side first."""
        return [one.stop() for one in reversed(self.services.values()) if one.runs]

    def logs(self) -> str:
        """What each wrote to its log."""
        logs = [one.log for one in self.services.values() if one.log.exists()]
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in logs)


def provision(root: Path, *arguments: str) -> None:
    made = caracal("provision", str(root), *arguments)
    assert made.returncode == 0, made.stderr


def apart(
    root: Path,
    upstream: RecordingUpstream,
    *,
    databases: Mapping[str, str] = {},
    tls: Path | None = None,
    gateway_shard: str = "",
    **environment: str,
) -> Apart:
    """Processes over the directories below `root`; none runs yet.

    With `tls` peers speak TLS: the file holds a certificate for 127.0.0.1 and its key. With `gateway_shard`
    there is such a shard of Audit, and the Gateway records in it.
    """
    ports = free_ports(2 * len(SERVICES))
    peers = dict(zip(SERVICES, ports[len(SERVICES) :], strict=True))
    variables = {
        "CARACAL_ISSUER": ISSUER,
        "CARACAL_GATEWAY_URL": "http://gateway.test",
        "CARACAL_LOG_FORMAT": "json",
        "CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority,
        **{
            f"CARACAL_PEER_{one.upper()}": f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            for one, port in peers.items()
        },
        **({} if tls is None else {f"CARACAL_PEER_TLS_{one}_FILE": str(tls) for one in TLS_FILES}),
        **environment,
    }
    services = {
        one: Process(one, root / one, port, peers[one], dict(variables), databases.get(one))
        for one, port in zip(SERVICES, ports[: len(SERVICES)], strict=True)
    }
    return Apart(root, services if not gateway_shard else _with_shard(services, gateway_shard))


def _with_shard(services: dict[str, Process], shard: str) -> dict[str, Process]:
    audit, gateway = services["audit"], services["gateway"]
    port, peer = free_ports(2)
    name, url = f"audit.{shard}", f"http://127.0.0.1:{peer}"
    its = audit.environment | {"CARACAL_SHARD": shard}
    writer = Process(name, audit.data.with_name(name), port, peer, its)
    audit.environment["CARACAL_SHARDS"] = f"{shard}={url}"
    gateway.environment |= {"CARACAL_SHARD": shard, "CARACAL_PEER_AUDIT": url}
    return {name: writer, **services}


class ByPath(httpx.BaseTransport):
    """What a reverse proxy does for the control side: the path says which service it is."""

    def __init__(self, services: Mapping[str, Process]) -> None:
        self._services = services
        self._transport = httpx.HTTPTransport(retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == httpx.URL(ISSUER).host:
            port = self._services[service_of(request.url.path)].public
            request.url = request.url.copy_with(host="127.0.0.1", port=port)
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


def service_of(path: str) -> str:
    """The service that a public path belongs to, as `docs/operations.md` says."""
    parts = path.strip("/").split("/")
    if parts[0] in ("oauth", ".well-known"):
        return "sts"
    if parts[0] == "zones":
        return "coordinator"
    if (
        parts[0] == "evidence"
        or parts[:2] in (["v1", "evidence"], ["v1", "receipts"])
        or (parts[:2] == ["v1", "zones"] and parts[3:4] == ["evidence"])
    ):
        return "audit"
    return "control"


@contextmanager
def deployed_apart(apart: Apart, upstream: RecordingUpstream) -> Iterator[Deployment]:
    """A client of services that run apart, which tells them by path."""
    with httpx.Client(timeout=30, trust_env=False, transport=ByPath(apart.services)) as http:
        yield Deployment(apart, upstream, http)


@contextmanager
def running_apart(apart: Apart, *, start: Sequence[str] = ()) -> Iterator[Apart]:
    """Start them for the body; each must end by itself, with 0, when it is told to."""
    try:
        apart.start(*start)
        yield apart
    except BaseException:
        apart.stop()
        raise
    codes = apart.stop()
    assert set(codes) <= {0}, apart.logs()
