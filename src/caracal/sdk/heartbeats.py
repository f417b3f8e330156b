"""Services kept alive: a heartbeat at every third of the lease, in a thread or in a task."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Thread, current_thread
from typing import Final

from caracal.sdk import surroundings
from caracal.sdk.engine import AsyncEngine, Engine
from caracal.sdk.opening import heartbeat
from caracal.sdk.standing import Standing
from caracal.wire.calls.refusals import CaracalError, SessionEnded

_SHORTEST: Final = 1.0
_LONGEST: Final = 300.0

WhenLost = Callable[[CaracalError], None]


def pause(standing: Standing, every: timedelta | None) -> float:
    """Seconds until the next heartbeat: a third of what is left, give or take a tenth."""
    if every is not None:
        return every.total_seconds()
    left = (standing.lease_until or 0) - surroundings.monotonic()
    third = min(max(left / 3, _SHORTEST), _LONGEST)
    return third * (0.9 + surroundings.jitter() / 5)


@dataclass(slots=True)
class Heartbeats:
    """Sends them from a thread of its own until it is stopped or the lease is lost."""

    engine: Engine
    standing: Standing
    every: timedelta | None
    when_lost: WhenLost | None
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        name = f"caracal-heartbeat-{self.standing.id}"
        self._thread = Thread(target=self._beat, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the one under way."""
        self._stop.set()
        if self._thread is not None and self._thread is not current_thread():
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(pause(self.standing, self.every)):
            try:
                self.engine.run(heartbeat(self.engine.caller, self.standing))
            except SessionEnded as lost:
                _lose(self.standing, lost, self.when_lost)
                return
            except CaracalError:
                # The next one may come through; when none does in time, the lease has run out here.
                continue


@dataclass(slots=True)
class AsyncHeartbeats:
    """Sends them from a task of its own until it is stopped or the lease is lost."""

    engine: AsyncEngine
    standing: Standing
    every: timedelta | None
    when_lost: WhenLost | None
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        name = f"caracal-heartbeat-{self.standing.id}"
        self._task = asyncio.create_task(self._beat(), name=name)

    async def stop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            # Not by awaiting it: its cancellation is not that of whoever stops it.
            await asyncio.wait({self._task})

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(pause(self.standing, self.every))
            try:
                await self.engine.run(heartbeat(self.engine.caller, self.standing))
            except SessionEnded as lost:
                _lose(self.standing, lost, self.when_lost)
                return
            except CaracalError:
                continue


def _lose(standing: Standing, lost: CaracalError, when_lost: WhenLost | None) -> None:
    if standing.lost is not None:
        # It was ended here, and nobody lost anything.
        return
    standing.lose(lost)
    if when_lost is not None:
        when_lost(lost)
