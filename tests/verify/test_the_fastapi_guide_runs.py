"""docs/protect-a-fastapi-service.md word by word: its files, its commands, a real FastAPI under a real uvicorn."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.running import Running, running_caracal
from tools.repository import ROOT

PAGE = (ROOT / "docs/protect-a-fastapi-service.md").read_text()
CLIENTS = ROOT / ".venv/tools/clients/bin"
"""Where FastAPI is, and all that `caracal.verify` and the SDK need; Caracal itself comes from the checkout."""


def files(language: str) -> dict[str, str]:
    """The blocks whose first line names a file."""
    found = re.findall(rf"```{language}\n(# (\S+)\n.*?)```", PAGE, re.DOTALL)
    return {name: text for text, name in found}


def commands(word: str) -> str:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return next(block for block in blocks if word in block)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class Guide:
    """The page, with the addresses and ids of this run in place of its own."""

    def __init__(self, folder: Path, server: Running, port: int) -> None:
        self.folder, self.server, self.port = folder, server, port
        for name, text in (files("python") | files("yaml")).items():
            (folder / name).write_text(self._real(text))
        applied = server.ask("apply", str(folder / "zone.yaml"))
        self.zone = applied["zone"]["id"]
        self.application = applied["applications"][0]

    def _real(self, text: str) -> str:
        return (
            text.replace("127.0.0.1:9000", f"127.0.0.1:{self.port}")
            .replace("http://127.0.0.1:8080", self.server.control)
            .replace("http://127.0.0.1:8081", self.server.gateway)
            .replace("--port 9000", f"--port {self.port}")
        )

    def script(self, word: str) -> str:
        text = self._real(commands(word))
        for name, value in (
            ("CARACAL_ZONE_ID", self.zone),
            ("CARACAL_APPLICATION_ID", self.application["id"]),
            ("CARACAL_APP_CLIENT_SECRET", self.application["secret"]),
        ):
            text = text.replace(f"{name}=...", f"{name}={value}")
        assert "=..." not in text
        return text

    def process(self, script: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                "PATH": f"{CLIENTS}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT / "src"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str) -> str:
        output, _ = self.process(script).communicate(timeout=60)
        return output

    @contextmanager
    def service(self) -> Iterator[None]:
        process = self.process(f"exec env {self.script('uvicorn')}")
        assert process.stdout is not None
        try:
            assert any("running on" in line for line in process.stdout)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_a_newcomer_protects_a_service(tmp_path):
    port = free_port()
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": f"127.0.0.1:{port}"}
    with running_caracal(tmp_path / "data", environment=egress) as server:
        guide = Guide(tmp_path, server, port)
        with guide.service():
            answers = guide.run(guide.script("/health"))
            statuses = re.findall(r"^HTTP/1.1 (\d+)", answers, re.MULTILINE)
            assert statuses == ["200", "401", "401"], answers
            assert "www-authenticate: Bearer" in answers
            told = guide.run(guide.script("agent.py"))
            assert told.count("\n") == len(("seen", "refused")), told
            seen, refused = told.splitlines()
            assert guide.application["id"] in seen
            assert "orders:read" in seen
            assert refused.startswith("operation_scope_missing")
            direct = httpx.post(f"http://127.0.0.1:{port}/refunds")
            assert direct.status_code == 401
            assert "orders:refund" in direct.headers["www-authenticate"]
