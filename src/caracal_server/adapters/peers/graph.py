"""The live graphs as they are at the Coordinator, in step with it or refused."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET

from caracal.authority.graph import GraphLimits, ZoneGraph
from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.revocation import Revocation
from caracal.authority.sessions import Session
from caracal_server.adapters.peers.follower import Follower
from caracal_server.ports.clock import Clock
from caracal_server.web.peers.messages import Page, ZoneChange, decode

TIDY_EVERY: Final = timedelta(minutes=1)
FORGOTTEN_AT_ONCE: Final = 10_000

_UNLIMITED: Final = GraphLimits()
"""The Coordinator holds the limits; here nothing is started."""


class GraphReplica:
    """Implements `Graphs` and `LiveAuthority`. `follower` has to be set before anything is read."""

    __slots__ = ("_clock", "_graphs", "_listeners", "_tidied_at", "follower")

    follower: Follower

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._graphs: dict[ZoneId, ZoneGraph] = {}
        self._listeners: dict[ZoneId, set[Callable[[], None]]] = {}
        self._tidied_at: datetime | None = None

    async def take(self, page: Page) -> None:
        """Put a page into effect, and wake who waits for revocations."""
        if page.whole is not UNSET:
            changes = decode(page.whole, tuple[ZoneChange, ...])
            self._graphs = {}
        else:
            changes = tuple(decode(part, ZoneChange) for part in page.changes)
        woken: set[ZoneId] = set()
        for one in changes:
            graph = self._graphs.get(one.zone_id)
            if graph is None:
                graph = self._graphs[one.zone_id] = ZoneGraph(one.zone_id, _UNLIMITED)
            graph.apply(one.change)
            if one.change.revocations:
                woken.add(one.zone_id)
        self._wake(self._listeners if page.whole is not UNSET else woken)
        self._tidy()

    def too_old(self) -> None:
        """End what is under way: what has been revoked is not known any more."""
        self._wake(self._listeners)

    def graph(self, zone_id: ZoneId) -> ZoneGraph | None:
        """The graph of a zone.

        Raises:
            Unavailable: the view is older than its bound.
        """
        self.follower.require_fresh()
        return self._graphs.get(zone_id)

    def revocation(self, mandate: Mandate) -> Revocation | None:
        graph = self.graph(mandate.zone_id)
        if graph is None:
            raise Unavailable(Reason.REVOCATIONS_STALE, "the zone's revocations are not known")
        return graph.revocations.covering(mandate)

    def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        graph = self.graph(zone_id)
        return None if graph is None else graph.session(session_id)

    def subscribe(self, zone_id: ZoneId, wake: Callable[[], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(zone_id, set())
        listeners.add(wake)
        return lambda: listeners.discard(wake)

    def _wake(self, zone_ids: "dict[ZoneId, set[Callable[[], None]]] | set[ZoneId]") -> None:
        for zone_id in tuple(zone_ids):
            for wake in tuple(self._listeners.get(zone_id, ())):
                wake()

    def _tidy(self) -> None:
        """Forget what has expired: the Coordinator does, and does not say so."""
        now = self._clock.now()
        if self._tidied_at is not None and now - self._tidied_at < TIDY_EVERY:
            return
        self._tidied_at = now
        for graph in self._graphs.values():
            graph.revocations.prune(now)
            graph.forget_expired(now=now, limit=FORGOTTEN_AT_ONCE)
