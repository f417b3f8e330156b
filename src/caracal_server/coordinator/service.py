"""The Coordinator in one piece: its use cases over given ports, its routes and its sweeper."""

from dataclasses import dataclass

from caracal.tokens.secret import Secret
from caracal_server.coordinator.acts import Acts
from caracal_server.coordinator.admin_reads import AdminReads
from caracal_server.coordinator.callers import Authentication
from caracal_server.coordinator.client_sessions import OpenClientSession
from caracal_server.coordinator.commitment import Commitment, Spread
from caracal_server.coordinator.coordination import Coordination
from caracal_server.coordinator.delegations import Delegate, Revoke
from caracal_server.coordinator.http import CoordinatorRoutes, UseCases
from caracal_server.coordinator.idempotency import IdempotencyReceipts
from caracal_server.coordinator.live_graphs import LiveGraphs
from caracal_server.coordinator.news import NewsDesk
from caracal_server.coordinator.news_http import NewsRoutes, Places
from caracal_server.coordinator.proofs import MandateProofs
from caracal_server.coordinator.reads import DelegationReads, SessionReads
from caracal_server.coordinator.sessions import (
    End,
    Heartbeat,
    Resume,
    Steps,
    Suspend,
    TakeLease,
)
from caracal_server.coordinator.settings import CoordinatorSettings
from caracal_server.coordinator.starting import Start
from caracal_server.coordinator.subjects import SubjectProofs
from caracal_server.coordinator.sweeper import SweepBounds, Sweeper
from caracal_server.coordinator.users import RevokeUser
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import GraphStore
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.news import NewsStore
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.operators import Authenticate
from caracal_server.web.routes import Route


@dataclass(frozen=True, slots=True)
class CoordinatorPorts:
    """What the Coordinator needs of the world.

    Attributes:
        digest_keys: of idempotency keys: the one in use first, then those still looked up.
        spread: waits for services that run apart.
        news: where what ended is kept in order; the store, where it does that.
    """

    clock: Clock
    entropy: Entropy
    directory: ZoneDirectory
    graphs: LiveGraphs
    store: GraphStore
    evidence: EvidenceLog
    keys: VerifyingKeys
    operators: Authenticate
    digest_keys: tuple[Secret, ...]
    news: NewsStore
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class Coordinator:
    """`sweeper.run()` and `desk.run()` are for the owner to run, and to cancel before `close`.

    `desk.close()` ends those who listen, which is to happen before requests under way are waited for.
    """

    routes: tuple[Route, ...]
    admin_routes: tuple[Route, ...]
    sweeper: Sweeper
    commitment: Commitment
    acts: Acts
    desk: NewsDesk
    listeners: Places
    client_sessions: OpenClientSession

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """What a Coordinator of its own serves."""
        return (*self.routes, *self.admin_routes)

    async def close(self) -> None:
        """Finish what was begun, and try once more to store what could not be.

        Raises:
            Unavailable: changes are in force that are not recorded or not stored.
        """
        await self.acts.drain()
        await self.commitment.settle()


def make_coordinator(settings: CoordinatorSettings, ports: CoordinatorPorts) -> Coordinator:
    """Put the parts together; nothing runs yet."""
    commitment = Commitment(
        graphs=ports.graphs, store=ports.store, evidence=ports.evidence, spread=ports.spread
    )
    coordination = Coordination(
        clock=ports.clock,
        entropy=ports.entropy,
        directory=ports.directory,
        graphs=ports.graphs,
        store=ports.store,
        commitment=commitment,
    )
    acts = Acts()
    proofs = MandateProofs(ports.keys, settings.issuer)
    authentication = _authentication(ports, proofs)
    desk, listeners = NewsDesk(ports.news, ports.clock, commitment.check), Places()
    commitment.told = desk.stored
    routes = CoordinatorRoutes(
        settings=settings,
        clock=ports.clock,
        authentication=authentication,
        acts=acts,
        use=_use_cases(coordination, _receipts(settings, ports), proofs),
        news=NewsRoutes(desk, authentication, ports.clock, listeners),
    )
    bounds = SweepBounds(settings.sweep_interval, settings.sweep_limit)
    return Coordinator(
        routes=routes.table(),
        admin_routes=AdminReads(
            authentication, coordination, acts, RevokeUser(coordination)
        ).routes(),
        sweeper=Sweeper(coordination, acts, bounds),
        commitment=commitment,
        acts=acts,
        desk=desk,
        listeners=listeners,
        client_sessions=OpenClientSession(coordination, acts),
    )


def _authentication(ports: CoordinatorPorts, proofs: MandateProofs) -> Authentication:
    return Authentication(
        clock=ports.clock,
        directory=ports.directory,
        proofs=proofs,
        authority=ports.graphs,
        operators=ports.operators,
    )


def _receipts(settings: CoordinatorSettings, ports: CoordinatorPorts) -> IdempotencyReceipts:
    return IdempotencyReceipts(
        store=ports.store,
        keys=ports.digest_keys,
        retention=settings.receipt_retention,
        generated_retention=settings.generated_receipt_retention,
        max_receipts=settings.max_receipts,
    )


def _use_cases(
    coordination: Coordination, receipts: IdempotencyReceipts, proofs: MandateProofs
) -> UseCases:
    steps = Steps(coordination)
    return UseCases(
        start=Start(coordination, receipts, SubjectProofs(proofs)),
        suspend=Suspend(steps),
        resume=Resume(steps),
        end=End(steps),
        take_lease=TakeLease(steps),
        heartbeat=Heartbeat(steps),
        delegate=Delegate(coordination, receipts),
        revoke=Revoke(coordination),
        revoke_user=RevokeUser(coordination),
        sessions=SessionReads(coordination),
        delegations=DelegationReads(coordination),
    )
