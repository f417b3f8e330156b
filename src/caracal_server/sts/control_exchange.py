"""Control keys get mandates for the control side, by their traits alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from caracal.authority.control_keys import decide_control
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import MandateId, RecordId, SubjectId
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens.mandates import mint
from caracal.wire.forms import TokenRequest
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import SigningKeys
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.entries import MAX_TEXT
from caracal_server.sts.exchange import Issued
from caracal_server.web.receipts import RecordedRefusal

CONTROL_KEY: Final = "control-key"
"""What decided: the traits of the application, and no policy."""

_NOT_TOGETHER: Final = (
    "session_id",
    "agent_session_id",
    "delegation_edge_id",
    "approval_id",
    "holder",
)


@dataclass(frozen=True, slots=True)
class ControlExchange:
    """Attributes:
    audience: what control keys ask for, as if it were a resource; the audience of what they get.
    """

    clock: Clock
    entropy: Entropy
    keys: SigningKeys
    evidence: EvidenceLog
    issuer: str
    audience: str

    async def __call__(
        self, client: ProvenClient, form: TokenRequest, request_id: str
    ) -> Issued | RecordedRefusal:
        """Decide, record, sign.

        Raises:
            Unavailable: the decision could not be recorded, or the zone has no key; nothing was signed.
        """
        now = self.clock.now()
        outcome = self._alone(form) or decide_control(
            client.application, form.scopes, form.ttl, now=now
        )
        if isinstance(outcome, Refused):
            recorded = await self.evidence.append(
                self._entry(client, form, request_id, refused=outcome)
            )
            return RecordedRefusal(outcome, recorded.reference)
        key = self.keys.active(client.zone.id)
        mandate = self._mandate(client, form, now, outcome)
        token = mint(mandate, key)
        recorded = await self.evidence.append(
            self._entry(client, form, request_id, mandate=mandate)
        )
        return Issued(token, mandate, recorded.reference)

    def _alone(self, form: TokenRequest) -> Refused | None:
        named = [name for name in _NOT_TOGETHER if getattr(form, name)]
        if not named and form.resources == (self.audience,):
            return None
        others = ", ".join(named or ["other resources"])
        return Refused(Reason.REQUEST_MALFORMED, f"{self.audience} is asked for without {others}")

    def _mandate(
        self, client: ProvenClient, form: TokenRequest, now: datetime, ends: datetime
    ) -> Mandate:
        record = RecordId(self.entropy.new_id())
        return Mandate(
            id=MandateId(self.entropy.new_id()),
            zone_id=client.zone.id,
            mandate_class=MandateClass.RESOURCE,
            issuer=self.issuer,
            subject=SubjectId(client.application.id),
            subject_type=SubjectType.APPLICATION,
            application_id=client.application.id,
            audience=(self.audience,),
            scopes=form.scopes,
            resources=(),
            record=record,
            root_record=record,
            issued_at=now.replace(microsecond=0),
            expires_at=ends.replace(microsecond=0),
        )

    def _entry(
        self,
        client: ProvenClient,
        form: TokenRequest,
        request_id: str,
        *,
        mandate: Mandate | None = None,
        refused: Refused | None = None,
    ) -> Entry:
        return Entry(
            format=ENTRY_FORMAT,
            kind=Kind.EXCHANGE,
            zone=client.zone.id,
            at=self.clock.now_us(),
            request=request_id,
            verdict=Verdict.ALLOW if refused is None else Verdict.REFUSE,
            reason="" if refused is None else refused.reason,
            detail="" if refused is None else refused.detail[:MAX_TEXT],
            application=client.application.id,
            application_name=client.application.name,
            subject=client.application.id,
            resource=" ".join(form.resources)[:MAX_TEXT],
            scopes=form.scopes.render(),
            mandate="" if mandate is None else mandate.id,
            policies=(CONTROL_KEY,),
            expires_at=0 if mandate is None else int(mandate.expires_at.timestamp()),
        )
