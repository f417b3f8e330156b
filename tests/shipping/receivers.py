"""Receivers for shipping: a syslog server over TLS, and an HTTP one; each keeps what it was sent."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE_SECONDS = 40


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, and fail after a while."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.02)


@dataclass(slots=True)
class Post:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HttpReceiver:
    """Keeps every request; `answers` are used up first, each with its headers, then it is 200."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.posts.append(Post(self.path, headers, body))
            receiver.before_answer()
            status, extra = receiver.answers.pop(0) if receiver.answers else (200, {})
            with suppress(OSError):
                self.send_response(status)
                for name, value in {"content-length": "0", **extra}.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class SyslogReceiver:
    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@contextmanager
def syslog_receiver(context: ssl.SSLContext) -> Iterator[SyslogReceiver]:
    """Reads RFC 5425 frames from connection after connection, and closes TLS when the sender does."""
    receiver = SyslogReceiver()
    listening = socket.create_server(("127.0.0.1", 0))
    receiver.port = listening.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    stream = secure.makefile("rb")
                    while (length := _length(stream)) is not None:
                        receiver.messages.append(stream.read(length))
                    with suppress(OSError):
                        secure.unwrap()
            except OSError as fault:
                receiver.faults.append(str(fault))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield receiver
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _length(stream) -> int | None:
    digits = b""
    while (byte := stream.read(1)) not in {b"", b" "}:
        digits += byte
    return int(digits) if digits else None
