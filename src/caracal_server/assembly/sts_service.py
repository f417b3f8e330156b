"""The STS as a process of its own: it signs, and holds neither a database nor a credential's key.

INVARIANT: nothing that opens upstream credentials or reaches a database is imported here (ADR 3, ADR 8).
"""

from contextlib import AsyncExitStack

from caracal.authority.mandates import MAX_RESOURCE_LIFETIME
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.memory.minted import NothingMinted
from caracal_server.adapters.peers.graph import GraphReplica
from caracal_server.adapters.peers.questions import RemoteClientSessions, RemoteKeyStore
from caracal_server.adapters.peers.zones import ZoneReplica
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.signing.zone_keys import ZoneSigningKeys
from caracal_server.assembly.service_process import Built, Ground
from caracal_server.assembly.sts_edge import StsParts, make_sts
from caracal_server.sts.exchange import MintForResource
from caracal_server.sts.peer_api import PublishedKeySets, StsPeerApi
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.services import Service


async def build(ground: Ground, stack: AsyncExitStack) -> Built:
    """Put the STS together over its peers.

    Raises:
        KeyFileError: one of its keys is missing.
    """
    ring, peering = KeyRing(ground.directory.keys, ground.entropy), ground.peering
    store = RemoteKeyStore(peering.channel(Service.CONTROL))
    seal = ring.private_key_seal(needed_by="the zones' signing keys")
    keys = ZoneSigningKeys(store, seal, ground.clock, ground.entropy)
    published = PublishedKeySets(keys, ground.clock, peering.instance, peering.configuration_bound)
    zones, graphs = ZoneReplica(), GraphReplica(ground.clock)
    zones.follower = peering.follow_zones(zones.take)
    graphs.follower = peering.follow_graph(graphs.take, graphs.too_old)
    evidence = peering.evidence(stack)
    argon2 = Argon2Secrets(ground.clock, ground.entropy)
    stack.callback(argon2.close)
    parts = StsParts(
        clock=ground.clock,
        entropy=ground.entropy,
        directory=zones,
        secrets=zones,
        pepper=ring.client_secret_pepper(needed_by="client secrets"),
        passwords=argon2,
        keys=keys,
        graphs=graphs,
        minted=NothingMinted(),
        evidence=evidence,
        sessions=RemoteClientSessions(peering.changing_channel(Service.COORDINATOR)),
    )
    api = _peer_api(ground, keys, published, graphs, zones)
    ground.checks |= {
        "peer_audit": evidence.check,
        "peer_control": zones.follower.check,
        "peer_coordinator": graphs.follower.check,
    }
    begun = _Begun(keys)
    gateway = ground.settings["GATEWAY_URL"]
    return Built(
        app=make_sts(parts, ground.settings, ground.issuer, gateway, ground.registry, stack),
        evidence=evidence,
        zones=zones,
        answers=tuple(begun.holding(answer) for answer in api.answers()),
        begin=begun.load,
    )


def _peer_api(
    ground: Ground,
    keys: ZoneSigningKeys,
    published: PublishedKeySets,
    graphs: GraphReplica,
    zones: ZoneReplica,
) -> StsPeerApi:
    return StsPeerApi(
        clock=ground.clock,
        keys=keys,
        published=published,
        mandates=MintForResource(ground.entropy, keys, MAX_RESOURCE_LIFETIME),
        authority=graphs,
        issuer=ground.issuer,
        gateway=ground.settings["GATEWAY_URL"],
        zones=zones,
    )


class _Begun:
    """Before its keys are loaded the STS must not answer: it would make a zone's first key again."""

    def __init__(self, keys: ZoneSigningKeys) -> None:
        self._keys = keys
        self._loaded = False

    async def load(self) -> None:
        await self._keys.load()
        self._loaded = True

    def holding(self, answer: Answer) -> Answer:
        async def handle(caller: Service, body: bytes) -> object:
            if not self._loaded:
                raise Unavailable(Reason.PEER_UNAVAILABLE, "the signing keys are not loaded yet")
            return await answer.handler(caller, body)

        return Answer(answer.ask, handle)
