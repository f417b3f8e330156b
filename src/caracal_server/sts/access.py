"""Access mandates: what a client of an MCP server gets, and the session that it rests on.

Commit order: decide, start the session (durable), append the decision (durable), sign, answer. A crash in
between leaves at most a session that nobody can use and that ends by itself.
"""

from dataclasses import dataclass

from caracal.authority.access import CLIENT_LABEL, AccessRequest, decide_access
from caracal.authority.exchange import ExchangeRequest, Granted
from caracal.authority.identifiers import MandateId, RecordId, SubjectId
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Refused
from caracal.tokens.mandates import mint
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import SigningKeys
from caracal_server.ports.peers import ClientSessions, OpenedSession, Person, WantedSession
from caracal_server.sts import entries
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.exchange import Issued
from caracal_server.web.receipts import RecordedRefusal


@dataclass(frozen=True, slots=True)
class Access:
    clock: Clock
    entropy: Entropy
    keys: SigningKeys
    sessions: ClientSessions
    evidence: EvidenceLog
    issuer: str

    async def __call__(
        self,
        client: ProvenClient,
        request: AccessRequest,
        audience: str,
        request_id: str,
        person: Person | None = None,
    ) -> Issued | RecordedRefusal:
        """Decide, start a session, record, sign.

        Args:
            client: who asks.
            request: for what.
            audience: the URL of the MCP server's endpoint.
            request_id: of the HTTP request.
            person: who signed in for the client; `None` when it acts for itself.

        Raises:
            Unavailable: something could not be recorded or stored, or the zone has no key; nothing was
                signed.
            TokenRefused: with MANDATE_TOO_LARGE, when the Gateway would not read the mandate.
        """
        outcome = decide_access(client.zone, client.application, request, now=self.clock.now())
        if isinstance(outcome, Refused):
            return await self._refuse(client, request, outcome, request_id)
        key = self.keys.active(client.zone.id)
        record = RecordId(self.entropy.new_id())
        wanted = WantedSession(
            zone_id=client.zone.id,
            application_id=client.application.id,
            record=record,
            ttl=request.lifetime,
            labels=(CLIENT_LABEL,),
            request_id=request_id,
            person=person,
        )
        opened = await self.sessions.open(wanted)
        if isinstance(opened, Refused):
            return await self._refuse(client, request, opened, request_id)
        mandate = self._mandate(client, outcome, audience, record, opened, person)
        token = mint(mandate, key)
        zone, application, at = client.zone, client.application, self.clock.now_us()
        entry = entries.granted(request_id, zone, application, mandate, outcome, at=at)
        recorded = await self.evidence.append(entry)
        return Issued(token, mandate, recorded.reference)

    async def _refuse(
        self, client: ProvenClient, request: AccessRequest, refused: Refused, request_id: str
    ) -> RecordedRefusal:
        asked = ExchangeRequest((request.resource.identifier,), request.wanted)
        entry = entries.refused(
            request_id,
            client.zone,
            client.application,
            asked,
            refused,
            at=self.clock.now_us(),
        )
        recorded = await self.evidence.append(entry)
        return RecordedRefusal(refused, recorded.reference)

    def _mandate(
        self,
        client: ProvenClient,
        granted: Granted,
        audience: str,
        record: RecordId,
        opened: OpenedSession,
        person: Person | None,
    ) -> Mandate:
        user = None if person is None else person.user
        return Mandate(
            id=MandateId(self.entropy.new_id()),
            zone_id=client.zone.id,
            mandate_class=MandateClass.ACCESS,
            issuer=self.issuer,
            subject=SubjectId(client.application.id if user is None else user.name),
            subject_type=SubjectType.APPLICATION if user is None else SubjectType.USER,
            subject_issuer="" if user is None else user.issuer,
            application_id=client.application.id,
            audience=(audience,),
            scopes=granted.scopes,
            resources=tuple(resource.identifier for resource in granted.resources),
            record=record,
            root_record=record,
            issued_at=self.clock.now().replace(microsecond=0),
            expires_at=min(granted.expires_at, opened.expires_at).replace(microsecond=0),
            session_path=(opened.id,),
        )
