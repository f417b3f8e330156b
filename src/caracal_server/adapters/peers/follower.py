"""Following a peer's changes, and knowing how old what is known is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from msgspec import UNSET

from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.ports.clock import Clock
from caracal_server.web.peers.messages import Follow, Page
from caracal_server.web.peers.services import Ask

RETRY_SECONDS: Final = 0.1
MAX_RETRY_SECONDS: Final = 1.0

Take = Callable[[Page], Awaitable[None]]
"""Puts a page into effect, all of it before it returns."""

_log = structlog.get_logger("caracal.peers")


def _nobody() -> None:
    """Nobody is told."""


@dataclass(slots=True)
class Follower:
    """Keeps a view in step with its owner's.

    Attributes:
        bound: seconds after which the view is too old to act on, counted from when it was asked for.
        reason: what a caller is told then.
        stale: is called when it gets too old.
    """

    channel: PeerChannel
    ask: Ask
    reader: str
    bound: float
    reason: Reason
    clock: Clock
    take: Take
    stale: Callable[[], None] = _nobody
    owner_us: int = field(default=0, init=False)
    _instance: str = field(default="", init=False)
    _number: int = field(default=0, init=False)
    _asked_at: float | None = field(default=None, init=False)
    _alarm: asyncio.TimerHandle | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _failing: str | None = field(default="nothing has been heard yet", init=False)

    def require_fresh(self) -> None:
        """Check that the view may be acted on.

        Raises:
            Unavailable: it is older than its bound.
        """
        asked_at = self._asked_at
        if asked_at is None or self.clock.monotonic() - asked_at > self.bound:
            raise Unavailable(self.reason, f"{self.channel.peer}: {self._failing or 'too slow'}")

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"follow {self.ask}")

    async def close(self) -> None:
        """Stop, and say so: nothing is acted on any more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if self._alarm is not None:
            self._alarm.cancel()
        self._asked_at = None
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(1):
                await self._page(leaving=True)

    def check(self) -> str | None:
        """What readiness asks."""
        try:
            self.require_fresh()
        except Unavailable as fault:
            return fault.detail
        return None

    async def _run(self) -> None:
        pause = RETRY_SECONDS
        while True:
            try:
                await self._step()
                pause = RETRY_SECONDS
            except Unavailable as fault:
                self._note(fault.detail)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_SECONDS)
            except Exception as fault:  # noqa: BLE001 (a follower that ended would never be heard of again)
                # What could not be put into effect is asked for anew, all of it.
                self._instance = ""
                self._note(f"a page could not be put into effect: {type(fault).__name__}")
                await asyncio.sleep(MAX_RETRY_SECONDS)

    async def _step(self) -> None:
        asked_at = self.clock.monotonic()
        page = await self._page()
        whole = page.whole is not UNSET
        if not whole and (
            page.instance != self._instance or page.number != self._number + len(page.changes)
        ):
            self._instance = ""
            raise Unavailable(self.reason, "the owner left something out")
        await self.take(page)
        self._instance, self._number = page.instance, page.number
        self._failing, self.owner_us = None, page.at_us
        self._asked_at = asked_at
        self._watch(asked_at)

    async def _page(self, *, leaving: bool = False) -> Page:
        message = Follow(self.reader, self._instance, self._number, self.bound, leaving)
        return await self.channel.ask(self.ask, message, Page)

    def _watch(self, asked_at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        left = asked_at + self.bound - self.clock.monotonic()
        self._alarm = asyncio.get_running_loop().call_later(max(0, left) + 0.001, self._too_old)

    def _too_old(self) -> None:
        _log.error("view_too_old", follow=self.ask.value, why=self._failing)
        self.stale()

    def _note(self, why: str) -> None:
        if self._failing != why:
            _log.warning("follow_failed", follow=self.ask.value, why=why)
        self._failing = why
