"""The STS's application over given parts, in one process with the others or apart."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from caracal.tokens.secret import Secret
from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.issuer_keys import FetchedIssuerKeys
from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import MintedMandates, SigningKeys, VerifyingKeys
from caracal_server.ports.upstream import UpstreamTimeouts
from caracal_server.ports.zones import ClientSecrets, ZoneDirectory
from caracal_server.sts.clients import ClientAuthentication, PasswordVerifier
from caracal_server.sts.control_exchange import ControlExchange
from caracal_server.sts.exchange import Exchange
from caracal_server.sts.federation import Federation
from caracal_server.sts.http import StsApp
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.presented import PresentedMandates
from caracal_server.sts.settings import StsSettings
from caracal_server.sts.subject_exchange import SubjectExchange
from caracal_server.web.limits import FailureThrottle

ISSUER_KEYS_TIMEOUT: Final = timedelta(seconds=5)
"""For a key document of a subject issuer, from the name's resolution to the last byte."""


class ZoneKeys(SigningKeys, VerifyingKeys, Protocol):
    """The zones' keys, both halves."""


@dataclass(frozen=True, slots=True)
class StsParts:
    """What the STS needs of the other services and of the world."""

    clock: Clock
    entropy: Entropy
    directory: ZoneDirectory
    secrets: ClientSecrets
    pepper: Secret = field(repr=False)
    passwords: PasswordVerifier
    keys: ZoneKeys
    graphs: Graphs
    minted: MintedMandates
    evidence: EvidenceLog


def make_sts(
    parts: StsParts,
    settings: dict[str, Any],
    issuer: str,
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> StsApp:
    metrics = StsMetrics(registry)
    return StsApp(
        settings=StsSettings(issuer, max_failures=settings["MAX_CLIENT_FAILURES"]),
        clock=parts.clock,
        entropy=parts.entropy,
        directory=parts.directory,
        keys=parts.keys,
        authenticate=ClientAuthentication(
            parts.directory, parts.secrets, parts.pepper, parts.passwords
        ),
        throttle=FailureThrottle(parts.clock, failures=settings["MAX_CLIENT_FAILURES"]),
        exchange=Exchange(
            clock=parts.clock,
            entropy=parts.entropy,
            graphs=parts.graphs,
            keys=parts.keys,
            minted=parts.minted,
            evidence=parts.evidence,
            issuer=issuer,
        ),
        subjects=SubjectExchange(
            Federation(
                clock=parts.clock,
                entropy=parts.entropy,
                graphs=parts.graphs,
                keys=parts.keys,
                issuer_keys=_issuer_keys(parts, settings, metrics, stack),
                evidence=parts.evidence,
                issuer=issuer,
                federated=metrics.federated,
            ),
            PresentedMandates(parts.clock, parts.graphs, parts.keys, parts.evidence, issuer),
        ),
        control=ControlExchange(
            clock=parts.clock,
            entropy=parts.entropy,
            keys=parts.keys,
            evidence=parts.evidence,
            issuer=issuer,
            audience=settings["CONTROL_AUDIENCE"],
        ),
        metrics=metrics,
    )


def _issuer_keys(
    parts: StsParts, settings: dict[str, Any], metrics: StsMetrics, stack: AsyncExitStack
) -> FetchedIssuerKeys:
    client = PooledUpstreamClient(
        EgressGuard(settings["PRIVATE_EGRESS_HOSTS"]),
        timeouts=UpstreamTimeouts(total=ISSUER_KEYS_TIMEOUT),
        limits=PoolLimits(connections=4, waiting=16),
        tls=verifying_context(settings["TLS_EXTRA_CA_FILE"]),
    )
    stack.push_async_callback(client.aclose)
    return FetchedIssuerKeys(client, parts.clock, metrics.issuer_key_fetches)
