"""The STS's application over given parts, in one process with the others or apart."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from caracal.tokens.secret import Secret
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import MintedMandates, SigningKeys, VerifyingKeys
from caracal_server.ports.zones import ClientSecrets, ZoneDirectory
from caracal_server.sts.clients import ClientAuthentication, PasswordVerifier
from caracal_server.sts.exchange import Exchange
from caracal_server.sts.http import StsApp
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.settings import StsSettings
from caracal_server.web.limits import FailureThrottle


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
    parts: StsParts, settings: dict[str, Any], issuer: str, registry: CollectorRegistry
) -> StsApp:
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
        metrics=StsMetrics(registry),
    )
