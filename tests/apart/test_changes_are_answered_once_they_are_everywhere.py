"""What the Coordinator answers waits for those that follow it, whether it gives authority or takes it."""

import asyncio
from datetime import UTC, datetime

import pytest

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.graph import GraphChange, GraphLimits
from caracal.authority.revocation import AnchorKind, Revocation
from caracal_server.coordinator.commitment import Commitment, Undo
from caracal_server.coordinator.live_graphs import LiveGraphs
from tests.support.evidence_log import RecordingLog

ZONE = "zone"
CHANGE = GraphChange(
    revocations=(Revocation(AnchorKind.SESSION, "one", datetime(2026, 1, 1, tzinfo=UTC), "ended"),)
)
ENTRY = Entry(format=ENTRY_FORMAT, kind=Kind.SESSION_END, zone=ZONE, at=1, request="r")


class Saved:
    """As much of a `GraphStore` as is asked for."""

    def __init__(self) -> None:
        self.changes: list[GraphChange] = []

    async def save(self, _zone_id, change, _receipt=None) -> None:
        self.changes.append(change)


class Site:
    def __init__(self) -> None:
        self.graphs, self.store, self.everywhere = (
            LiveGraphs(GraphLimits()),
            Saved(),
            asyncio.Event(),
        )
        self.told: list[tuple[str, GraphChange]] = []
        self.graphs.watch(lambda zone_id, change: self.told.append((zone_id, change)))
        self.graphs.begin(ZONE)
        self.commitment = Commitment(
            graphs=self.graphs,
            store=self.store,
            evidence=RecordingLog(),
            spread=self._spread,
        )

    async def _spread(self) -> None:
        await self.everywhere.wait()


def give(site: Site):
    return site.commitment.give(ZONE, CHANGE, ENTRY, lambda: Undo(GraphChange(), ENTRY))


def take(site: Site):
    return site.commitment.take(ZONE, CHANGE, ENTRY)


@pytest.mark.parametrize("act", [give, take])
async def test_a_change_is_told_at_once_and_answered_when_it_is_everywhere(act):
    site = Site()
    answering = asyncio.create_task(act(site))
    async with asyncio.timeout(5):
        while not site.store.changes:
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not answering.done()
    assert site.told[-1] == (ZONE, CHANGE)
    site.everywhere.set()
    await asyncio.wait_for(answering, 5)
