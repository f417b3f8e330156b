"""A proxy on loopback between a client and Caracal that breaks connections where it is told to."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SECONDS = 30


@dataclass(slots=True)
class BreakingProxy:
    """Hands on whole requests, one for each connection, and their answers.

    Attributes:
        lose: of a request's first line: after Caracal has answered, the answer is dropped; it says so
            as often as it is asked.
        answers: for a first line, what to answer without asking Caracal; `None` to ask it.
        seen: the first lines that came.
    """

    target: tuple[str, int]
    lose: Callable[[str], bool] = lambda _: False
    answers: Callable[[str], bytes | None] = lambda _: None
    seen: list[str] = field(default_factory=list)
    listener: socket.socket = field(default_factory=socket.socket)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(SECONDS)
            request = _read_request(connection)
            line = request.partition(b"\r\n")[0].decode()
            self.seen.append(line)
            answer = self.answers(line)
            if answer is None:
                answer = self._ask(request)
            if not self.lose(line):
                connection.sendall(answer)

    def _ask(self, request: bytes) -> bytes:
        request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        with socket.create_connection(self.target, SECONDS) as upstream:
            upstream.sendall(request)
            return b"".join(iter(lambda: upstream.recv(65536), b""))


@contextmanager
def breaking_proxy(url: str) -> Iterator[BreakingProxy]:
    parts = urlsplit(url)
    proxy = BreakingProxy((parts.hostname, parts.port))
    proxy.listener.bind(("127.0.0.1", 0))
    proxy.listener.listen()
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        thread.join(SECONDS)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"connection":
            data = data.replace(line + b"\r\n", b"", 1)
    while len(body) < length:
        more = _more(connection)
        body += more
        data += more
    return data


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise OSError("the client went away")
    return received
