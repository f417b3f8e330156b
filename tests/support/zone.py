"""A zone with two applications and two resources, its live graph, its keys, and a clock to move."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from caracal.authority.graph import CreateDelegation, GraphLimits, StartSession
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.resources import Enforcement, OperationTable, Resource, parse_operation
from caracal.authority.scopes import ScopeSet
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.zones import Application, Provider
from caracal.tokens.client_secrets import hash_generated
from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.tokens.mandates import mint
from caracal.tokens.secret import Secret
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.ports.zones import PolicyVersion, ZoneRecord

ZONE, OTHER_ZONE = "zone-1", "zone-2"
ALPHA, BETA = "app-alpha", "app-beta"
ISSUER = "https://caracal.example"
ORDERS, MAIL = "https://orders.example", "https://mail.example"
PEPPER = Secret("pepper-of-the-tests")
SECRETS = {ALPHA: Secret("cs_" + "a" * 43), BETA: Secret("cs_" + "b" * 43)}
KEYS = {zone: SigningKey.generate(KeyId(f"key-of-{zone}")) for zone in (ZONE, OTHER_ZONE)}
SCOPES = ("delete", "read", "write")

POLICY = """
@id("alpha-works")
permit (principal == Application::"Alpha", action in [Action::"read", Action::"write"], resource);
@id("never-delete")
forbid (principal, action == Action::"delete", resource);
@id("no-secrets")
forbid (principal, action, resource) when { context.call.path like "/items/secret*" };
@id("overflows")
forbid (principal, action, resource) when { context.call.path like "/items/error*"
  && context.delegation.hops * 9223372036854775807 * 9 > 1 };
