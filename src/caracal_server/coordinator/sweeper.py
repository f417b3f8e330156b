"""Ending what time has ended, and finishing what could not be stored."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from caracal.authority.events import Kind
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.authority.sessions import Status
from caracal_server.coordinator import entries
from caracal_server.coordinator.acts import Acts
from caracal_server.coordinator.coordination import Coordination
from caracal_server.coordinator.entries import Act

PRUNE_EVERY = timedelta(minutes=1)
DROPPED_AT_ONCE = 500

_log = structlog.get_logger("caracal.coordinator")


@dataclass(frozen=True, slots=True)
class SweepBounds:
    """Attributes:
    interval: from the end of one sweep to the start of the next.
    limit: sessions of one zone that one sweep looks at.
    """

    interval: timedelta
    limit: int


class Sweeper:
    """Sweeps all zones at its interval, for as long as `run` runs.

    A session whose TTL has passed or whose lease has lapsed is not live from that very instant; the
    sweep takes it and all that rests on it out of memory, and records and stores that.
    """

    def __init__(self, coordination: Coordination, acts: Acts, bounds: SweepBounds) -> None:
        self._parts = coordination
        self._acts = acts
        self._bounds = bounds
        self._pruned_at: datetime | None = None

    async def run(self) -> None:
        """Sweep until cancelled; a sweep that fails is logged and followed by the next."""
        while True:
            try:
                await self._acts.run(self.sweep_once())
            except Unavailable as fault:
                _log.warning("sweep_failed", reason=fault.reason.value)
            except Exception as fault:  # noqa: BLE001 (a sweep that stopped would leave leases unjudged)
                _log.error("sweep_failed", error=type(fault).__name__)
            await asyncio.sleep(self._bounds.interval.total_seconds())

    async def sweep_once(self) -> int:
        """Sweep every zone; return how many sessions were ended or suspended.

        Raises:
            Unavailable: not all of it could be recorded and stored; it is in force.
        """
        now = self._parts.clock.now()
        due = [
            (zone_id, change)
            for zone_id in self._parts.graphs.zones()
            for change in self._apply(zone_id, now)
        ]
        try:
            await self._parts.commitment.settle()
        finally:
            await self._confirm(due, now)
        await self._prune(now)
        return sum(len(change.sessions) for _, change in due)

    def _apply(self, zone_id: ZoneId, now: datetime) -> tuple[GraphChange, ...]:
        """What is due in a zone, already in force."""
        changes = self._parts.graph(zone_id).plan_sweep(now=now, limit=self._bounds.limit)
        for change in changes:
            self._parts.graphs.apply(zone_id, change)
        return changes

    async def _confirm(self, due: list[tuple[ZoneId, GraphChange]], now: datetime) -> None:
        outcomes = await asyncio.gather(
            *(self._confirm_one(zone_id, change, now) for zone_id, change in due),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _confirm_one(self, zone_id: ZoneId, change: GraphChange, now: datetime) -> None:
        root = change.sessions[0]
        kind = Kind.SESSION_SUSPEND if root.status is Status.SUSPENDED else Kind.SESSION_END
        act = Act(zone_id, self._parts.entropy.new_id(), now)
        entry = entries.changed(act, kind, change, reason=root.end_reason)
        await self._parts.commitment.confirm(zone_id, change, entry)

    async def _prune(self, now: datetime) -> None:
        """Forget, every minute, revocations that cover nothing and receipts that have expired."""
        if self._pruned_at is not None and now - self._pruned_at < PRUNE_EVERY:
            return
        for zone_id in self._parts.graphs.zones():
            self._parts.graph(zone_id).revocations.prune(now)
        while await self._parts.store.drop_expired(now=now, limit=DROPPED_AT_ONCE):
            pass
        self._pruned_at = now
