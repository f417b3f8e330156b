"""A Coordinator over real parts: SQLite in a file, the sequencer, signed mandates, its own routes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
from sqlalchemy import create_engine

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.resources import Enforcement, OperationTable, Resource
from caracal.authority.scopes import ScopeSet
from caracal.authority.zones import Application
from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.tokens.mandates import mint
from caracal.tokens.secret import Secret
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.adapters.sql.sqlite import SqliteDatabase
from caracal_server.adapters.sql.tables import metadata
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.coordinator.callers import Authentication
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.coordinator.loading import load_graph
from caracal_server.coordinator.proofs import MandateProofs
from caracal_server.coordinator.service import Coordinator, CoordinatorPorts, make_coordinator
from caracal_server.coordinator.settings import CoordinatorSettings
from caracal_server.ports.evidence import EvidenceQuery
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.bearer import bearer_token
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.problems import render_coordinator
from caracal_server.web.routes import Edge

ZONE = ZoneId("zone-1")
OTHER_ZONE = ZoneId("zone-2")
ISSUER = "https://caracal.example"
KEY = SigningKey.generate(KeyId("key-1"))
OTHER_KEY = SigningKey.generate(KeyId("key-2"))
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RECORD = "record-1"
DATA = "resource://data"
MAIL = "resource://mail"


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = NOON

    def now(self) -> datetime:
        return self.instant

    def now_us(self) -> int:
        return int(self.instant.timestamp() * 1_000_000)

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def move(self, **span: float) -> None:
        self.instant += timedelta(**span)


class CountingIds:
    """Ids in the order they were made, as the real ones are."""

    def __init__(self) -> None:
        self.count = 0

    def token_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def new_id(self) -> str:
        self.count += 1
        return f"01J{self.count:023d}"


class Keys:
    def __init__(self) -> None:
        self.sets = {ZONE: KeySet(KEY.public), OTHER_ZONE: KeySet(OTHER_KEY.public)}

    def key_set(self, zone_id: ZoneId) -> KeySet | None:
        return self.sets.get(zone_id)


class FragileLog:
    """The real log, which fails when told to: before the entry is recorded, or after."""

    def __init__(self, log: Sequencer) -> None:
        self.log = log
        self.fails = ""
        self.gate: asyncio.Event | None = None

    async def append(self, entry: Entry) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        receipt = None if self.fails == "before" else await self.log.append(entry)
        if self.fails:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "made to fail")
        return receipt

    def enqueue(self, entry: Entry) -> None:
        raise AssertionError("the Coordinator waits for its entries")


class FragileStore:
    """The real store, whose saves fail when told to: before anything is stored, or after."""

    def __init__(self, store: SqlGraphStore) -> None:
        self._store = store
        self.fails = ""
        self.fails_next = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, *change: Any) -> None:
        if self.fails_next:
            self.fails_next -= 1
            raise Unavailable(Reason.STORE_UNAVAILABLE, "made to fail")
        if self.fails != "before":
            await self._store.save(*change)
        if self.fails:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "made to fail")


OPERATORS = {
    "operator-write": OperatorIdentity("op-1", "ada", frozenset(OperatorScope)),
    "operator-read": OperatorIdentity("op-2", "bob", frozenset({OperatorScope.READ})),
}


async def operators(request: Any, needed: OperatorScope) -> OperatorIdentity | Refused:
    token = bearer_token(request.scope["headers"])
    found = OPERATORS.get(token) if isinstance(token, str) else None
    if found is None:
        return Refused(Reason.OPERATOR_UNKNOWN, "no such operator")
    if needed not in found.scopes:
        return Refused(Reason.OPERATOR_SCOPE_MISSING, f"the token lacks {needed}")
    return found


def zone_record(zone_id: ZoneId, *applications: Application) -> ZoneRecord:
    resources = tuple(
        Resource(
            id=f"row-{zone_id}-{identifier.rpartition('/')[2]}",
            identifier=identifier,
            name=identifier,
            upstream_url="https://upstream.example",
            provider_id=None,
            scopes=ScopeSet.of(*scopes),
            operations=OperationTable(()),
            enforcement=Enforcement.TRANSPORT_UNIFORM,
        )
        for identifier, scopes in ((DATA, ("read", "write")), (MAIL, ("send",)))
    )
    return ZoneRecord(
        id=zone_id,
        name=zone_id,
        revision=1,
        created_at=NOON,
        applications=applications,
        providers=(),
        resources=resources,
        policy=None,
        secret_hashes={},
        sealed_credentials={},
        credential_fingerprints={},
    )


@dataclass
class World:
    clock: HandClock
    ids: CountingIds
    zones: MemoryZones
    keys: Keys
    graphs: LiveGraphs
    store: FragileStore
    log: FragileLog
    evidence_store: SqlEvidenceStore
    coordinator: Coordinator
    client: httpx.AsyncClient
    _bearers: dict[Any, str] = field(default_factory=dict)

    @property
    def graph(self) -> Any:
        return self.graphs.graph(ZONE)

    def bearer(self, application: str = "app-1", **changes: Any) -> str:
        """A session mandate, signed."""
        name = (application, self.clock.instant, tuple(sorted(changes.items())))
        if name not in self._bearers:
            key = changes.pop("key", KEY)
            self._bearers[name] = mint(self.mandate(application, **changes), key)
        return self._bearers[name]

    def mandate(self, application: str = "app-1", **changes: Any) -> Mandate:
        values = {
            "id": f"mandate-{application}",
            "zone_id": ZONE,
            "mandate_class": MandateClass.SESSION,
            "issuer": ISSUER,
            "subject": application,
            "subject_type": SubjectType.APPLICATION,
            "application_id": application,
            "audience": (ISSUER,),
            "scopes": ScopeSet.of("agent:lifecycle"),
            "resources": (),
            "record": RECORD,
            "root_record": RECORD,
            "issued_at": self.clock.now(),
            "expires_at": self.clock.now() + timedelta(minutes=15),
        }
        return Mandate(**(values | changes))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        zone: str = ZONE,
    ) -> httpx.Response:
        bearer = self.bearer() if token is None else token
        return await self.client.request(
            method,
            f"/zones/{zone}{path}",
            content=None if body is None else msgspec.json.encode(body),
            headers={"authorization": f"Bearer {bearer}"} | (headers or {}),
        )

    async def start(self, application: str = "app-1", **body: Any) -> dict[str, Any]:
        answer = await self.ask(
            "POST",
            "/agents",
            {"application_id": application} | body,
            token=self.bearer(application),
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def session(self, application: str = "app-1", **body: Any) -> str:
        return (await self.start(application, **body))["agent_session_id"]

    async def delegate(
        self,
        source: str,
        target: str,
        *,
        issuer: str = "app-1",
        receiver: str = "app-1",
        **body: Any,
    ) -> dict[str, Any]:
        answer = await self.ask(
            "POST",
            "/delegations",
            delegation_body(source, target, issuer=issuer, receiver=receiver, **body),
            token=self.bearer(issuer),
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def delegation(self, source: str, target: str, **body: Any) -> str:
        return (await self.delegate(source, target, **body))["delegation_edge_id"]

    async def entries(self, **filters: Any) -> list[Entry]:
        """What the log holds, oldest first."""
        query = EvidenceQuery(limit=500, ascending=True, **filters)
        found = await self.evidence_store.search(ZONE, query)
        return [msgspec.json.decode(entry.data, type=Entry) for entry in found]

    async def acts(self, **filters: Any) -> list[tuple[str, str, str]]:
        """Each entry's kind, verdict and reason."""
        return [
            (entry.kind.value, entry.verdict.value, entry.reason)
            for entry in await self.entries(**filters)
        ]

    def authentication(self) -> Authentication:
        """Proves callers as the Coordinator does."""
        proofs = MandateProofs(self.keys, ISSUER)
        return Authentication(
            clock=self.clock,
            directory=self.zones,
            proofs=proofs,
            authority=self.graphs,
            operators=operators,
        )

    async def stored(self) -> LiveGraphs:
        """The graphs as a process that starts now would find them."""
        fresh = LiveGraphs(CoordinatorSettings(ISSUER).limits)
        await load_graph(fresh, self.store, ZONE, now=self.clock.now())
        return fresh