"""

_OPERATIONS = (
    ("GET", "/", "read"),
    ("GET", "/items/{id}", "read"),
    ("HEAD", "/items/{id}", "read"),
    ("DELETE", "/items/{id}", "delete"),
    ("POST", "/items", "write"),
    ("PUT", "/files/{name*}", "write"),
    ("GET", "/files/{name*}", "read"),
    ("QUERY", "/items", "read"),
)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC)

    def now(self) -> datetime:
        return self.instant

    def now_us(self) -> int:
        return int(self.instant.timestamp() * 1_000_000)

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def move(self, **span: float) -> None:
        self.instant += timedelta(**span)


class ZoneKeys:
    """Implements `SigningKeys` and `VerifyingKeys`."""

    def __init__(self) -> None:
        self.keys = dict(KEYS)

    def active(self, zone_id: str) -> SigningKey:
        if zone_id not in self.keys:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "no key")
        return self.keys[zone_id]

    def key_set(self, zone_id: str) -> KeySet | None:
        return KeySet(self.keys[zone_id].public) if zone_id in self.keys else None


def resource(
    identifier: str,
    upstream: str = "https://upstream.example",
    provider: Provider | None = None,
    *,
    enforcement: Enforcement = Enforcement.ENFORCED,
) -> Resource:
    operations = tuple(parse_operation(*operation) for operation in _OPERATIONS)
    return Resource(
        id=f"row-of-{identifier.removeprefix('https://')}",
        identifier=identifier,
        name=identifier,
        upstream_url=upstream,
        provider_id=None if provider is None else provider.id,
        scopes=ScopeSet.of(*SCOPES),
        operations=OperationTable(operations),
        enforcement=enforcement,
    )


def record(
    zone_id: str = ZONE,
    *,
    resources: tuple[Resource, ...] | None = None,
    providers: tuple[Provider, ...] = (),
    policy: str | None = POLICY,
    applications: tuple[Application, ...] | None = None,
    secrets: dict[str, str] | None = None,
    sealed: dict[str, bytes] | None = None,
    subject_issuers: tuple[SubjectIssuer, ...] = (),
) -> ZoneRecord:
    if applications is None:
        applications = (Application(ALPHA, "Alpha"), Application(BETA, "Beta"))
    if secrets is None:
        secrets = {
            entry.id: hash_generated(SECRETS[entry.id], PEPPER)
            for entry in applications
            if entry.id in SECRETS
        }
    return ZoneRecord(
        id=zone_id,
        name=zone_id,
        revision=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        applications=applications,
        providers=providers,
        resources=resources or (resource(ORDERS), resource(MAIL)),
        policy=None if policy is None else PolicyVersion("", policy, datetime.now(UTC)),
        secret_hashes=secrets,
        sealed_credentials=sealed or {},
        credential_fingerprints={},
        subject_issuers=subject_issuers,
    )


def agreed(outcome: Any) -> Any:
    assert not isinstance(outcome, Refused), outcome
    return outcome


@dataclass
class TestZone:
    """The parts that services share, in memory and real."""

    __test__ = False

    clock: HandClock = field(default_factory=HandClock)
    entropy: SystemEntropy = field(default_factory=SystemEntropy)
    zones: MemoryZones = field(default_factory=MemoryZones)
    graphs: LiveGraphs = field(default_factory=lambda: LiveGraphs(GraphLimits()))
    keys: ZoneKeys = field(default_factory=ZoneKeys)
    _made: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.install(record())
        self.install(record(OTHER_ZONE, applications=()))

    def install(self, zone: ZoneRecord) -> None:
        self.graphs.begin(zone.id)
        self.zones.install(zone)

    @property
    def graph(self) -> Any:
        return self.graphs.graph(ZONE)

    @property
    def policy_digest(self) -> str:
        return self.zones.zone(ZONE).policy.digest

    def start(self, application: str = ALPHA, **wanted: Any) -> Any:
        request = StartSession(
            f"s{next(self._made)}", f"i{next(self._made)}", application, "record-1", **wanted
        )
        change = agreed(self.graph.plan_start(request, now=self.clock.now()))
        self.graphs.apply(ZONE, change)
        return change.sessions[0]

    def delegate(self, source: Any, target: Any, scopes: str = "read write", **wanted: Any) -> Any:
        request = CreateDelegation(
            f"d{next(self._made)}",
            source.id,
            target.id,
            source.application_id,
            target.application_id,
            ScopeSet.parse(scopes),
            **{
                "resources": frozenset({ORDERS}),
                "declared": ScopeSet.of(*SCOPES),
                "ttl": timedelta(minutes=30),
                **wanted,
            },
        )
        change = agreed(self.graph.plan_delegate(request, now=self.clock.now()))
        self.graphs.apply(ZONE, change)
        return change.delegations[0]

    def end(self, session: Any, reason: str = "killed") -> None:
        change = agreed(self.graph.plan_end(session.id, reason=reason, now=self.clock.now()))
        self.graphs.apply(ZONE, change)

    def mandate(self, session: Any, delegation: Any = None, **changes: Any) -> Mandate:
        """A gateway mandate that the session may carry, changed as told; without parts of a second."""
        now = self.clock.now().replace(microsecond=0)
        values = {
            "id": self.entropy.new_id(),
            "zone_id": ZONE,
            "mandate_class": MandateClass.GATEWAY,
            "issuer": ISSUER,
            "subject": session.application_id,
            "subject_type": SubjectType.APPLICATION,
            "application_id": session.application_id,
            "audience": (ISSUER,),
            "scopes": ScopeSet.of("read", "write"),
            "resources": (ORDERS,),
            "record": f"record-of-{session.id}",
            "root_record": "record-1",
            "issued_at": now,
            "expires_at": now + timedelta(minutes=5),
            "session_path": session.path,
            "delegation_path": () if delegation is None else delegation.path,
            "chain": () if delegation is None else delegation.hops(),
        }
        return Mandate(**(values | changes))

    def token(self, mandate: Mandate, key: SigningKey | None = None) -> str:
        return mint(mandate, key or KEYS[ZONE])
