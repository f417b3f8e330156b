"""An STS over real parts: policy, graph, keys, secrets and the throttle."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry

from caracal.authority.events import Entry, Kind
from caracal.authority.mandates import Mandate, MandateClass
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import verify_mandate
from caracal.tokens.subject_keys import IssuerKeys, parse_issuer_keys
from caracal.wire.forms import GRANT_TYPE
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.memory.minted import MintedInMemory
from caracal_server.ports.subjects import IssuerKeysUnavailable
from caracal_server.sts.clients import ClientAuthentication
from caracal_server.sts.control_exchange import ControlExchange
from caracal_server.sts.exchange import Exchange
from caracal_server.sts.federation import Federation
from caracal_server.sts.http import StsApp
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.presented import PresentedMandates
from caracal_server.sts.settings import StsSettings
from caracal_server.sts.subject_exchange import SubjectExchange
from caracal_server.web.limits import FailureThrottle
from tests.support.asgi import Answer, ask
from tests.support.evidence_log import RecordingLog
from tests.support.zone import ALPHA, ISSUER, KEYS, ORDERS, PEPPER, SECRETS, ZONE, TestZone

FORM = (b"content-type", b"application/x-www-form-urlencoded")
TOKEN = "/oauth/2/token"


@dataclass
class PublishedKeys:
    """Implements `PublishedIssuerKeys`: what is in `documents`, or nothing."""

    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def keys(self, jwks_url: str, kid: str) -> IssuerKeys:
        self.asked.append((jwks_url, kid))
        if jwks_url not in self.documents:
            raise IssuerKeysUnavailable(f"{jwks_url} does not answer")
        return parse_issuer_keys(self.documents[jwks_url])


@dataclass
class World:
    zone: TestZone
    log: RecordingLog
    app: StsApp
    argon2: Argon2Secrets
    minted: MintedInMemory
    registry: CollectorRegistry
    issuer_keys: PublishedKeys
    session: Any = None
    delegation: Any = None
    fields: dict[str, Any] = field(default_factory=dict)

    def form(self, **changes: Any) -> dict[str, Any]:
        """What a stock client sends for a gateway mandate; `None` leaves a field out."""
        fields = {
            "grant_type": GRANT_TYPE,
            "zone_id": ZONE,
            "application_id": ALPHA,
            "client_secret": SECRETS[ALPHA].reveal(),
            "scope": "read",
            "resource": ORDERS,
            "agent_session_id": self.session.id,
            "delegation_edge_id": self.delegation.id,
        } | changes
        return {name: value for name, value in fields.items() if value is not None}

    def bootstrap(self, **changes: Any) -> dict[str, Any]:
        """The form of a session mandate."""
        nothing = {"agent_session_id": None, "delegation_edge_id": None}
        return self.form(**({"scope": "agent:lifecycle"} | nothing | changes))

    async def mint(self, **changes: Any) -> Answer:
        return await self.post(urlencode(self.form(**changes), doseq=True).encode())

    async def post(
        self,
        body: bytes | Iterable[bytes],
        *,
        method: str = "POST",
        target: str = TOKEN,
        headers: Iterable[tuple[bytes, bytes]] = (FORM, (b"x-request-id", b"request-1")),
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else body
        return await ask(self.app, method, target, list(headers), chunks)

    async def get(self, target: str, method: str = "GET") -> Answer:
        return await ask(self.app, method, target, [(b"x-request-id", b"request-1")])

    @property
    def decisions(self) -> list[Entry]:
        return self.log.of(Kind.EXCHANGE)

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("caracal_sts_exchanges_total", {"outcome": outcome})

    def verified(self, answer: Answer, *, kind: MandateClass = MandateClass.GATEWAY) -> Mandate:
        return verify_mandate(
            RawToken(answer.json["access_token"].encode()),
            keys=KeySet(KEYS[ZONE].public),
            issuer=ISSUER,
            zone_id=ZONE,
            mandate_classes={kind},
            audience=ISSUER,
            now=self.zone.clock.now(),
        ).mandate


@asynccontextmanager
async def sts(**settings: Any) -> AsyncIterator[World]:
    zone, log, registry = TestZone(), RecordingLog(), CollectorRegistry()
    chosen = StsSettings(ISSUER, **settings)
    argon2 = Argon2Secrets(zone.clock, zone.entropy)
    minted = MintedInMemory()
    metrics, issuer_keys = StsMetrics(registry), PublishedKeys()
    app = StsApp(
        settings=chosen,
        clock=zone.clock,
        entropy=zone.entropy,
        directory=zone.zones,
        keys=zone.keys,
        authenticate=ClientAuthentication(zone.zones, zone.zones, PEPPER, argon2),
        throttle=FailureThrottle(zone.clock, failures=chosen.max_failures),
        exchange=Exchange(
            clock=zone.clock,
            entropy=zone.entropy,
            graphs=zone.graphs,
            keys=zone.keys,
            minted=minted,
            evidence=log,
            issuer=ISSUER,
        ),
        subjects=SubjectExchange(
            Federation(
                clock=zone.clock,
                entropy=zone.entropy,
                graphs=zone.graphs,
                keys=zone.keys,
                issuer_keys=issuer_keys,
                evidence=log,
                issuer=ISSUER,
                federated=metrics.federated,
            ),
            PresentedMandates(zone.clock, zone.graphs, zone.keys, log, ISSUER),
        ),
        control=ControlExchange(
            clock=zone.clock,
            entropy=zone.entropy,
            keys=zone.keys,
            evidence=log,
            issuer=ISSUER,
            audience="caracal-control",
        ),
        metrics=metrics,
    )
    world = World(zone, log, app, argon2, minted, registry, issuer_keys)
    root = zone.start()
    world.session = zone.start(parent_id=root.id)
    world.delegation = zone.delegate(root, world.session)
    try:
        yield world
    finally:
        argon2.close()
