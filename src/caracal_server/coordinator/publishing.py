"""Publishes what ended to streams that others read: late at worst, never out of order, never lost.

How far it came stands in the streams themselves, signed. So a server that lost what it had is told again
what still matters, and there is nothing here that could disagree with it.
"""

import asyncio
from typing import Final

import structlog

from caracal.authority.outcomes import Unavailable
from caracal.wire.revocation_feed import Alive, Told, alive_fields
from caracal.wire.revocation_streams import EVERYTHING, StreamEntry, entries_of, signed
from caracal_server.coordinator.news import RETENTION_US, Batch, NewsDesk
from caracal_server.ports.clock import Clock
from caracal_server.ports.streams import RevocationStreams, StreamsCut, StreamsUnavailable

AGAIN_SECONDS: Final = 1.0
LATE_SECONDS: Final = 10.0

_log = structlog.get_logger("caracal.coordinator")


class StreamPublisher:
    """`run` publishes until it is cancelled. Nothing waits for it."""

    def __init__(
        self, desk: NewsDesk, streams: RevocationStreams, clock: Clock, key: bytes
    ) -> None:
        """Begin with nothing published; `key` signs."""
        self._desk = desk
        self._streams = streams
        self._clock = clock
        self._key = key
        self._as_of = clock.now_us()
        self._why = "nothing was published yet"
        self._anew = False
        """Whether everything is to be published again, until it has been."""
        self.published = 0
        """How many news since the start; those that were told again are counted again."""

    @property
    def lag_seconds(self) -> float:
        """How long ago everything that was stored was on the streams; since the start, if it never was."""
        return max(0.0, (self._clock.now_us() - self._as_of) / 1_000_000)

    def check(self) -> str | None:
        """What keeps revocations from whoever reads the streams."""
        lag = self.lag_seconds
        return None if lag <= LATE_SECONDS else f"{lag:.0f} s behind: {self._why}"

    async def run(self) -> None:
        while not self._desk.closed:
            try:
                await self._publish(0 if self._anew else await self._streams.position())
            except StreamsCut:
                # What is left may end where all of it did: only from the start nothing is missed.
                self._anew = True
                self._failed("the streams lost what was on them")
            except (StreamsUnavailable, Unavailable) as fault:
                self._failed(str(fault))
            except Exception as fault:  # noqa: BLE001 (whoever reads the streams sees that it stopped)
                self._failed(type(fault).__name__)
            await asyncio.sleep(AGAIN_SECONDS)

    def _failed(self, why: str) -> None:
        if why != self._why:
            _log.warning("revocations_not_published", why=why)
        self._why = why

    async def _publish(self, place: int) -> None:
        """Publish what comes after `place`, for as long as the streams hold what was published."""
        last: str | None = None
        async for batch in self._desk.follow(place):
            entries = self._entries(batch, place)
            if entries:
                matters_from = _matters_from(batch)
                last = await self._streams.add(entries, last=last, matters_from=matters_from)
                self.published += len(batch.rows)
            place = batch.place
            if batch.alive is not None:
                self._as_of = batch.alive.at
                self._why, self._anew = "", False

    def _entries(self, batch: Batch, place: int) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        for row in batch.rows:
            found += entries_of(Told(row, place), self._key)
            place = row.position
        if batch.alive is not None:
            # What was published, which may be more than what is kept here after a restored backup.
            alive = Alive(batch.alive.at, batch.alive.oldest, place)
            found.append(signed(EVERYTHING, alive_fields(alive), self._key))
        return found


def _matters_from(batch: Batch) -> int:
    """Before it, nothing on the streams matters any more; 0 where that is not known."""
    if batch.alive is None:
        return 0
    return batch.alive.at - RETENTION_US
