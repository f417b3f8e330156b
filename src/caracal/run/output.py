"""The program's output on its way out: through a redactor, unless it goes to a terminal."""

import os
import select
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Final

from caracal.run.redaction import Redactor

IDLE_MILLISECONDS: Final = 50
_READ: Final = 64 * 1024
_OUTPUTS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the program writes to.

    Attributes:
        given: for its stdout and stderr, the end of a pipe; terminals are left to it as they are.
        pumps: threads that carry what is written there out.
    """

    given: Mapping[int, int]
    pumps: tuple[Thread, ...]

    @classmethod
    def opened(cls, secrets: Iterable[bytes]) -> "Outputs":
        kept = tuple(secrets)
        given: dict[int, int] = {}
        pumps: list[Thread] = []
        ends: dict[tuple[int, int], int] = {}
        for output in _OUTPUTS:
            if os.isatty(output):
                continue
            status = os.fstat(output)
            place = status.st_dev, status.st_ino
            if place not in ends:
                # One pipe where both go to one place, so that their order stays.
                source, ends[place] = os.pipe()
                pump = Thread(target=carry, args=(source, output, Redactor(kept)), daemon=True)
                pumps.append(pump)
            given[output] = ends[place]
        return cls(given, tuple(pumps))

    def begin(self) -> None:
        """The program has its ends now; ours are closed, so that its end is seen."""
        self.close()
        for pump in self.pumps:
            pump.start()

    def close(self) -> None:
        for end in set(self.given.values()):
            os.close(end)

    def drain(self, seconds: float) -> None:
        """Wait until all is out; not for who left the group with an output still open."""
        for pump in self.pumps:
            pump.join(seconds)


def carry(source: int, sink: int, redactor: Redactor) -> None:
    """Carry what comes until it ends, or until nobody takes it any more."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    try:
        while True:
            if redactor.holding and not poll.poll(IDLE_MILLISECONDS):
                _write(sink, redactor.idle())
                poll.poll()
            chunk = os.read(source, _READ)
            _write(sink, redactor.feed(chunk) if chunk else redactor.end())
            if not chunk:
                return
    except OSError:
        # Its reader is gone; closing our end tells the program as a pipe without us would.
        return
    finally:
        os.close(source)


def _write(sink: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(sink, left) :]
        except BlockingIOError:
            # Whoever shares it with us made it so.
            full = select.poll()
            full.register(sink, select.POLLOUT)
            full.poll()
