"""What ended, for everybody who follows it: read from the store once, told to many.

A follower holds a place and no queue: it is given what comes after its place, from memory where that
reaches back far enough and from the store where it does not. So the slowest costs no more than the fastest.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import structlog

from caracal.authority.news import Numbered
from caracal.authority.outcomes import Unavailable
from caracal.authority.revocation import RETENTION
from caracal.wire.revocation_feed import Alive
from caracal_server.ports.clock import Clock
from caracal_server.ports.news import NewsPage, NewsStore

BEAT_SECONDS: Final = 1.0
PAGE: Final = 500
REMEMBERED: Final = 5_000
RETENTION_US: Final = int(RETENTION.total_seconds() * 1_000_000)

_log = structlog.get_logger("caracal.coordinator")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a follower is told at once.

    Attributes:
        rows: what came after its place.
        place: where it is after this.
        alive: that this is all there was, and when; `None` while there is more, or nobody can say.
    """

    rows: tuple[Numbered, ...]
    place: int
    alive: Alive | None


class NewsDesk:
    """Reads what is stored, and lets others follow it."""

    def __init__(
        self,
        store: NewsStore,
        clock: Clock,
        owed: Callable[[], str | None],
        *,
        remembered: int = REMEMBERED,
    ) -> None:
        """Begin with nothing read.

        Args:
            store: where the news are kept, in order.
            clock: says as of when all is told.
            owed: what is in force and not stored yet, if anything is: then nobody is told that all is.
            remembered: how many news are held in memory.
        """
        self._store = store
        self._clock = clock
        self._owed = owed
        self._remembered = remembered
        self._recent: deque[Numbered] = deque(maxlen=remembered)
        self._recent_after = 0
        """The recent news are all that came after this position."""
        self._alive: Alive | None = None
        self._wake = asyncio.Event()
        self._told = asyncio.Event()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def stored(self) -> None:
        """Say that something was stored; it is read at once."""
        self._wake.set()

    def close(self) -> None:
        """End all who follow."""
        self._closed = True
        self._alive = None
        self._announce()

    async def run(self) -> None:
        """Read until cancelled, at least every second."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except Unavailable as fault:
                self._alive = None
                _log.warning("news_not_read", reason=fault.reason.value)
            except Exception as fault:  # noqa: BLE001 (followers are not told that all is well meanwhile)
                self._alive = None
                _log.error("news_not_read", error=type(fault).__name__)
            await _wait(self._wake, BEAT_SECONDS)

    async def look(self) -> None:
        """Read what is new.

        Raises:
            Unavailable: the store can not be read.
        """
        while True:
            at = self._clock.now_us()
            owed = self._owed()
            after = self._recent[-1].position if self._recent else self._recent_after
            page = await self._store.news(after, PAGE)
            self._remember(page)
            if len(page.rows) < PAGE:
                break
        self._alive = None if owed else _alive(at, page)
        self._announce()

    def _remember(self, page: NewsPage) -> None:
        overflow = len(self._recent) + len(page.rows) - self._remembered
        if overflow > 0:
            held = (*self._recent, *page.rows)
            self._recent_after = held[overflow - 1].position
        self._recent.extend(page.rows)

    def _announce(self) -> None:
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def follow(self, after: int) -> AsyncIterator[Batch]:
        """What comes after a position, batch by batch, and at least every second that all is told.

        Ends when the desk is closed.

        Raises:
            Unavailable: what the follower lacks can not be read.
        """
        place = after
        while not self._closed:
            told = self._told
            rows, alive = await self._next(place)
            place = rows[-1].position if rows else place
            yield Batch(rows, place, alive)
            if len(rows) == PAGE:
                continue
            await _wait(told, 2 * BEAT_SECONDS)

    async def _next(self, place: int) -> tuple[tuple[Numbered, ...], Alive | None]:
        alive = self._alive
        if place >= self._recent_after:
            newer = takewhile(lambda row: row.position > place, reversed(self._recent))
            rows = tuple(newer)[: -PAGE - 1 : -1]
        else:
            rows = (await self._store.news(place, PAGE)).rows
        return rows, None if len(rows) == PAGE else alive


async def _wait(event: asyncio.Event, seconds: float) -> None:
    # `wait_for` of Python 3.11 loses a cancellation that comes together with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _alive(at: int, page: NewsPage) -> Alive:
    cutoff = at - RETENTION_US
    matters = page.newest > cutoff
    return Alive(at, max(page.oldest, cutoff) if matters else 0, page.newest)
