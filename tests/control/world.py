"""A Control service over real parts: SQLite in a file, the sequencer, sealed keys, its own routes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from caracal.authority.events import Entry
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.memory.credentials import OpenedCredentials
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.signing.zone_keys import ZoneSigningKeys
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.adapters.sql.operators import SqlOperatorStore
from caracal_server.adapters.sql.sqlite import SqliteDatabase
from caracal_server.adapters.sql.tables import metadata
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.control.settings import SYSTEM_LOG, ControlSettings
from caracal_server.ports.evidence import EvidenceQuery, Receipt
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.health import Readiness
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.control.wiring import ControlPorts, ControlService, build_control_service

PEPPER = Secret("a pepper that only the tests know, 1")
FINGERPRINT_KEY = Secret("a fingerprint key of the tests, 123")

PERMIT = (
    '@id("reads")\npermit (principal, action == Action::"orders:read", '
    'resource == Resource::"resource://orders");\n'
)


def document(**more: Any) -> dict[str, Any]:
    """A zone document that will do; `more` replaces fields of it, or with `None` removes them."""
    whole = {
        "zone": "shop",
        "applications": [{"name": "orders-agent"}, {"name": "report-agent"}],
        "providers": [{"name": "orders", "kind": "bearer_token", "secret": "planted-upstream-key"}],
        "resources": [
            {
                "identifier": "resource://orders",
                "name": "Orders",
                "upstream": "https://orders.example/v1",
                "provider": "orders",
                "operations": {"GET /orders/{id}": "orders:read", "POST /orders": "orders:write"},
            }
        ],
        "policy": PERMIT,
    } | more
    return {name: value for name, value in whole.items() if value is not None}


class SwitchableLog:
    """The sequencer, until it is told to fail as a full disk would."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self.failing = False

    async def append(self, entry: Entry) -> Receipt:
        if self.failing:
            raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "the store is full")
        return await self._sequencer.append(entry)

    def enqueue(self, entry: Entry) -> None:
        self._sequencer.enqueue(entry)


@dataclass
class World:
    """`as_first` speaks as the first operator."""

    control: ControlService
    client: httpx.AsyncClient
    token: str
    zones: SqlZoneStore
    directory: MemoryZones
    credentials: OpenedCredentials
    signing: ZoneSigningKeys
    evidence_store: SqlEvidenceStore
    log: SwitchableLog
    folder: Path
    ports: ControlPorts
    removed: list[tuple[ZoneId, ApplicationId]] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        return await self.client.request(
            method,
            path,
            content=content,
            headers={"authorization": f"Bearer {self.token if token is None else token}"},
        )

    async def put(self, body: dict[str, Any], query: str = "") -> httpx.Response:
        return await self.ask("PUT", f"/v1/zones/{body['zone']}{query}", body)

    async def applied(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.put(body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def record(self, name: str = "shop") -> ZoneRecord:
        return next(record for record in await self.zones.load_all() if record.name == name)

    async def entries(self, zone_id: ZoneId = SYSTEM_LOG) -> list[Entry]:
        found = await self.evidence_store.search(zone_id, EvidenceQuery(ascending=True))
        return [msgspec.json.decode(one.data, type=Entry) for one in found]

    def stored_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("caracal.db*")))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    """Start a Control service in a folder; a second time in the same folder goes on from there."""
    clock, entropy = SystemClock(), SystemEntropy()
    database = SqliteDatabase.open(str(folder / "caracal.db"))
    await database.transact(metadata.create_all)
    evidence_store = SqlEvidenceStore(database)
    audit = AuditSettings(origin_host="caracal.test")
    sequencer = Sequencer(evidence_store, audit, Integrity(), clock)
    zones = SqlZoneStore(database)
    records = await zones.load_all()
    await sequencer.start([SYSTEM_LOG, *(record.id for record in records)])
    keys = KeyRing(folder, entropy)
    directory = MemoryZones()
    credentials = OpenedCredentials(keys.credential_opener(needed_by=None))
    signing = ZoneSigningKeys(
        SqlKeyStore(database), keys.private_key_seal(needed_by=None), clock, entropy
    )
    await signing.load()
    for record in records:
        credentials.install(record)
        directory.install(record)
    log = SwitchableLog(sequencer)
    brought = Argon2Secrets(clock, entropy)
    removed: list[tuple[ZoneId, ApplicationId]] = []

    async def revoke(zone_id: ZoneId, application_id: ApplicationId) -> None:
        removed.append((zone_id, application_id))

    ports = ControlPorts(
        clock=clock,
        entropy=entropy,
        zones=zones,
        operators=SqlOperatorStore(database),
        evidence=log,
        sealer=keys.credential_sealer(),
        brought=brought,
        zone_keys=signing,
        directory=directory,
        installers=(credentials, directory),
        on_application_removed=revoke,
        readiness=Readiness({"store": lambda: None}),
        counts=lambda _zone_id: {"sessions": 3},
    )
    control = build_control_service(
        ports, ControlSettings(pepper=PEPPER, fingerprint_key=FINGERPRINT_KEY), version="9.9.9"
    )
    token_file = folder / "operator-token"
    await control.start(token_file)
    edge = Edge(control.routes(), refuse=render_problem_details, entropy=entropy)
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(edge), base_url="http://control"
        ) as client:
            yield World(
                control=control,
                client=client,
                token=token_file.read_text(encoding="ascii").strip() if token_file.exists() else "",
                zones=zones,
                directory=directory,
                credentials=credentials,
                signing=signing,
                evidence_store=evidence_store,
                log=log,
                folder=folder,
                ports=ports,
                removed=removed,
            )
    finally:
        await sequencer.close()
        brought.close()
        await database.close()
