"""What a deployment is made of, built from its store, its keys and its settings. Nothing runs yet."""

from dataclasses import dataclass
from typing import Any

from caracal.tokens.secret import Secret
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.memory.credentials import OpenedCredentials
from caracal_server.adapters.memory.minted import MintedInMemory
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.adapters.sealing.credentials import HpkeOpener
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.adapters.sealing.resealing import CredentialsResealed, SigningKeysResealed
from caracal_server.adapters.signing.zone_keys import ZoneSigningKeys
from caracal_server.adapters.sql.database import Database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.adapters.sql.operators import SqlOperatorStore
from caracal_server.adapters.sql.policy_library import SqlPolicyLibrary
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.assembly.audit_settings import audit_settings
from caracal_server.assembly.derived_keys import FINGERPRINTS, RECEIPTS, derived_key
from caracal_server.assembly.graph_limits import graph_limits
from caracal_server.assembly.log_keys import log_keys
from caracal_server.assembly.start_entry import InstanceLog
from caracal_server.audit.service import AuditService, build_audit_service
from caracal_server.audit.witness_standing import WitnessSettings
from caracal_server.control.acts import ActLog
from caracal_server.control.apply import ApplyZone
from caracal_server.control.authentication import OperatorAuthentication
from caracal_server.control.custody import ApplicationSecrets, CredentialCustody
from caracal_server.control.keys import RotateKey
from caracal_server.control.operators import Operators
from caracal_server.control.publication import Publication
from caracal_server.control.renewal import RenewSecret
from caracal_server.control.resealing import Reseal
from caracal_server.control.settings import ControlSettings
from caracal_server.control.tool_pins import AcceptTool, KeepTools
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.coordinator.loading import load_graph
from caracal_server.coordinator.removal import RemoveApplication
from caracal_server.coordinator.service import Coordinator, CoordinatorPorts, make_coordinator
from caracal_server.coordinator.settings import CoordinatorSettings
from caracal_server.ports.witnesses import WitnessClient
from caracal_server.ports.zones import ZoneRecord


@dataclass(frozen=True, slots=True)
class Stores:
    zones: SqlZoneStore
    graph: SqlGraphStore
    evidence: SqlEvidenceStore
    keys: SqlKeyStore
    operators: SqlOperatorStore
    policies: SqlPolicyLibrary

    @classmethod
    def over(cls, database: Database) -> "Stores":
        return cls(
            SqlZoneStore(database),
            SqlGraphStore(database),
            SqlEvidenceStore(database),
            SqlKeyStore(database),
            SqlOperatorStore(database),
            SqlPolicyLibrary(database),
        )


@dataclass(frozen=True, slots=True)
class Foundations:
    """What all services stand on: time, randomness, stores, keys, and what is read from them."""

    clock: SystemClock
    entropy: SystemEntropy
    stores: Stores
    ring: KeyRing
    records: tuple[ZoneRecord, ...]
    pepper: Secret
    zone_keys: ZoneSigningKeys
    minted: MintedInMemory
    zones: MemoryZones
    credentials: OpenedCredentials
    seal: PrivateKeySeal
    opener: HpkeOpener
    graphs: LiveGraphs
    audit: AuditService
    evidence: InstanceLog

    @classmethod
    async def lay(
        cls,
        *,
        clock: SystemClock,
        entropy: SystemEntropy,
        database: Database,
        ring: KeyRing,
        log_origin: str,
        settings: dict[str, Any],
        witnesses: tuple[WitnessSettings, WitnessClient] | None = None,
    ) -> "Foundations":
        """Read what is stored and take it up.

        Raises:
            KeyFileError: a key is missing that something stored needs.
            Unavailable: the store can not be read, or a credential not be opened.
        """
        records = await (stores := Stores.over(database)).zones.load_all()
        seal = await _seal(stores, ring)
        zone_keys = ZoneSigningKeys(stores.keys, seal, clock, entropy)
        await zone_keys.load()
        pepper = _pepper(ring, records)
        credentials = OpenedCredentials(opener := _opener(ring, records))
        zones, graphs = MemoryZones(), LiveGraphs(graph_limits(settings))
        for record in records:
            credentials.install(record)
            await load_graph(graphs, stores.graph, record.id, now=clock.now())
            zones.install(record)
        keys = log_keys(ring, needed_by=_if(bool(records), "the evidence logs"))
        set_to = audit_settings(log_origin, settings)
        audit = build_audit_service(
            stores.evidence, zones, keys, clock, set_to, entropy=entropy, witnesses=witnesses
        )
        return cls(
            clock=clock,
            entropy=entropy,
            stores=stores,
            ring=ring,
            records=records,
            pepper=pepper,
            zone_keys=zone_keys,
            minted=MintedInMemory(),
            zones=zones,
            credentials=credentials,
            seal=seal,
            opener=opener,
            graphs=graphs,
            audit=audit,
            evidence=InstanceLog(audit.log, entropy.new_id()),
        )


