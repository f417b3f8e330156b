"""A real Git server: git's own http-backend, behind a small HTTP server that wants a token."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from tests.run.launching import found

USER = "deploy"
WORD = "only-the-provider-knows"
SECONDS = 30


@dataclass(slots=True)
class GitServer:
    """It serves `project.git`, to whoever brings the token."""

    folder: Path
    port: int = 0
    refused: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    def log(self) -> str:
        return git("--git-dir", str(self.folder / "project.git"), "log", "--format=%s", "main")


def git(*arguments: str, cwd: Path | None = None) -> str:
    """Run git by itself, without settings of whoever runs the tests."""
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Tester"), ("EMAIL", "tester@example.com"))
    }
    finished = subprocess.run(
        [found("git"), *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        | identity,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    server = GitServer(folder)
    bare = folder / "project.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git("--git-dir", str(bare), "config", "http.receivepack", "true")
    work = folder / "first"
    git("clone", "--quiet", str(bare), str(work))
    (work / "README").write_text("first\n")
    git("add", "README", cwd=work)
    git("commit", "--quiet", "-m", "First", cwd=work)
    git("push", "--quiet", "origin", "HEAD:main", cwd=work)
    backend = Path(git("--exec-path").strip()) / "git-http-backend"
    assert backend.exists(), f"{backend} is not installed: these tests run a real Git server"

    class Backend(_Backend):
        state = server
        program = str(backend)

    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as http:
        http.daemon_threads = True
        server.port = http.server_address[1]
        thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


class _Backend(BaseHTTPRequestHandler):
    """CGI (RFC 3875), as far as git's backend needs it."""

    protocol_version = "HTTP/1.1"
    state: GitServer
    program: str

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def log_message(self, *_arguments) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{WORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.state.refused.append(self.path)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.state.served.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.state.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        answered = subprocess.run(
            [self.program],
            input=body,
            capture_output=True,
            check=True,
            timeout=SECONDS,
            env=environment,
        ).stdout
        head, _, content = answered.partition(b"\r\n\r\n")
        headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
