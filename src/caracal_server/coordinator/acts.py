"""Acts outlive whoever waits for them: a client that goes away does not stop a change halfway."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger("caracal.coordinator")


class Acts:
    """Owns the tasks in which the graph is changed."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, act: Coroutine[Any, Any, T]) -> T:
        """Wait for `act`; it goes on when the wait is cancelled."""
        task = asyncio.create_task(act)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    async def drain(self) -> None:
        """Wait until everything begun is finished."""
        while self._running:
            await asyncio.wait(self._running)


def _report(abandoned: "asyncio.Task[Any]") -> None:
    if not abandoned.cancelled() and (fault := abandoned.exception()) is not None:
        _log.warning("abandoned_act_failed", error=type(fault).__name__)
