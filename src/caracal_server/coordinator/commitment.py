"""How a change of the graph comes about.

The order of every change: plan on the live graph, apply it in memory at once, append its entry to the
evidence durably, store it durably, wait until services that run apart follow, answer. Nothing is awaited
between plan and apply, so no second plan sees the old state, and a kill is in force before anything else
happens.

What fails on the way decides by what the change does to authority:
- one that gives authority is undone in memory, so no live session exists whose start was not recorded
  and stored;
- one that takes authority away stays in force, and is recorded and stored as soon as that is possible.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from caracal.authority.events import Entry, Kind
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.sessions import Session
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.evidence import EvidenceLog, Receipt
from caracal_server.ports.graph import GraphStore, IdempotencyReceipt

_log = structlog.get_logger("caracal.coordinator")

Told = Callable[[], None]
"""Is called whenever something was stored."""
Spread = Callable[[], Awaitable[None]]
"""Returns once no service that runs apart acts on the state before; in one process none does."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes a change back, and the entry that says so."""

    change: GraphChange
    entry: Entry


@dataclass(slots=True)
class Owed:
    """A change that is in force and not stored yet; `entry` until it is recorded."""

    zone_id: ZoneId
    change: GraphChange
    entry: Entry | None
    kind: Kind
    row: str


class Commitment:
    """Applies, records and stores changes, in that order."""

    def __init__(
        self,
        *,
        graphs: LiveGraphs,
        store: GraphStore,
        evidence: EvidenceLog,
        spread: Spread | None = None,
    ) -> None:
        self.told: Told | None = None
        self._graphs = graphs
        self._spread = spread
        self._store = store
        self._evidence = evidence
        self._owed: list[Owed] = []
        self._settling = asyncio.Lock()

    def require_settled(self) -> None:
        """Check, before a plan, that authority may be given.

        Raises:
            Unavailable: an earlier change waits to be recorded or stored.
        """
        if self._owed:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "earlier changes wait to be stored")

    async def give(
        self,
        zone_id: ZoneId,
        change: GraphChange,
        entry: Entry,
        undo: Callable[[], Undo],
        receipt: IdempotencyReceipt | None = None,
    ) -> Receipt:
        """Make a change that gives authority, with the receipt of the request that asked for it.

        Returns where its entry stands.

        Raises:
            Unavailable: it could not be recorded or stored; it was undone.
        """
        self._graphs.apply(zone_id, change)
        try:
            recorded = await self._evidence.append(entry)
            await self._save(zone_id, change, receipt)
        except BaseException:
            # It may be stored all the same, by this act or with another that touched the same rows
            # meanwhile. So that it was taken back must be stored over it.
            back = undo()
            self._graphs.apply(zone_id, back.change)
            self._owe(zone_id, back.change, back.entry)
            raise
        if self._spread is not None:
            await self._spread()
        return recorded

    async def take(self, zone_id: ZoneId, change: GraphChange, entry: Entry) -> Receipt:
        """Make a change that takes authority away. Returns where its entry stands.

        Raises:
            Unavailable: it is in force, and not recorded or not stored yet.
        """
        self._graphs.apply(zone_id, change)
        return await self.confirm(zone_id, change, entry)

    async def confirm(self, zone_id: ZoneId, change: GraphChange, entry: Entry) -> Receipt:
        """Record and store a change that was applied before, as `take` does."""
        try:
            recorded = await self._evidence.append(entry)
        except BaseException:
            self._owe(zone_id, change, entry)
            raise
        try:
            await self._save(zone_id, change)
        except BaseException:
            self._owe(zone_id, change, entry, recorded=True)
            raise
        if self._spread is not None:
            await self._spread()
        return recorded

    async def renew(self, zone_id: ZoneId, change: GraphChange) -> None:
        """Make a change that only moves a lease's deadline; it is no evidence of anything.

        Raises:
            Unavailable: it was not stored; after a restart the lease ends when it would have before.
        """
        self._graphs.apply(zone_id, change)
        await self._store.save(zone_id, change)

    async def refuse(self, entry: Entry) -> Receipt:
        """Record a refusal. Returns where its entry stands.

        Raises:
            Unavailable: it could not be recorded.
        """
        return await self._evidence.append(entry)

    def owes(self, zone_id: ZoneId, kind: Kind, row: str) -> Owed | None:
        """The change of this kind, to this session or delegation, that waits to be stored."""
        return next(
            (
                owed
                for owed in self._owed
                if (owed.zone_id, owed.kind, owed.row) == (zone_id, kind, row)
            ),
            None,
        )

    def unstored_session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        """A session's newest state, if it waits to be stored."""
        rows = (row for owed in self._of(zone_id) for row in owed.change.sessions)
        return next((row for row in rows if row.id == session_id), None)

    async def settle(self) -> None:
        """Record and store what waits, oldest first.

        Raises:
            Unavailable: something still waits.
        """
        async with self._settling:
            for owed in tuple(self._owed):
                await self._settle_one(owed)
        if self._owed:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "changes wait to be stored")

    async def settle_everywhere(self) -> None:
        """Settle, and return once services that run apart follow: what is answered then holds.

        Raises:
            Unavailable: something still waits.
        """
        await self.settle()
        if self._spread is not None:
            await self._spread()

    async def _settle_one(self, owed: Owed) -> None:
        try:
            if owed.entry is not None:
                await self._evidence.append(owed.entry)
                owed.entry = None
            await self._save(owed.zone_id, self._still_true(owed))
        except Unavailable:
            raise
        except Exception as fault:  # noqa: BLE001 (it keeps waiting, and the others get their turn)
            _log.error("change_not_stored", error=type(fault).__name__, row=owed.row)
        else:
            self._owed.remove(owed)

    async def _save(
        self, zone_id: ZoneId, change: GraphChange, receipt: IdempotencyReceipt | None = None
    ) -> None:
        await self._store.save(zone_id, change, receipt)
        if self.told is not None and (change.sessions or change.revocations or change.delegations):
            self.told()

    def _still_true(self, owed: Owed) -> GraphChange:
        """The change without the revocations of sessions that have resumed since.

        Their rows are safe, because a stored row never gives way to one of an earlier version.
        """
        graph, change = self._graphs.graph(owed.zone_id), owed.change
        since = {
            row.id
            for row in change.sessions
            if graph is not None
            and (now := graph.session(row.id)) is not None
            and now.version > row.version
        }
        kept = tuple(row for row in change.revocations if row.anchor not in since)
        return replace(change, revocations=kept)

    def check(self) -> str | None:
        """What keeps the Coordinator from being ready."""
        waiting = len(self._owed)
        return f"{waiting} changes wait to be stored" if waiting else None

    def _of(self, zone_id: ZoneId) -> tuple[Owed, ...]:
        return tuple(owed for owed in reversed(self._owed) if owed.zone_id == zone_id)

    def _owe(
        self, zone_id: ZoneId, change: GraphChange, entry: Entry, *, recorded: bool = False
    ) -> None:
        if change.sessions or change.delegations or change.revocations:
            entry_left = None if recorded else entry
            self._owed.append(Owed(zone_id, change, entry_left, entry.kind, entry.target))
