"""The sequencer: gives every entry its place, and makes it durable before its effect may happen.

Group commit: whatever waits shares one commit. Before it begins, the event loop is left to run for as
long as it brings in further entries, because a commit costs the same for one entry as for many. A
result, for which nobody waits, lingers for a moment so that the next decision can take it along.

Commit order, which the fault tests hold:
1. An entry becomes canonical bytes when it is appended.
2. It gets its instant of sequencing, never less than the one before, and its leaf hash; the trees grow
   in memory, and one transaction stores entries, nodes and positions of all zones.
3. Only when it has been stored do the trees in memory move on and the callers get receipts.
4. When it has not, or nobody can tell, every caller is refused, and the stored position is read again
   before anything else is written. Results, whose callers are gone, are tried again, unless it turns
   out that they were stored.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.tree import TreeState
from caracal_server.audit.batches import CommitTo, Pending, Plan, Refer, refuse, said
from caracal_server.audit.integrity import Integrity, LogBroken
from caracal_server.audit.logs import Durable
from caracal_server.audit.settings import AuditSettings
from caracal_server.audit.tail import last_sequenced, load_tree, require_beginning
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceStore, Receipt

_STOPPED: Final = "stopped, because a log is broken"

_LINGER_S: Final = 0.01
"""How long a result waits for a decision to share its commit."""

_GATHER_S: Final = 0.005
_QUIET_TURNS: Final = 2
"""Turns of the event loop from a request's bytes to its entry: reading it, then handling it."""

_TOO_SLOW: Final = "the store takes too long to record"

_log = structlog.get_logger("caracal.audit")


