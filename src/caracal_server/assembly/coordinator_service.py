"""The Coordinator as a process of its own: sessions and delegations, over a database that is its alone."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from caracal.tokens.secret import Secret
from caracal_server.adapters.peers.key_sets import KeySetReplica
from caracal_server.adapters.peers.questions import RemoteOperators
from caracal_server.adapters.peers.zones import ZoneReplica
from caracal_server.adapters.sealing.key_files import load_key
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.assembly.graph_limits import graph_limits
from caracal_server.assembly.owned_database import owned_database
from caracal_server.assembly.provisioning import RECEIPTS, RECEIPTS_KIND
from caracal_server.assembly.revocation_streams import (
    CHECK,
    publish_revocations,
    show_revocations,
)
from caracal_server.assembly.running import run_until_left
from caracal_server.assembly.service_process import Built, Ground
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.coordinator.loading import load_graph
from caracal_server.coordinator.peer_api import CoordinatorPeerApi, graph_feed
from caracal_server.coordinator.removal import RemoveApplication
from caracal_server.coordinator.service import Coordinator, CoordinatorPorts, make_coordinator
from caracal_server.coordinator.settings import CoordinatorSettings
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.peers.feed import Feed
from caracal_server.web.peers.messages import ZoneChange
from caracal_server.web.peers.services import Service
from caracal_server.web.problems import render_coordinator
from caracal_server.web.routes import Edge


async def build(ground: Ground, stack: AsyncExitStack) -> Built:
    """Put the Coordinator together over its database and its peers.

    Raises:
        KeyFileError: its key is missing.
        DatabaseInUse, Unavailable: the database can not be had.
    """
    digest_key = Secret(load_key(ground.directory.keys / RECEIPTS, RECEIPTS_KIND).hex())
    database = await owned_database(ground, stack)
    store, peering = SqlGraphStore(database), ground.peering
    graphs = LiveGraphs(graph_limits(ground.settings))
    feed = graph_feed(graphs, ground.clock, peering.instance, peering.graph_bound)
    feed.owner = database.require_ownership
    zones, key_sets = (
        ZoneReplica(before=_Loading(ground, graphs, store, feed)),
        KeySetReplica(ground.clock),
    )
    zones.follower = peering.follow_zones(zones.take)
    key_sets.follower = peering.follow_key_sets(key_sets.take)
    evidence = peering.evidence(stack)
    coordinator = make_coordinator(
        CoordinatorSettings(ground.issuer),
        CoordinatorPorts(
            clock=ground.clock,
            entropy=ground.entropy,
            directory=zones,
            graphs=graphs,
            store=store,
            evidence=evidence,
            keys=key_sets,
            operators=RemoteOperators(peering.channel(Service.CONTROL)),
            digest_keys=(digest_key,),
            news=store,
            spread=feed.spread,
        ),
    )
    _run(ground, coordinator, stack)
    ground.checks |= {
        "peer_audit": evidence.check,
        "peer_control": zones.follower.check,
        "peer_sts": key_sets.follower.check,
        "changes_stored": coordinator.commitment.check,
    }
    remove = RemoveApplication(ground.clock, ground.entropy, graphs, coordinator.commitment)
    return Built(
        app=Edge(coordinator.all_routes, refuse=render_coordinator, entropy=ground.entropy),
        evidence=evidence,
        answers=CoordinatorPeerApi(graphs, feed, remove, coordinator.client_sessions).answers(),
        begin_draining=coordinator.desk.close,
    )


@dataclass(frozen=True, slots=True)
class _Loading:
    """Makes the graphs of new zones live."""

    ground: Ground
    graphs: LiveGraphs
    store: SqlGraphStore
    feed: Feed[ZoneChange]

    async def __call__(self, records: tuple[ZoneRecord, ...]) -> None:
        new = [record.id for record in records if self.graphs.graph(record.id) is None]
        for zone_id in new:
            await load_graph(self.graphs, self.store, zone_id, now=self.ground.clock.now())
        if new:
            # Control answers for a new zone once it is in effect here: then it is for all who mint.
            await self.feed.spread()


def _run(ground: Ground, coordinator: Coordinator, stack: AsyncExitStack) -> None:
    stack.push_async_callback(coordinator.close)
    stack.push_async_callback(run_until_left(coordinator.sweeper.run()))
    stack.push_async_callback(run_until_left(coordinator.desk.run()))
    publisher = publish_revocations(ground.settings, coordinator, ground.clock, stack)
    show_revocations(ground.registry, coordinator, publisher)
    if publisher is not None:
        ground.notices[CHECK] = publisher.check
