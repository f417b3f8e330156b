"""A Gateway over real parts: policy, graph, mandates, the upstream client, and raw loopback upstreams."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from caracal.authority.events import Entry, Kind
from caracal.authority.resources import Enforcement as OperationEnforcement
from caracal.authority.zones import Provider
from caracal.tokens.secret import Secret
from caracal_server.adapters.memory.credentials import OpenedCredentials
from caracal_server.adapters.memory.minted import MintedInMemory
from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.assembly.listeners import Listener
from caracal_server.gateway.definitions import Definitions
from caracal_server.gateway.enforcement import Enforcement
from caracal_server.gateway.forwarding import Forwarding
from caracal_server.gateway.http import GatewayApp
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.sts.exchange import MintForResource
from caracal_server.web.asgi import Receive, Reply, Scope, Send, send_reply
from tests.adapters_http.raw_upstream import Conversation, Speaks, Upstream, client, upstream
from tests.support.asgi import Answer, ask
from tests.support.evidence_log import RecordingLog
from tests.support.zone import (
    ISSUER,
    MAIL,
    ORDERS,
    TestZone,
    record,
    resource,
)

CREDENTIAL = "upstream-secret-4711"


class _Opener:
    def open(self, zone_id: str, provider_id: str, sealed: bytes) -> Secret:
        return Secret(sealed.decode())


async def _own(scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, Reply(200, (), b"the gateway itself"))


@dataclass
class World:
    zone: TestZone
    log: RecordingLog
    app: GatewayApp
    registry: CollectorRegistry
    upstream: Upstream
    credentials: OpenedCredentials
    mandates: "Mandates"
    session: Any = None
    delegation: Any = None
    seen: list[bytes] = field(default_factory=list)

    def mandate(self, **changes: Any) -> Any:
        return self.zone.mandate(self.session, self.delegation, **changes)

    def token(self, **changes: Any) -> str:
        return self.zone.token(self.mandate(**changes))

    def headers(self, token: str | None = None, **more: str) -> list[tuple[bytes, bytes]]:
        """What a stock client sends; `more` names headers with `_` for `-`, and `""` leaves one out."""
        fields = {
            "host": "gateway.example",
            "authorization": f"Bearer {token or self.token()}",
            "x-caracal-resource": ORDERS,
            "x-request-id": "request-1",
        } | {name.replace("_", "-"): value for name, value in more.items()}
        return [(name.encode(), value.encode()) for name, value in fields.items() if value]

    async def call(
        self,
        method: str = "GET",
        target: str = "/items/7",
        *,
        body: Iterable[bytes] = (),
        headers: list[tuple[bytes, bytes]] | None = None,
        scope: dict[str, Any] | None = None,
        **more: str,
    ) -> Answer:
        """One call in process, with a fresh mandate unless `headers` says otherwise."""
        sent = list(body)
        if sent and "transfer_encoding" not in more:
            more = {"content_length": str(sum(map(len, sent)))} | more
        return await ask(
            self.app, method, target, headers or self.headers(**more), sent, **(scope or {})
        )

    @property
    def decisions(self) -> list[Entry]:
        return self.log.of(Kind.CALL)

    @property
    def results(self) -> list[Entry]:
        return self.log.of(Kind.CALL_RESULT)

    def pair(self) -> tuple[Entry, Entry]:
        """The one decision, and the one result that belongs to it and came after it."""
        [decision], [result] = self.decisions, self.results
        assert result.mandate == decision.mandate != ""
        assert result.answers == result.request == decision.request
        assert self.log.entries.index(decision) < self.log.entries.index(result)
        return decision, result

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("caracal_gateway_calls_total", {"outcome": outcome})

    def provide(self, provider: Provider, credential: str | None = CREDENTIAL, **more: Any) -> None:
        """Put a provider before the upstream."""
        path = more.pop("path", "")
        zone = record(
            resources=(resource(ORDERS, self.upstream_url(path), provider, **more),),
            providers=(provider,),
            sealed={} if credential is None else {provider.id: credential.encode()},
        )
        self.zone.install(zone)
        self.credentials.install(zone)

    def upstream_url(self, path: str = "") -> str:
        return f"{self.upstream.scheme}://127.0.0.1:{self.upstream.port}{path}"

    def without_operations(self) -> None:
        """Let any operation pass."""
        uniform = OperationEnforcement.TRANSPORT_UNIFORM
        self.zone.install(
            record(resources=(resource(ORDERS, self.upstream_url(), enforcement=uniform),))
        )


class Mandates:
    """The real STS's part, which fails when told to."""

    def __init__(self, zone: TestZone) -> None:
        self._mint = MintForResource(zone.entropy, zone.keys, timedelta(minutes=15))
        self.fault: Exception | None = None

    async def mint_for_resource(self, *asked: Any, **named: Any) -> str:
        if self.fault is not None:
            raise self.fault
        return await self._mint.mint_for_resource(*asked, **named)


class _NoReports:
    async def report(self, *told: Any) -> None:
        """There is no MCP server here, and nothing to keep."""


@asynccontextmanager
async def gateway(
    speaks: Speaks,
    *,
    egress: str = "127.0.0.1",
    settings: dict[str, Any] | None = None,
    tls: Any = None,
    **client_options: Any,
) -> AsyncIterator[World]:
    zone, log, registry = TestZone(), RecordingLog(), CollectorRegistry()
    metrics = GatewayMetrics(registry)
    credentials = OpenedCredentials(_Opener())
    single_use = SingleUseInMemory(started_at=zone.clock.now() - timedelta(seconds=5))
    chosen = GatewaySettings(ISSUER, **(settings or {}))
    async with upstream(speaks, tls) as there, client(egress, **client_options) as upstreams:
        mandates = Mandates(zone)
        app = GatewayApp(
            settings=chosen,
            enforcement=Enforcement(
                settings=chosen,
                clock=zone.clock,
                directory=zone.zones,
                keys=zone.keys,
                minted=MintedInMemory(),
                single_use=single_use,
                authority=zone.graphs,
                evidence=log,
                metrics=metrics,
                definitions=Definitions(zone.clock, log, _NoReports()),
            ),
            forwarding=Forwarding(
                clock=zone.clock,
                directory=zone.zones,
                credentials=credentials,
                mandates=mandates,
                authority=zone.graphs,
                upstream=upstreams,
                evidence=log,
                metrics=metrics,
            ),
            clock=zone.clock,
            entropy=zone.entropy,
            own=_own,
            metrics=metrics,
        )
        world = World(zone, log, app, registry, there, credentials, mandates)
        zone.install(
            record(
                resources=(
                    resource(ORDERS, world.upstream_url()),
                    resource(MAIL, "http://127.0.0.1:1"),
                )
            )
        )
        root = zone.start()
        world.session = zone.start(parent_id=root.id)
        world.delegation = zone.delegate(root, world.session)
        yield world
        assert app.in_flight == 0
        assert len(app.forwarding.passages) == 0


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[int]:
    """The Gateway behind the real listener; yields the port."""
    listener = Listener.bind("127.0.0.1", 0)
    await listener.start(world.app, drain_seconds=1, unread=world.app.settings.caller_idle)
    try:
        yield int(listener.address.rpartition(":")[2])
    finally:
        await listener.drain()


def remembering(world_seen: list[bytes], response: bytes) -> Speaks:
    """An upstream that keeps each request's head, and its body when it has a length."""

    async def speaks(conversation: Conversation) -> None:
        while True:
            head = await conversation.request()
            length = next(
                (
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            world_seen.append(head + await conversation.reader.readexactly(length))
            await conversation.say(response)

    return speaks
