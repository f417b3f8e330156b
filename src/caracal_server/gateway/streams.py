"""Calls under way, so that a revocation can cut them at once."""

import asyncio
from dataclasses import dataclass, field

from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.revocation import Revocation
from caracal_server.ports.peers import LiveAuthority


@dataclass(eq=False, slots=True)
class Stream:
    """One call whose response is being passed on by `task`."""

    mandate: Mandate
    task: asyncio.Task[object]
    cut_by: Revocation | None = None


@dataclass(slots=True)
class Streams:
    """The streams of every zone, and the subscription that cuts them.

    A stream that carries nothing is cut as promptly as a busy one, which also checks each chunk.
    """

    authority: LiveAuthority
    _by_zone: dict[ZoneId, set[Stream]] = field(default_factory=dict)

    def open(self, mandate: Mandate, task: asyncio.Task[object]) -> Stream:
        stream = Stream(mandate, task)
        zone_id = mandate.zone_id
        streams = self._by_zone.get(zone_id)
        if streams is None:
            streams = self._by_zone[zone_id] = set()
            self.authority.subscribe(zone_id, lambda: self._sweep(zone_id))
        streams.add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        self._by_zone[stream.mandate.zone_id].discard(stream)

    def count(self) -> int:
        return sum(map(len, self._by_zone.values()))

    def _sweep(self, zone_id: ZoneId) -> None:
        for stream in tuple(self._by_zone[zone_id]):
            if stream.cut_by is None:
                stream.cut_by = self.authority.revocation(stream.mandate)
                if stream.cut_by is not None:
                    stream.task.cancel()
