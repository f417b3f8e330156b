"""A forwarder that adds an access token: the conformance runner's server scenarios can not send one.

Each request goes to the Gateway on a connection of its own, with `Authorization` and `Connection: close` added;
everything else, in both directions, is passed on byte for byte. `Host` stays as the runner wrote it.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD_BYTES = 64 * 1024
REPLACED = ("authorization:", "connection:")


def with_token(head: bytes, token: str) -> bytes:
    """The head of a request, up to its empty line, as it is sent on."""
    first, *rest = head.decode("latin-1").split("\r\n")
    kept = [line for line in rest if line and not line.lower().startswith(REPLACED)]
    added = [f"Authorization: Bearer {token}", "Connection: close"]
    return "\r\n".join([first, *kept, *added, "", ""]).encode("latin-1")


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(HEAD_BYTES):
            target.sendall(data)
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with suppress(OSError):
            end.shutdown(how)


def _forward(client: socket.socket, gateway: tuple[str, int], token: Callable[[], str]) -> None:
    with client, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(HEAD_BYTES)
            if not data or len(head) > HEAD_BYTES:
                return
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        with socket.create_connection(gateway) as server:
            server.sendall(with_token(head, token()) + body)
            sending = threading.Thread(target=_abandon, args=(client, server), daemon=True)
            sending.start()
            _pump(server, client)


def _abandon(client: socket.socket, server: socket.socket) -> None:
    """Send on what the client still sends; once it is gone, so is its request."""
    with suppress(OSError):
        while data := client.recv(HEAD_BYTES):
            server.sendall(data)
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def forwarder(gateway: tuple[str, int], token: Callable[[], str]) -> Iterator[str]:
    """Forward from a free loopback port; yields host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(
                        target=_forward, args=(client, gateway, token), daemon=True
                    ).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
