"""What every use case of the Coordinator stands on."""

from dataclasses import dataclass

from caracal.authority.events import Kind
from caracal.authority.graph import ZoneGraph
from caracal.authority.identifiers import SessionId, ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.sessions import Session
from caracal_server.coordinator import entries
from caracal_server.coordinator.commitment import Commitment
from caracal_server.coordinator.entries import Act, Asked
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.graph import GraphStore
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem
from caracal_server.web.receipts import receipted

REQUESTED = "requested"
"""Why something ended when nobody gave a reason."""


@dataclass(frozen=True, slots=True)
class Coordination:
    clock: Clock
    entropy: Entropy
    directory: ZoneDirectory
    graphs: LiveGraphs
    store: GraphStore
    commitment: Commitment

    def graph(self, zone_id: ZoneId) -> ZoneGraph:
        """The zone's live graph.

        Raises:
            Unavailable: it is not loaded.
        """
        graph = self.graphs.graph(zone_id)
        if graph is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone's sessions are not loaded")
        return graph

    async def session(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        """A session in its newest state, ended or not.

        Raises:
            Unavailable: it is not in memory, and the store can not be read.
        """
        row = self.newest(zone_id, session_id)
        return await self.store.session(zone_id, session_id) if row is None else row

    def newest(self, zone_id: ZoneId, session_id: SessionId) -> Session | None:
        """The same, unless it is only in the store."""
        live = self.graph(zone_id).session(session_id)
        return live or self.commitment.unstored_session(zone_id, session_id)

    async def refuse(
        self,
        act: Act,
        kind: Kind,
        refused: Refused,
        asked: Asked,
        variant: Variant | None = None,
    ) -> Problem:
        """Record that an act was refused.

        Raises:
            Unavailable: it could not be recorded.
        """
        recorded = await self.commitment.refuse(entries.refused(act, kind, refused, asked))
        return receipted(Problem.of(refused, variant), recorded.reference)
