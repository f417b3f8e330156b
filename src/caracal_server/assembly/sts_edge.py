"""The STS's application over given parts, in one process with the others or apart."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from caracal.tokens.secret import Secret
from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.client_documents import FetchedClientDocuments
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.id_tokens import FetchedIdTokens
from caracal_server.adapters.http.issuer_keys import FetchedIssuerKeys
from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import MintedMandates, SigningKeys, VerifyingKeys
from caracal_server.ports.peers import ClientSessions
from caracal_server.ports.upstream import UpstreamTimeouts
from caracal_server.ports.zones import ClientSecrets, NamedZones
from caracal_server.sts.access import Access
from caracal_server.sts.authorization_http import AuthorizationPages
from caracal_server.sts.client_keys import SignedAuthentication
from caracal_server.sts.clients import ClientAuthentication, PasswordVerifier
from caracal_server.sts.control_exchange import ControlExchange
from caracal_server.sts.exchange import Exchange
from caracal_server.sts.federation import Federation
from caracal_server.sts.http import StsApp
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.oauth_http import OAuthApp
from caracal_server.sts.people_clients import PeopleClients
from caracal_server.sts.presented import PresentedMandates
from caracal_server.sts.settings import StsSettings
from caracal_server.sts.sign_ins import Tickets
from caracal_server.sts.subject_exchange import SubjectExchange
from caracal_server.web.limits import FailureThrottle

KEY_BYTES: Final = 32
ISSUER_KEYS_TIMEOUT: Final = timedelta(seconds=5)
"""For a key document of a subject issuer, from the name's resolution to the last byte."""


class ZoneKeys(SigningKeys, VerifyingKeys, Protocol):
    """The zones' keys, both halves."""


@dataclass(frozen=True, slots=True)
class StsParts:
    """What the STS needs of the other services and of the world."""

    clock: Clock
    entropy: Entropy
    directory: NamedZones
    secrets: ClientSecrets
    pepper: Secret = field(repr=False)
    passwords: PasswordVerifier
    keys: ZoneKeys
    graphs: Graphs
    minted: MintedMandates
    evidence: EvidenceLog
    sessions: ClientSessions


def make_sts(
    parts: StsParts,
    settings: dict[str, Any],
    issuer: str,
    gateway: str,
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> StsApp:
    """Put the STS together; `gateway` is the public URL of the Gateway, if MCP clients may know it."""
    metrics = StsMetrics(registry)
    sts_settings = StsSettings(issuer, max_failures=settings["MAX_CLIENT_FAILURES"])
    authenticate = ClientAuthentication(
        parts.directory, parts.secrets, parts.pepper, parts.passwords
    )
    throttle = FailureThrottle(parts.clock, failures=settings["MAX_CLIENT_FAILURES"])
    federation = _federation(parts, client := _fetching(settings, stack), issuer, metrics)
    pages = _pages(parts, gateway, federation, client)
    return StsApp(
        settings=sts_settings,
        clock=parts.clock,
        entropy=parts.entropy,
        directory=parts.directory,
        keys=parts.keys,
        authenticate=authenticate,
        throttle=throttle,
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
            federation,
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
        oauth=_oauth(parts, sts_settings, pages, authenticate, throttle, metrics),
    )


def _federation(
    parts: StsParts,
    client: PooledUpstreamClient,
    issuer: str,
    metrics: StsMetrics,
) -> Federation:
    return Federation(
        clock=parts.clock,
        entropy=parts.entropy,
        graphs=parts.graphs,
        keys=parts.keys,
        issuer_keys=FetchedIssuerKeys(client, parts.clock, metrics.issuer_key_fetches),
        evidence=parts.evidence,
        issuer=issuer,
        federated=metrics.federated,
    )


def _pages(
    parts: StsParts, gateway: str, federation: Federation, client: PooledUpstreamClient
) -> AuthorizationPages:
    return AuthorizationPages(
        gateway,
        federation,
        Tickets(Secret(parts.entropy.token_bytes(KEY_BYTES).hex())),
        FetchedIdTokens(client),
        PeopleClients(FetchedClientDocuments(client, parts.clock), parts.pepper),
    )


def _oauth(
    parts: StsParts,
    settings: StsSettings,
    pages: AuthorizationPages,
    authenticate: ClientAuthentication,
    throttle: FailureThrottle,
    metrics: StsMetrics,
) -> OAuthApp:
    return OAuthApp(
        settings=settings,
        gateway=pages.gateway,
        clock=parts.clock,
        entropy=parts.entropy,
        directory=parts.directory,
        authenticate=authenticate,
        signed=SignedAuthentication(parts.clock.now()),
        throttle=throttle,
        access=Access(
            clock=parts.clock,
            entropy=parts.entropy,
            keys=parts.keys,
            sessions=parts.sessions,
            evidence=parts.evidence,
            issuer=settings.issuer,
        ),
        pages=pages,
        metrics=metrics,
    )


def _fetching(settings: dict[str, Any], stack: AsyncExitStack) -> PooledUpstreamClient:
    """The client that asks the zones' subject issuers, behind the egress rules."""
    client = PooledUpstreamClient(
        EgressGuard(settings["PRIVATE_EGRESS_HOSTS"]),
        timeouts=UpstreamTimeouts(total=ISSUER_KEYS_TIMEOUT),
        limits=PoolLimits(connections=4, waiting=16),
        tls=verifying_context(settings["TLS_EXTRA_CA_FILE"]),
    )
    stack.push_async_callback(client.aclose)
    return client
