"""Taking up a zone's graph from the store."""

from datetime import datetime

from caracal.authority.identifiers import ZoneId
from caracal.authority.revocation import RETENTION
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.graph import GraphStore


async def load_graph(
    graphs: LiveGraphs, store: GraphStore, zone_id: ZoneId, *, now: datetime
) -> None:
    """Make a zone live; one that already is stays as it is.

    Raises:
        Unavailable: the store can not be read; the zone is not live.
    """
    if graphs.graph(zone_id) is None:
        graphs.install(zone_id, await store.load(zone_id, revoked_after=now - RETENTION))
