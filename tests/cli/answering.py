"""A server that answers whatever a test wants, byte for byte, and keeps what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """`length` is announced instead of the body's own; the connection then ends early."""

    status: int = 200
    body: bytes = b"{}"
    length: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Asked:
    method: str
    path: str
    authorization: str


@dataclass(slots=True)
class Answering:
    """Answers by path without query; anything else is 404 and no JSON."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def answering() -> Iterator[Answering]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            state.asked.append(
                Asked(self.command, self.path, self.headers.get("authorization", ""))
            )
            found = state.answers.get(self.path.partition("?")[0], Answer(404, b"not here"))
            self.send_response(found.status)
            for name, value in found.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(found.length or len(found.body)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(found.body)
            self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Answering(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
