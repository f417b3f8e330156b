"""The line between a server and its database server, on loopback, which cuts, hangs or loses answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

CHUNK = 65_536
COMMIT = b"COMMIT;"


class Trouble(Enum):
    NONE = "none"
    CUT = "every connection is cut, and none is taken"
    HANG = "nothing comes through, and nothing is cut"
    LOSE_COMMITS = "the connection is cut in the place of a commit"
    LOSE_ANSWERS = "the commit comes through, its answer does not, and the connection is cut"


class FaultyWire:
    """Takes connections on `port` and carries them to another, a pair of threads each."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._trouble = Trouble.NONE
        self._healthy = threading.Event()
        self._healthy.set()
        self._open: dict[tuple[socket.socket, socket.socket], int] = {}
        """Each pair, and how many of its threads are at work."""
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.fired = 0
        self._threads = [threading.Thread(target=self._accept, name="faulty wire")]
        self._threads[0].start()

    def fail(self, trouble: Trouble) -> None:
        self.fired = 0
        self._trouble = trouble
        if trouble is Trouble.HANG:
            self._healthy.clear()
        if trouble is Trouble.CUT:
            self.fired = 1
            self._cut_all()

    def heal(self) -> None:
        self._trouble = Trouble.NONE
        self._healthy.set()

    def close(self) -> None:
        self.heal()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _cut_all(self) -> None:
        with self._guard:
            for pair in self._open:
                _cut(pair)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._carry(self._listener.accept()[0])

    def _carry(self, client: socket.socket) -> None:
        if self._trouble is Trouble.CUT:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        with self._guard:
            self._open[pair] = 2
        lost = threading.Event()
        for work in (self._ask, self._answer):
            thread = threading.Thread(target=self._pump, args=(work, pair, lost))
            self._threads.append(thread)
            thread.start()

    def _pump(self, work, pair, lost: threading.Event) -> None:
        with suppress(OSError):
            work(*pair, lost)
        with self._guard:
            _cut(pair)
            self._open[pair] -= 1
            if not self._open[pair]:
                del self._open[pair]
                for one in pair:
                    one.close()

    def _ask(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        while data := client.recv(CHUNK):
            self._wait()
            if COMMIT in data and self._trouble is Trouble.LOSE_COMMITS:
                self.fired += 1
                return
            if COMMIT in data and self._trouble is Trouble.LOSE_ANSWERS:
                self.fired += 1
                lost.set()
            server.sendall(data)

    def _answer(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        while data := server.recv(CHUNK):
            self._wait()
            if lost.is_set():
                return
            client.sendall(data)

    def _wait(self) -> None:
        if not self._healthy.is_set():
            self.fired += 1
            self._healthy.wait()


def _cut(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_wire(target: int) -> Iterator[FaultyWire]:
    wire = FaultyWire(target)
    try:
        yield wire
    finally:
        wire.close()
