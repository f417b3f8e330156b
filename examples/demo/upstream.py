"""A real third-party API for the demo: Datasette, serving the shop to one bearer token.

Datasette runs as published: its own command line, its own signed API tokens, its own access log.
"""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from examples.demo.shop_database import EVENTS, create_shop

ACTOR = "shop-api"
START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 2.0

# Datasette runs with --default-deny: whatever this does not allow is forbidden.
CONFIGURATION = {
    "allow": {"id": ACTOR},
    "permissions": {"insert-row": {"id": ACTOR}},
    "settings": {"default_allow_sql": False, "allow_download": False, "max_csv_mb": 0},
}

_ANNOUNCEMENT = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+) ")
_ACCESS_LINE = re.compile(r'INFO: +\S+ - "([A-Z]+) (\S+) HTTP/[0-9.]+" ([0-9]{3})\b')


class UpstreamError(Exception):
    """Datasette did not start; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of Datasette's access log; the path includes the query."""

    method: str
    path: str
    status: int


class RunningDatasette:
    """Datasette in a process of its own on a loopback port; what it keeps is in `directory`.

    Within one object the database, the token, the access log and the port survive `stop()`, so
    that the same API can go away and come back.
    """

    def __init__(self, directory: Path, *, events: int = EVENTS) -> None:
        self.database = directory / "shop.db"
        self.token_file = directory / "datasette.token"
        self.access_log = directory / "datasette-access.log"
        self.server_log = directory / "datasette-server.log"
        self._directory = directory
        self._events = events
        self._secret = secrets.token_hex(32)
        self._token = ""
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        if not self._port:
            raise UpstreamError("Datasette was never started")
        return self._port

    @property
    def token(self) -> str:
        """The only bearer token that this API accepts; `token_file` holds it too."""
        if not self._token:
            raise UpstreamError("Datasette was never started")
        return self._token

    @property
    def process_id(self) -> int:
        if self._process is None:
            raise UpstreamError("Datasette is not running")
        return self._process.pid

    def requests(self) -> tuple[LoggedRequest, ...]:
        """Every request that Datasette says it began to answer, oldest first."""
        return tuple(read_access_log(self.access_log))

    def start(self) -> Self:
        """Start, and return once the API listens; does nothing if it is running.

        Raises:
            UpstreamError: Datasette ended, or was not ready after START_TIMEOUT_SECONDS.
        """
        if self._process is not None:
            return self
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self.database.exists():
            create_shop(self.database, events=self._events)
        self.server_log.unlink(missing_ok=True)
        self._process = self._spawn_server()
        try:
            if not self._token:
                self._token = self._create_token()
            self._port = self._wait_until_listening(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process; a download still running after STOP_TIMEOUT_SECONDS is cut."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn_server(self) -> subprocess.Popen[bytes]:
        configuration = self._directory / "datasette.json"
        configuration.write_text(json.dumps(CONFIGURATION, indent=2) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "datasette", "serve", str(self.database.resolve())]
        command += ["--port", str(self._port), "--default-deny"]
        command += ["--config", str(configuration.resolve())]
        # Requests are logged on stdout, everything else on stderr.
        with _append_private(self.access_log) as out, _append_private(self.server_log) as err:
            return subprocess.Popen(
                command,
                cwd=self._directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _create_token(self) -> str:
        created = subprocess.run(
            [sys.executable, "-m", "datasette", "create-token", ACTOR],
            cwd=self._directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=START_TIMEOUT_SECONDS,
        )
        if created.returncode != 0:
            raise UpstreamError(f"datasette create-token ended with {created.returncode}")
        self.token_file.unlink(missing_ok=True)
        with _append_private(self.token_file) as file:
            file.write(created.stdout)
        return created.stdout.decode("ascii").strip()

    def _environment(self) -> dict[str, str]:
        """Nothing of ours, and the secret here because a command line is readable by others."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "DATASETTE_SECRET": self._secret,
        }

    def _wait_until_listening(self, process: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            ended = process.poll()
            said = self.server_log.read_text(encoding="utf-8", errors="replace")
            if ended is not None:
                raise UpstreamError(f"Datasette ended with {ended}: {said.strip()}")
            if found := _ANNOUNCEMENT.search(said):
                return int(found[1])
            time.sleep(0.02)
        raise UpstreamError(f"Datasette is not ready after {START_TIMEOUT_SECONDS:.0f} s")


def read_access_log(path: Path) -> Iterator[LoggedRequest]:
    """Yield the requests in the log; tracebacks, which Datasette prints there too, are skipped."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := _ACCESS_LINE.match(line):
                yield LoggedRequest(found[1], found[2], int(found[3]))


def _append_private(path: Path) -> BinaryIO:
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
