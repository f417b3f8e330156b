"""MCP servers and clients that others published, each as a process of its own."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = Path(__file__).parent / "published"
PYTHON = Path(__file__).parents[2] / ".venv" / "tools" / "clients" / "bin" / "python"
START_SECONDS = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def published_server(program: str, port: int, *arguments: str) -> Iterator[str]:
    """Run a program that serves MCP on a loopback port; yields host and port once it does."""
    command = [str(PYTHON), str(PROGRAMS / program), str(port), *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                assert process.poll() is None, f"{program} has ended"
                assert time.monotonic() < deadline, f"{program} did not start"
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