def delegation_body(
    source: str, target: str, *, issuer: str = "app-1", receiver: str = "app-1", **body: Any
) -> dict[str, Any]:
    default = {
        "source_session_id": source,
        "target_session_id": target,
        "issuer_application_id": issuer,
        "receiver_application_id": receiver,
        "scopes": ["read"],
        "resource_id": DATA,
        "ttl_seconds": 300,
    }
    return {name: value for name, value in (default | body).items() if value is not None}


@cache
def _empty_database() -> bytes:
    """A file with the tables and nothing in them, made once."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "empty.db")
        engine = create_engine(f"sqlite:///{file}")
        metadata.create_all(engine)
        engine.dispose()
        return file.read_bytes()


@asynccontextmanager
async def opened(
    path: Path, settings: CoordinatorSettings | None = None, ids: CountingIds | None = None
) -> AsyncIterator[World]:
    """Open a world over the store in a directory, as a process that starts does."""
    settings = settings or CoordinatorSettings(ISSUER)
    file = path / "caracal.db"
    if not file.exists():
        file.write_bytes(_empty_database())
    database = SqliteDatabase.open(str(file))
    evidence_store = SqlEvidenceStore(database)
    sequencer = Sequencer(
        evidence_store, AuditSettings("caracal.example"), Integrity(), SystemClock()
    )
    await sequencer.start([ZONE])
    clock, ids, zones, keys = HandClock(), ids or CountingIds(), MemoryZones(), Keys()
    zones.install(
        zone_record(
            ZONE,
            Application("app-1", "one"),
            Application("app-2", "two"),
            Application("app-off", "off", enabled=False),
        )
    )
    zones.install(zone_record(OTHER_ZONE, Application("app-3", "three")))
    graphs = LiveGraphs(settings.limits)
    store, log = FragileStore(SqlGraphStore(database)), FragileLog(sequencer)
    for zone_id in (ZONE, OTHER_ZONE):
        await load_graph(graphs, store, zone_id, now=clock.now())
    coordinator = make_coordinator(
        settings,
        CoordinatorPorts(
            clock=clock,
            entropy=ids,
            directory=zones,
            graphs=graphs,
            store=store,
            evidence=log,
            keys=keys,
            operators=operators,
            digest_keys=(Secret("digest key"), Secret("older digest key")),
            news=store,
        ),
    )
    app = Edge(coordinator.routes, refuse=render_coordinator, entropy=ids)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://caracal") as client:
        yield World(
            clock, ids, zones, keys, graphs, store, log, evidence_store, coordinator, client
        )
        await coordinator.acts.drain()
    await sequencer.close()
    await database.close()


async def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Let the event loop run until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)


def rows(graphs: LiveGraphs) -> tuple[Any, Any, Any]:
    """Everything that a decision may rest on."""
    graph = graphs.graph(ZONE)
    index = graph._index
    return index.sessions, index.delegations, set(graph.revocations._by_anchor)
