"""Agents at work while something else happens: every one of their calls must succeed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.deployment import eventually

AGENTS = 3
CALLS_BEFORE, CALLS_AFTER = 6, 12


@dataclass(slots=True)
class Load:
    """Agents that mint and call, again and again, each over connections of its own."""

    work: Callable[[], int]
    statuses: list[int] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.statuses.append(self.work())
            except BaseException as fault:  # noqa: BLE001 (shown when the load ends)
                self.faults.append(fault)
                return

    def after(self, calls: int) -> None:
        """Return once so many more calls were answered."""
        wanted = len(self.statuses) + calls
        eventually(lambda: self.faults or len(self.statuses) >= wanted, seconds=60)


@contextmanager
def under_load(work: Callable[[], int]) -> Iterator[Load]:
    """Rotate in the body; every call before, meanwhile and after it must have succeeded."""
    load = Load(work)
    threads = [threading.Thread(target=load.run) for _ in range(AGENTS)]
    for thread in threads:
        thread.start()
    try:
        load.after(CALLS_BEFORE)
        yield load
        load.after(CALLS_AFTER)
    finally:
        load.ending.set()
        for thread in threads:
            thread.join()
    assert load.faults == []
    assert set(load.statuses) == {200}
