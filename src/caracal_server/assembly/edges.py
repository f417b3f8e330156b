"""The two applications that are listened on: the control side and the data side."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry

from caracal.authority.mandates import MAX_RESOURCE_LIFETIME
from caracal_server.adapters.argon2_secrets import Argon2Secrets
from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.assembly.parts import Administration, Foundations
from caracal_server.control.gate import Gate
from caracal_server.control.http import ZoneApi
from caracal_server.control.keys_http import KeyApi
from caracal_server.control.operators_http import OperatorApi
from caracal_server.coordinator.service import Coordinator
from caracal_server.gateway.enforcement import Enforcement
from caracal_server.gateway.forwarding import Forwarding
from caracal_server.gateway.http import GatewayApp
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.upstream import UpstreamClient
from caracal_server.sts.clients import ClientAuthentication
from caracal_server.sts.exchange import Exchange, MintForResource
from caracal_server.sts.http import PATHS, StsApp
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.settings import StsSettings
from caracal_server.web.asgi import Application, Receive, Scope, Send
from caracal_server.web.health import Readiness, health_routes
from caracal_server.web.limits import FailureThrottle
from caracal_server.web.problems import render_coordinator, render_problem_details
from caracal_server.web.routes import Edge

RELEASE = version("caracal")


@dataclass(frozen=True, slots=True)
class ControlSide:
    """The STS, the Coordinator, and everything under `/v1`, on one listener."""

    sts: Application
    coordinator: Application
    administration: Application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in PATHS:
            await self.sts(scope, receive, send)
        elif path.startswith("/zones/"):
            await self.coordinator(scope, receive, send)
        else:
            await self.administration(scope, receive, send)


def make_sts(
    base: Foundations,
    argon2: Argon2Secrets,
    settings: dict[str, Any],
    issuer: str,
    registry: CollectorRegistry,
) -> StsApp:
    return StsApp(
        settings=StsSettings(issuer, max_failures=settings["MAX_CLIENT_FAILURES"]),
        clock=base.clock,
        entropy=base.entropy,
        directory=base.zones,
        keys=base.zone_keys,
        authenticate=ClientAuthentication(base.zones, base.zones, base.pepper, argon2),
        throttle=FailureThrottle(base.clock, failures=settings["MAX_CLIENT_FAILURES"]),
        exchange=Exchange(
            clock=base.clock,
            entropy=base.entropy,
            graphs=base.graphs,
            keys=base.zone_keys,
            minted=base.minted,
            evidence=base.audit.sequencer,
            issuer=issuer,
        ),
        metrics=StsMetrics(registry),
    )


def make_control_side(
    base: Foundations,
    sts: StsApp,
    coordinator: Coordinator,
    administration: Administration,
    readiness: Readiness,
    registry: CollectorRegistry,
) -> ControlSide:
    gate = Gate(
        administration.settings,
        administration.authentication,
        base.stores.zones,
        administration.acts,
    )
    zones = ZoneApi(
        gate=gate,
        apply=administration.apply,
        rotate=administration.rotate,
        renew=administration.renew,
        operators=administration.operators,
        readiness=readiness,
        counts=base.graphs.counts,
        version=RELEASE,
    )
    routes = (
        *health_routes(readiness, registry),
        *zones.routes(),
        *OperatorApi(gate, administration.operators).routes(),
        *KeyApi(gate, administration.reseal, administration.log_key).routes(),
        *base.audit.routes(administration.authentication),
    )
    return ControlSide(
        sts=sts,
        coordinator=Edge(coordinator.routes, refuse=render_coordinator, entropy=base.entropy),
        administration=Edge(routes, refuse=render_problem_details, entropy=base.entropy),
    )


def make_gateway(
    base: Foundations,
    upstream: UpstreamClient,
    settings: dict[str, Any],
    issuer: str,
    readiness: Readiness,
    registry: CollectorRegistry,
) -> GatewayApp:
    gateway_settings = GatewaySettings(
        issuer=issuer,
        minimum_remaining=settings["MINIMUM_REMAINING_SECONDS"],
        max_request_bytes=settings["MAX_REQUEST_BYTES"],
        max_in_flight=settings["MAX_IN_FLIGHT"],
        caller_idle=settings["IDLE_TIMEOUT_SECONDS"],
        trust_forwarded=settings["TRUST_FORWARDED"],
    )
    metrics = GatewayMetrics(registry)
    enforcement = Enforcement(
        settings=gateway_settings,
        clock=base.clock,
        directory=base.zones,
        keys=base.zone_keys,
        minted=base.minted,
        single_use=SingleUseInMemory(started_at=base.clock.now()),
        authority=base.graphs,
        evidence=base.audit.sequencer,
        metrics=metrics,
    )
    forwarding = Forwarding(
        clock=base.clock,
        directory=base.zones,
        credentials=base.credentials,
        mandates=MintForResource(base.entropy, base.zone_keys, MAX_RESOURCE_LIFETIME),
        authority=base.graphs,
        upstream=upstream,
        evidence=base.audit.sequencer,
        metrics=metrics,
    )
    own = Edge(
        health_routes(readiness, registry), refuse=render_problem_details, entropy=base.entropy
    )
    return GatewayApp(
        settings=gateway_settings,
        enforcement=enforcement,
        forwarding=forwarding,
        clock=base.clock,
        entropy=base.entropy,
        own=own,
        metrics=metrics,
    )