@dataclass(frozen=True, slots=True)
class Administration:
    """The use cases of Control."""

    settings: ControlSettings
    acts: ActLog
    operators: Operators
    authentication: OperatorAuthentication
    apply: ApplyZone
    renew: RenewSecret
    rotate: RotateKey
    reseal: Reseal
    accept_tool: AcceptTool
    keep_tools: KeepTools


def make_operators(base: Foundations) -> tuple[ControlSettings, ActLog, Operators]:
    settings = ControlSettings(
        pepper=base.pepper, fingerprint_key=derived_key(base.pepper, FINGERPRINTS)
    )
    acts = ActLog(base.evidence, base.clock)
    operators = Operators(
        store=base.stores.operators,
        clock=base.clock,
        entropy=base.entropy,
        acts=acts,
        settings=settings,
    )
    return settings, acts, operators


def make_administration(
    base: Foundations,
    coordinator: Coordinator,
    kept: tuple[ControlSettings, ActLog, Operators],
    argon2: Argon2Secrets,
) -> Administration:
    settings, acts, operators = kept
    publication = Publication(
        base.stores.zones,
        base.zones,
        (base.credentials, _NewGraphs(base.graphs), base.zones),
    )
    secrets = ApplicationSecrets(settings, base.entropy, argon2)
    sealer = base.ring.credential_sealer()
    apply = ApplyZone(
        clock=base.clock,
        entropy=base.entropy,
        publication=publication,
        acts=acts,
        secrets=secrets,
        credentials=CredentialCustody(settings, sealer),
        zone_keys=base.zone_keys,
        on_application_removed=RemoveApplication(
            base.clock, base.entropy, base.graphs, coordinator.commitment
        ),
    )
    return Administration(
        settings=settings,
        acts=acts,
        operators=operators,
        authentication=OperatorAuthentication(operators),
        apply=apply,
        renew=RenewSecret(base.clock, publication, acts, secrets),
        rotate=RotateKey(acts, base.zone_keys, publication),
        accept_tool=AcceptTool(publication, acts),
        keep_tools=KeepTools(publication),
        reseal=Reseal(
            acts,
            publication,
            SigningKeysResealed(base.ring, base.stores.keys, base.seal, base.entropy),
            CredentialsResealed(base.ring, base.opener, sealer, base.entropy),
        ),
    )


def make_coordinator_service(base: Foundations, operators: Operators, issuer: str) -> Coordinator:
    settings = CoordinatorSettings(issuer)
    return make_coordinator(
        settings,
        CoordinatorPorts(
            clock=base.clock,
            entropy=base.entropy,
            directory=base.zones,
            graphs=base.graphs,
            store=base.stores.graph,
            evidence=base.evidence,
            keys=base.zone_keys,
            operators=OperatorAuthentication(operators),
            digest_keys=(derived_key(base.pepper, RECEIPTS),),
            news=base.stores.graph,
        ),
    )


@dataclass(frozen=True, slots=True)
class _NewGraphs:
    """A zone that was just created begins with an empty graph."""

    graphs: LiveGraphs

    def install(self, record: ZoneRecord) -> None:
        self.graphs.begin(record.id)


def _pepper(ring: KeyRing, records: tuple[ZoneRecord, ...]) -> Secret:
    hashed = any(record.secret_hashes for record in records)
    return ring.client_secret_pepper(needed_by=_if(hashed, "client secrets"))


def _opener(ring: KeyRing, records: tuple[ZoneRecord, ...]) -> HpkeOpener:
    sealed = any(record.sealed_credentials for record in records)
    return ring.credential_opener(needed_by=_if(sealed, "upstream credentials"))


async def _seal(stores: Stores, ring: KeyRing) -> PrivateKeySeal:
    present = bool(await stores.keys.load_all())
    return ring.private_key_seal(needed_by=_if(present, "the zones' signing keys"))


def _if(present: bool, words: str) -> str | None:  # noqa: FBT001 (one fact and its words)
    return words if present else None
