"""The exchange: a proven application trades what it may do for a mandate.

Commit order: decide, append the decision (durable), sign, answer. A crash in between leaves an entry
that claims a mandate nobody received; never a mandate without its entry.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from caracal.authority.exchange import ExchangeRequest, Granted, decide_exchange
from caracal.authority.identifiers import MandateId, RecordId, SubjectId, ZoneId
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.scopes import NO_SCOPES
from caracal.authority.zones import Application
from caracal.tokens.mandates import mint
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import MintedMandates, SigningKeys
from caracal_server.sts import entries
from caracal_server.sts.clients import ProvenClient
from caracal_server.web.receipts import RecordedRefusal


class Issued(msgspec.Struct, frozen=True):
    """A signed mandate and what its holder is told about it; `receipt` refers to its entry."""

    token: str
    mandate: Mandate
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    clock: Clock
    entropy: Entropy
    graphs: Graphs
    keys: SigningKeys
    minted: MintedMandates
    evidence: EvidenceLog
    issuer: str

    async def __call__(
        self, client: ProvenClient, request: ExchangeRequest, request_id: str
    ) -> Issued | RecordedRefusal:
        """Decide, record, sign.

        Raises:
            Unavailable: the decision could not be recorded, or the zone has no key; nothing was signed.
            TokenRefused: with MANDATE_TOO_LARGE, when verifiers would not read the mandate.
        """
        now = self.clock.now()
        zone, application = client.zone, client.application
        graph = self.graphs.graph(zone.id)
        if graph is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone's sessions are not loaded")
        outcome = decide_exchange(zone, graph, application, request, now=now)
        if isinstance(outcome, Refused):
            return await self.record_refusal(client, request, outcome, request_id)
        key = self.keys.active(zone.id)
        mandate = self._mandate(zone.id, application, outcome, graph.epoch, now=now)
        recorded = await self.evidence.append(
            entries.granted(request_id, zone, application, mandate, outcome, at=self.clock.now_us())
        )
        token = mint(mandate, key)
        if mandate.mandate_class is MandateClass.GATEWAY and mandate.bound is None:
            self.minted.remember(token, mandate)
        return Issued(token, mandate, recorded.reference)

    async def record_refusal(
        self, client: ProvenClient, request: ExchangeRequest, refused: Refused, request_id: str
    ) -> RecordedRefusal:
        """Record why a proven application does not get what it asks for.

        Raises:
            Unavailable: it could not be recorded.
        """
        recorded = await self.evidence.append(
            entries.refused(
                request_id,
                client.zone,
                client.application,
                request,
                refused,
                at=self.clock.now_us(),
            )
        )
        return RecordedRefusal(refused, recorded.reference)

    def _mandate(
        self,
        zone_id: ZoneId,
        application: Application,
        granted: Granted,
        epoch: int,
        *,
        now: datetime,
    ) -> Mandate:
        record = RecordId(self.entropy.new_id())
        held = granted.held
        delegation = None if held is None else held.delegation
        user = None if held is None else held.session.user
        return Mandate(
            id=MandateId(self.entropy.new_id()),
            zone_id=zone_id,
            mandate_class=granted.mandate_class,
            issuer=self.issuer,
            subject=SubjectId(application.id if user is None else user.name),
            subject_type=SubjectType.APPLICATION if user is None else SubjectType.USER,
            subject_issuer="" if user is None else user.issuer,
            application_id=application.id,
            audience=(self.issuer,),
            scopes=granted.scopes,
            resources=tuple(resource.identifier for resource in granted.resources),
            record=record,
            root_record=record,
            issued_at=now.replace(microsecond=0),
            expires_at=granted.expires_at.replace(microsecond=0),
            session_path=() if held is None else held.session_path,
            delegation_path=() if delegation is None else delegation.path,
            chain=() if held is None else held.chain,
            graph_epoch=epoch,
            bound=granted.bound,
        )


@dataclass(frozen=True, slots=True)
class MintForResource:
    """Signs resource mandates for the Gateway: narrower in audience, never later, one hop of record.

    Source: RFC 8693 section 2.2; the contract of `ports.peers.ResourceMandates`.
    """

    entropy: Entropy
    keys: SigningKeys
    lifetime: timedelta

    async def mint_for_resource(
        self,
        presented: Mandate,
        audience: str,
        *,
        now: datetime,
        token: bytes = b"",  # noqa: ARG002 (in one process, the Gateway's proof is the STS's)
    ) -> str:
        resources = tuple(entry for entry in presented.resources if entry == audience)
        mandate = Mandate(
            id=MandateId(self.entropy.new_id()),
            zone_id=presented.zone_id,
            mandate_class=MandateClass.RESOURCE,
            issuer=presented.issuer,
            subject=presented.subject,
            subject_type=presented.subject_type,
            subject_issuer=presented.subject_issuer,
            application_id=presented.application_id,
            audience=(audience,),
            scopes=presented.scopes if resources else NO_SCOPES,
            resources=resources,
            record=RecordId(self.entropy.new_id()),
            root_record=presented.root_record,
            issued_at=now.replace(microsecond=0),
            expires_at=min(presented.expires_at, now + self.lifetime).replace(microsecond=0),
            session_path=presented.session_path,
            delegation_path=presented.delegation_path,
            chain=presented.chain,
            graph_epoch=presented.graph_epoch,
            origins=presented.origins,
        )
        return mint(mandate, self.keys.active(presented.zone_id))
