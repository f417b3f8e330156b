"""The live graphs of this process, and who wants to hear of a revocation."""

from collections.abc import Callable

from caracal.authority.graph import GraphChange, GraphLimits, ZoneGraph
from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.revocation import Revocation
from caracal.authority.sessions import Session
from caracal_server.ports.graph import StoredGraph

Watcher = Callable[[ZoneId, GraphChange], None]


class LiveGraphs:
    """Implements `Graphs` and `LiveAuthority` for services in the same process.

    A revocation is in force for all of them the moment `apply` returns.
    """

    __slots__ = ("_graphs", "_limits", "_listeners", "_watcher")

    def __init__(self, limits: GraphLimits) -> None:
        self._limits = limits
        self._graphs: dict[ZoneId, ZoneGraph] = {}
        self._listeners: dict[ZoneId, set[Callable[[], None]]] = {}
        self._watcher: Watcher | None = None

    def watch(self, watcher: "Watcher") -> None:
        """Have `watcher` called with every change, once it is in force here, and every new zone."""
        self._watcher = watcher

    def install(self, zone_id: ZoneId, stored: StoredGraph) -> None:
        """Take up a zone as it was stored; a zone that is already live stays as it is."""
        if zone_id not in self._graphs:
            self._graphs[zone_id] = ZoneGraph.load(
                zone_id,
                self._limits,
                sessions=stored.sessions,
                delegations=stored.delegations,
                revocations=stored.revocations,
                epoch=stored.epoch,
            )
            self._tell(zone_id, self._graphs[zone_id].whole())

    def begin(self, zone_id: ZoneId) -> None:
        """Give a new zone an empty graph; a zone that is already live stays as it is."""
        if zone_id not in self._graphs:
            self._graphs[zone_id] = ZoneGraph(zone_id, self._limits)
            self._tell(zone_id, GraphChange())

    def _tell(self, zone_id: ZoneId, change: GraphChange) -> None:
        if self._watcher is not None:
            self._watcher(zone_id, change)

    def counts(self, zone_id: ZoneId) -> dict[str, int]:
        """How many sessions and delegations are live in a zone."""
        graph = self._graphs.get(zone_id)
        if graph is None:
            return {}
        return {"sessions": graph.session_count, "delegations": graph.delegation_count}

    def zones(self) -> tuple[ZoneId, ...]:
        return tuple(self._graphs)

    def graph(self, zone_id: ZoneId) -> ZoneGraph | None:
        return self._graphs.get(zone_id)

    def apply(self, zone_id: ZoneId, change: GraphChange) -> None:
        self._graphs[zone_id].apply(change)
        self._tell(zone_id, change)
        if change.revocations:
            for wake in tuple(self._listeners.get(zone_id, ())):
                wake()

    def revocation(self, mandate: Mandate) -> Revocation | None:
        graph = self._graphs.get(mandate.zone_id)
        if graph is None:
            raise Unavailable(Reason.REVOCATIONS_STALE, "the zone's revocations are not loaded")
        return graph.revocations.covering(mandate)

    def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        graph = self._graphs.get(zone_id)
        return None if graph is None else graph.session(session_id)

    def subscribe(self, zone_id: ZoneId, wake: Callable[[], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(zone_id, set())
        listeners.add(wake)
        return lambda: listeners.discard(wake)
