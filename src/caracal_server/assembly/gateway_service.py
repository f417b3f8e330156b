"""The Gateway as a process of its own: no database, no signing key; it follows three others.

INVARIANT: nothing that signs mandates or reaches a database is imported here (ADR 3, ADR 8).
"""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

from caracal_server.adapters.memory.credentials import OpenedCredentials
from caracal_server.adapters.memory.minted import NothingMinted
from caracal_server.adapters.memory.single_use import SingleUseSince
from caracal_server.adapters.peers.graph import GraphReplica
from caracal_server.adapters.peers.key_sets import KeySetReplica
from caracal_server.adapters.peers.questions import RemoteResourceMandates, RemoteToolReports
from caracal_server.adapters.peers.zones import ZoneReplica
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.assembly.gateway_edge import GatewayParts, make_gateway, make_upstream
from caracal_server.assembly.service_process import Built, Ground
from caracal_server.web.peers.messages import Page
from caracal_server.web.peers.services import Service

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def build(ground: Ground, stack: AsyncExitStack) -> Built:
    """Put the Gateway together over its peers.

    Raises:
        KeyFileError: the key that opens credentials is missing.
    """
    ring = KeyRing(ground.directory.keys, ground.entropy)
    opener = ring.credential_opener(needed_by="upstream credentials")
    peering, credentials = ground.peering, OpenedCredentials(opener)
    zones, graphs = ZoneReplica(credentials), GraphReplica(ground.clock)
    key_sets, single_use = KeySetReplica(ground.clock), SingleUseSince()

    async def take_key_sets(page: Page) -> None:
        await key_sets.take(page)
        # Both are of the STS's clock: this instant, and those in the mandates' ids.
        single_use.begin(_EPOCH + timedelta(microseconds=page.at_us))

    zones.follower = peering.follow_zones(zones.take)
    graphs.follower = peering.follow_graph(graphs.take, graphs.too_old)
    key_sets.follower = peering.follow_key_sets(take_key_sets)
    evidence = peering.evidence(stack)
    upstream = make_upstream(ground.settings)
    stack.push_async_callback(upstream.aclose)
    ground.checks |= {
        "peer_audit": evidence.check,
        "peer_control": zones.follower.check,
        "peer_coordinator": graphs.follower.check,
        "peer_sts": key_sets.follower.check,
    }
    parts = GatewayParts(
        clock=ground.clock,
        entropy=ground.entropy,
        directory=zones,
        keys=key_sets,
        minted=NothingMinted(),
        single_use=single_use,
        authority=graphs,
        evidence=evidence,
        credentials=credentials,
        mandates=RemoteResourceMandates(peering.channel(Service.STS)),
        tools=RemoteToolReports(peering.changing_channel(Service.CONTROL)),
    )
    urls = (ground.issuer, ground.settings["GATEWAY_URL"])
    app = make_gateway(parts, upstream, ground.settings, urls, ground.readiness, ground.registry)
    stack.push_async_callback(app.enforcement.definitions.aclose)
    return Built(app, evidence, zones, begin_draining=app.begin_draining)
