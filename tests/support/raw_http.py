"""Bytes over a socket, exactly as given: what no HTTP client would send."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Answered:
    """Everything that came back on one connection.

    Attributes:
        closed: the server ended the connection; else it still waited for more.
    """

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in _STATUS.findall(self.data)]


def connect(url: str, *, seconds: float = 5.0) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=seconds)


def send_raw(url: str, *pieces: bytes, quiet_seconds: float = 0.3) -> Answered:
    """Send the pieces, then read until the server closes or has been quiet for a while."""
    with connect(url) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # it was refused while it was still being sent
        return read_all(connection, quiet_seconds)


def read_all(
    connection: socket.socket, quiet_seconds: float, *, first_seconds: float = 5.0
) -> Answered:
    """Read what comes: the first bytes may take their time, after them it may be quiet for a while."""
    received = bytearray()
    while True:
        connection.settimeout(quiet_seconds if received else first_seconds)
        try:
            chunk = connection.recv(65536)
        except TimeoutError:
            return Answered(bytes(received), closed=False)
        except ConnectionResetError:
            return Answered(bytes(received), closed=True)
        if not chunk:
            return Answered(bytes(received), closed=True)
        received += chunk


def head(request_line: str, *headers: str | bytes) -> bytes:
    """A request head with exactly these lines."""
    lines = [line if isinstance(line, bytes) else line.encode("latin-1") for line in headers]
    return b"\r\n".join([request_line.encode("latin-1"), *lines, b"", b""])
