"""Control as a process of its own: configuration and operators, over a database that is its alone."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.adapters.peers.questions import RemoteCounts, RemoteRemoval, RemoteZoneKeys
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.adapters.sql.operators import SqlOperatorStore
from caracal_server.adapters.sql.policy_library import SqlPolicyLibrary
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.assembly.derived_keys import FINGERPRINTS, derived_key
from caracal_server.assembly.installed import installed
from caracal_server.assembly.owned_database import owned_database
from caracal_server.assembly.service_process import Built, Ground
from caracal_server.assembly.start_entry import RELEASE
from caracal_server.control.acts import ActLog
from caracal_server.control.admin.api import AdminApi
from caracal_server.control.apply import ApplyZone
from caracal_server.control.authentication import OperatorAuthentication
from caracal_server.control.custody import ApplicationSecrets, CredentialCustody
from caracal_server.control.gate import Gate
from caracal_server.control.http import ZoneApi
from caracal_server.control.invoke.http import InvokeApi
from caracal_server.control.invoke.inside import Inside
from caracal_server.control.keys import RotateKey
from caracal_server.control.operators import Operators
from caracal_server.control.operators_http import OperatorApi
from caracal_server.control.peer_api import ControlPeerApi, PublishedZones
from caracal_server.control.publication import Publication
from caracal_server.control.renewal import RenewSecret
from caracal_server.control.settings import ControlSettings
from caracal_server.control.tool_pins import AcceptTool, KeepTools
from caracal_server.control.tools_http import ToolApi
from caracal_server.control.views import InstallationView
from caracal_server.web.peers.gate import Answer
from caracal_server.web.peers.services import Service
from caracal_server.web.problems import render_admin
from caracal_server.web.routes import Edge, Route


async def build(ground: Ground, stack: AsyncExitStack) -> Built:
    """Put Control together over its database and its peers.

    Raises:
        KeyFileError: one of its keys is missing.
        DatabaseInUse, Unavailable: the database can not be had.
    """
    ring, peering = KeyRing(ground.directory.keys, ground.entropy), ground.peering
    pepper = ring.client_secret_pepper(needed_by="client secrets")
    settings = ControlSettings(pepper=pepper, fingerprint_key=derived_key(pepper, FINGERPRINTS))
    database = await owned_database(ground, stack)
    store = SqlZoneStore(database)
    zones = MemoryZones()
    published = PublishedZones(ground.clock, peering.instance, peering.configuration_bound)
    published.feed.owner = database.require_ownership
    for record in await store.load_all():
        published.install(record)
        zones.install(record)
    evidence = peering.evidence(stack)
    acts = ActLog(evidence, ground.clock)
    operators = await _operators(ground, SqlOperatorStore(database), acts, settings)
    publication = Publication(store, zones, (published, zones), published.feed.spread)
    policies = SqlPolicyLibrary(database)
    offices = _Offices(ground, settings, store, acts, operators, publication, policies)
    counts = RemoteCounts(peering.channel(Service.COORDINATOR))
    sts = peering.changing_channel(Service.STS)
    for work in (counts.run(), sts.watch()):
        _meanwhile(stack, work)
    ground.checks |= {
        "peer_audit": evidence.check,
        "peer_coordinator": counts.coordinator.check,
        "peer_sts": sts.check,
    }
    argon2 = Argon2Secrets(ground.clock, ground.entropy)
    stack.callback(argon2.close)
    secrets = ApplicationSecrets(settings, ground.entropy, argon2)
    custody = CredentialCustody(settings, ring.credential_sealer())
    routes = offices.routes(secrets, custody, RemoteZoneKeys(sts), counts)

    async def begin() -> None:
        await operators.ensure_first(ground.directory.operator_token)

    return Built(
        app=Edge(routes, refuse=render_admin, entropy=ground.entropy),
        evidence=evidence,
        zones=zones,
        answers=_answers(published, operators, database, publication),
        begin=begin,
    )


def _answers(
    published: PublishedZones,
    operators: Operators,
    database: Database,
    publication: Publication,
) -> tuple[Answer, ...]:
    keys, tools = SqlKeyStore(database), KeepTools(publication)
    return ControlPeerApi(published, operators, keys, tools).answers()


async def _operators(
    ground: Ground, store: SqlOperatorStore, acts: ActLog, settings: ControlSettings
) -> Operators:
    operators = Operators(
        store=store,
        clock=ground.clock,
        entropy=ground.entropy,
        acts=acts,
        settings=settings,
    )
    await operators.load()
    return operators


@dataclass(frozen=True, slots=True)
class _Offices:
    """What Control's use cases share."""

    ground: Ground
    settings: ControlSettings
    store: SqlZoneStore
    acts: ActLog
    operators: Operators
    publication: Publication
    library: SqlPolicyLibrary

    def routes(
        self,
        secrets: ApplicationSecrets,
        custody: CredentialCustody,
        zone_keys: RemoteZoneKeys,
        counts: RemoteCounts,
    ) -> tuple[Route, ...]:
        clock, acts, publication = self.ground.clock, self.acts, self.publication
        gate = Gate(self.settings, OperatorAuthentication(self.operators), self.store, acts)
        apply = ApplyZone(
            clock=clock,
            entropy=self.ground.entropy,
            publication=publication,
            acts=acts,
            secrets=secrets,
            credentials=custody,
            zone_keys=zone_keys,
            on_application_removed=RemoteRemoval(
                self.ground.peering.changing_channel(Service.COORDINATOR)
            ),
        )
        renew = RenewSecret(clock, publication, acts, secrets)
        zones = ZoneApi(
            gate=gate,
            apply=apply,
            rotate=RotateKey(acts, zone_keys, publication),
            renew=renew,
            operators=self.operators,
            readiness=self.ground.readiness,
            counts=counts,
            version=RELEASE,
            installation=InstallationView(*installed().shown),
        )
        admin = AdminApi(gate, apply, renew, self.library).routes()
        return (
            *zones.routes(),
            *admin,
            *InvokeApi(gate, Inside.over(admin)).routes(),
            *ToolApi(gate, AcceptTool(publication, acts)).routes(),
            *OperatorApi(gate, self.operators).routes(),
        )


def _meanwhile(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Do something until the process drains."""
    task = asyncio.create_task(work)
    stack.callback(task.cancel)
