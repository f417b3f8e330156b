"""All lanes at once: each at its own pace, so that one sink that fails holds back no other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from caracal_server.shipping.batches import Log
from caracal_server.shipping.lanes import Lane
from caracal_server.shipping.parts import Source, SourceFailed

ZONES_SECONDS = 30.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a single run left behind: the lanes that are not at the end of their log."""

    lanes: int
    behind: tuple[str, ...]


class Shipper:
    """Runs lanes. `open_lanes` makes those of a log that was not known before."""

    def __init__(
        self, source: Source, open_lanes: Callable[[Log], Sequence[Lane]], poll_seconds: float
    ) -> None:
        self._source = source
        self._open_lanes = open_lanes
        self._poll_seconds = poll_seconds

    async def once(self) -> Outcome:
        """Deliver all that is there now, and end. Raises `SourceFailed`: nobody says what there is."""
        lanes = [lane for log in await self._source.logs() for lane in self._open_lanes(log)]
        done = await asyncio.gather(*(self._drain(lane) for lane in lanes))
        return Outcome(len(lanes), tuple(told for told in done if told))

    async def _drain(self, lane: Lane) -> str:
        while True:
            done, failed = await lane.attempt(now=True)
            if failed:
                return f"{lane.sink_name} {lane.log.zone}"
            if not done:
                return ""

    async def follow(self) -> None:
        """Deliver for ever, new zones too. Ends when it is cancelled."""
        known: set[Log] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    logs = await self._source.logs()
                except SourceFailed as fault:
                    _log.warning("no list of zones", why=str(fault))
                    logs = ()
                for log in logs:
                    if log not in known:
                        known.add(log)
                        for lane in self._open_lanes(log):
                            tasks.create_task(self._keep_going(lane))
                await asyncio.sleep(ZONES_SECONDS if logs else self._poll_seconds)

    async def _keep_going(self, lane: Lane) -> None:
        while True:
            done, wait = await lane.attempt(now=False)
            if not done:
                await asyncio.sleep(wait or self._poll_seconds)
