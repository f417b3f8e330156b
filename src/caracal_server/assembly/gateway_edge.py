"""The Gateway's application over given parts, in one process with the others or apart."""

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.gateway.addressing import Addressing
from caracal_server.gateway.definitions import Definitions
from caracal_server.gateway.enforcement import Enforcement
from caracal_server.gateway.forwarding import Forwarding
from caracal_server.gateway.http import GatewayApp
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import Credentials, MintedMandates, VerifyingKeys
from caracal_server.ports.peers import LiveAuthority, ResourceMandates
from caracal_server.ports.single_use import SingleUse
from caracal_server.ports.tools import ToolReports
from caracal_server.ports.upstream import UpstreamClient, UpstreamTimeouts
from caracal_server.ports.zones import NamedZones
from caracal_server.web.health import Readiness, health_routes
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What the Gateway needs of the other services and of the world."""

    clock: Clock
    entropy: Entropy
    directory: NamedZones
    keys: VerifyingKeys
    minted: MintedMandates
    single_use: SingleUse
    authority: LiveAuthority
    evidence: EvidenceLog
    credentials: Credentials
    mandates: ResourceMandates
    tools: ToolReports


def make_gateway(
    parts: GatewayParts,
    upstream: UpstreamClient,
    settings: dict[str, Any],
    urls: tuple[str, str],
    readiness: Readiness,
    registry: CollectorRegistry,
) -> GatewayApp:
    """Put it together; `urls` are the public ones of the STS and of the Gateway, if there is one."""
    issuer, reached = urls
    gateway_settings = _settings(settings, issuer)
    metrics = GatewayMetrics(registry)
    enforcement = Enforcement(
        settings=gateway_settings,
        clock=parts.clock,
        directory=parts.directory,
        keys=parts.keys,
        minted=parts.minted,
        single_use=parts.single_use,
        authority=parts.authority,
        evidence=parts.evidence,
        metrics=metrics,
        definitions=Definitions(parts.clock, parts.evidence, parts.tools),
    )
    forwarding = Forwarding(
        clock=parts.clock,
        directory=parts.directory,
        credentials=parts.credentials,
        mandates=parts.mandates,
        authority=parts.authority,
        upstream=upstream,
        evidence=parts.evidence,
        metrics=metrics,
    )
    own = Edge(
        health_routes(readiness, registry), refuse=render_problem_details, entropy=parts.entropy
    )
    return GatewayApp(
        settings=gateway_settings,
        enforcement=enforcement,
        forwarding=forwarding,
        clock=parts.clock,
        entropy=parts.entropy,
        own=own,
        metrics=metrics,
        addressing=Addressing(reached, issuer, parts.directory),
    )


def _settings(settings: dict[str, Any], issuer: str) -> GatewaySettings:
    return GatewaySettings(
        issuer=issuer,
        minimum_remaining=settings["MINIMUM_REMAINING_SECONDS"],
        max_request_bytes=settings["MAX_REQUEST_BYTES"],
        max_inspected_bytes=settings["MAX_INSPECTED_BYTES"],
        max_in_flight=settings["MAX_IN_FLIGHT"],
        caller_idle=settings["IDLE_TIMEOUT_SECONDS"],
        trust_forwarded=settings["TRUST_FORWARDED"],
        body_digests=settings["BODY_DIGESTS"],
    )


def make_upstream(settings: dict[str, Any]) -> PooledUpstreamClient:
    """The client that carries calls to upstreams, behind the egress rules."""
    total = settings["TOTAL_TIMEOUT_SECONDS"]
    return PooledUpstreamClient(
        EgressGuard(settings["PRIVATE_EGRESS_HOSTS"]),
        timeouts=UpstreamTimeouts(
            connect=settings["CONNECT_TIMEOUT_SECONDS"],
            first_byte=settings["FIRST_BYTE_TIMEOUT_SECONDS"],
            idle=settings["IDLE_TIMEOUT_SECONDS"],
            total=total or None,
        ),
        limits=PoolLimits(connections=settings["UPSTREAM_CONNECTIONS"]),
        tls=verifying_context(settings["CA_FILE"], settings["TLS_EXTRA_CA_FILE"]),
    )