class Sequencer:
    """The only writer of this process's logs. Implements `EvidenceLog`."""

    def __init__(
        self,
        store: EvidenceStore,
        settings: AuditSettings,
        integrity: Integrity,
        clock: Clock,
        refer: Refer | None = None,
        commit_to: CommitTo = said,
    ) -> None:
        self._store = store
        self._clock = clock
        self._integrity = integrity
        self._refer = refer or _unreferenced
        self._commit_to = commit_to
        self._max_waiting = settings.max_waiting
        self._max_batch = settings.max_batch
        self._commit_timeout_s = settings.commit_timeout.total_seconds()
        self._retry_s = settings.retry_interval.total_seconds()
        self._trees: dict[ZoneId, TreeState] = {}
        self._sequenced: dict[ZoneId, int] = {}
        self._doubtful: dict[ZoneId, Plan] = {}
        self._waiting: list[Pending] = []
        self._unsaved: list[Pending] = []
        self._committing: list[Pending] = []
        self._since = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._wake: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._pressing = False
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._stuck = False
        self._exclusive = asyncio.Lock()
        self._failing = ""
        self._durable: Durable = _unwatched

    async def start(self, zone_ids: Iterable[ZoneId] = ()) -> None:
        """Take up the logs of these zones, verify where they stand, and begin to commit.

        Other zones' logs are taken up when their first entry comes. A broken log does not keep the
        process from starting, so that it can be looked into; it takes no entry.

        Raises:
            Unavailable: the store can not be reached.
        """
        for zone_id in zone_ids:
            try:
                await self._take_up(zone_id)
            except Unavailable:
                if not self._integrity.halted:
                    raise
        self._task = asyncio.create_task(self._run(), name="evidence sequencer")
        self._watch()

    def watch(self, durable: Durable) -> None:
        """Have `durable` called after every commit, with each log it made longer."""
        self._durable = durable

    def tree(self, zone_id: ZoneId) -> TreeState | None:
        """The durable tree of a zone; `None` while it is not known."""
        return self._trees.get(zone_id)

    async def durable_tree(self, zone_id: ZoneId) -> TreeState:
        """The durable tree of a zone, taken up first if need be.

        Raises:
            Unavailable: it can not be told.
        """
        tree = self._trees.get(zone_id)
        if tree is not None:
            return tree
        async with self._exclusive:
            return self._trees.get(zone_id) or await self._take_up(zone_id)

    async def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable.

        Raises:
            Unavailable: it may or may not have been recorded; the act must not happen.
        """
        self._require_open(len(self._waiting))
        if self._stuck:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, _TOO_SLOW)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append(Pending(entry, future, self._commit_to))
        self._pressing = True
        self._rouse()
        return await future

    def enqueue(self, entry: Entry) -> None:
        """Record soon: for results of what already happened. Flushed before the log closes.

        Raises:
            Unavailable: the log is failing and takes no more.
        """
        self._require_open(len(self._waiting) + len(self._unsaved))
        self._waiting.append(Pending(entry, None, self._commit_to))
        if self._wake is not None and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(_LINGER_S, self._rouse)

    async def close(self) -> None:
        """Take no more, commit what waits, and end.

        What can not be stored any more is counted in the log; no caller was told it had been.
        """
        self._closing = True
        self._rouse()
        task, self._task = self._task, None
        if task is not None:
            await task
        if self._unsaved:
            _log.error("results_lost", count=len(self._unsaved))

    def check(self) -> str | None:
        """Say why entries are refused, for readiness."""
        if self._task is None or self._closing:
            return "not running"
        if self._integrity.halted:
            return _STOPPED
        if self._task.done():
            return "ended by an error"
        return self._failing or None

    @property
    def waiting(self) -> int:
        """How many entries wait to be stored."""
        return len(self._waiting) + len(self._unsaved)

    def _require_open(self, waiting: int) -> None:
        if self._integrity.halted:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, _STOPPED)
        if self._closing or self._task is None or self._task.done():
            raise Unavailable(Reason.DRAINING, "the log is closed")
        if waiting >= self._max_waiting:
            raise Unavailable(Reason.OVERLOADED, "too many entries wait to be recorded")

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        try:
            while self._waiting or not self._closing:
                if not self._pressing and not self._closing:
                    await self._sleep()
                await self._gather()
                await self._commit_next()
            await self._commit_next()
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()
            refuse(self._waiting, Unavailable(Reason.DRAINING, "the log is closed"))

    async def _sleep(self) -> None:
        """Until a decision waits, or what may linger has lingered."""
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        if self._waiting:
            self._alarm = loop.call_later(_LINGER_S, self._rouse)
        elif self._unsaved and not self._integrity.halted:
            self._alarm = loop.call_later(self._retry_s, self._rouse)
        await self._wake
        self._wake = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _gather(self) -> None:
        """Let whatever is ready to be recorded come in, within a bound."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + _GATHER_S
        quiet, seen = 0, len(self._waiting)
        while quiet < _QUIET_TURNS and seen < self._max_batch and loop.time() < latest:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)

    async def _commit_next(self) -> None:
        taken = self._take()
        if not taken:
            return
        self._committing, self._since = taken, asyncio.get_running_loop().time()
        plans: tuple[Plan, ...] = ()
        try:
            async with self._exclusive:
                plans = await self._plan(taken)
                await self._store.commit([plan.batch for plan in plans])
                self._accept(plans)
        except Exception as fault:  # noqa: BLE001 (whatever it is, nobody knows what was stored)
            self._doubt(taken, plans, fault)
        finally:
            self._committing, self._stuck = [], False
            refuse(taken, Unavailable(Reason.DRAINING, "the log is closed"))

    def _take(self) -> list[Pending]:
        self._pressing = False
        if not self._unsaved and len(self._waiting) <= self._max_batch:
            taken, self._waiting = self._waiting, []
            return taken
        taken = (self._unsaved + self._waiting)[: self._max_batch]
        room = max(0, self._max_batch - len(self._unsaved))
        self._unsaved = self._unsaved[self._max_batch :]
        self._waiting = self._waiting[room:]
        self._pressing = bool(self._waiting)
        return taken

    def _watch(self) -> None:
        """Refuse callers when a commit takes too long, without giving up on the commit itself.

        An abandoned commit could still succeed later, under the feet of the one after it.
        """
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(self._commit_timeout_s / 4, self._watch)
        if self._committing and loop.time() - self._since > self._commit_timeout_s:
            self._stuck = True
            self._failing = _TOO_SLOW
            fault = Unavailable(Reason.EVIDENCE_UNAVAILABLE, _TOO_SLOW)
            refuse(self._committing, fault)
            refuse(self._waiting, fault)
            self._waiting = [pending for pending in self._waiting if pending.future is None]

    async def _plan(self, taken: list[Pending]) -> tuple[Plan, ...]:
        if self._integrity.halted:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, _STOPPED)
        by_zone: dict[ZoneId, list[Pending]] = {}
        for pending in taken:
            by_zone.setdefault(ZoneId(pending.entry.zone), []).append(pending)
        plans: list[Plan] = []
        for zone_id, waiting in by_zone.items():
            tree = self._trees.get(zone_id) or await self._take_up(zone_id)
            new = [pending for pending in waiting if not pending.stored]
            if new:
                # A clock that was set back stands still in the log until it has caught up.
                instant = max(self._clock.now_us(), self._sequenced[zone_id])
                self._sequenced[zone_id] = instant
                plans.append(Plan(zone_id, tree, new, instant))
        return tuple(plans)

    async def _take_up(self, zone_id: ZoneId) -> TreeState:
        """Load where a log stands, and hold it to what was last known of it."""
        try:
            tree = await load_tree(self._store, zone_id)
            doubtful = self._doubtful.get(zone_id)
            if doubtful is not None:
                await self._reconcile(zone_id, tree, doubtful)
            latest = await last_sequenced(self._store, zone_id, tree)
        except LogBroken as fault:
            self._integrity.halt(zone_id, str(fault))
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, str(fault)) from fault
        self._doubtful.pop(zone_id, None)
        self._trees[zone_id] = tree
        self._sequenced[zone_id] = latest
        return tree

    async def _reconcile(self, zone_id: ZoneId, stored: TreeState, doubtful: Plan) -> None:
        if stored == doubtful.after:
            for pending in doubtful.pending:
                pending.stored = True
            self._durable(zone_id, stored.size)
        elif stored != doubtful.before:
            if stored.size < doubtful.before.size:
                raise LogBroken(f"the log went back to size {stored.size}")
            await require_beginning(self._store, zone_id, doubtful.before)
            _log.warning("log_moved", zone=zone_id, size=stored.size)

    def _accept(self, plans: Iterable[Plan]) -> None:
        """Move on to what is durable now, and tell the callers."""
        self._failing = ""
        for plan in plans:
            self._trees[plan.batch.zone_id] = plan.after
            plan.resolve(self._refer)
            self._durable(plan.batch.zone_id, plan.after.size)

    def _doubt(self, taken: list[Pending], plans: Iterable[Plan], fault: Exception) -> None:
        """Refuse what was to be committed, and forget the trees until they have been read again."""
        self._failing = f"the last commit failed: {type(fault).__name__}"
        _log.error("commit_failed", error=type(fault).__name__, entries=len(taken))
        for plan in plans:
            self._trees.pop(plan.batch.zone_id, None)
            self._doubtful[plan.batch.zone_id] = plan
        refuse(taken, Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the entry could not be recorded"))
        results = [one for one in taken if one.future is None and not one.stored]
        self._unsaved = results + self._unsaved


def _unreferenced(_zone_id: ZoneId, _index: int, _leaf: bytes) -> str:
    """Nobody serves proofs."""
    return ""


def _unwatched(_zone_id: ZoneId, _size: int) -> None:
    """Nobody watches."""
