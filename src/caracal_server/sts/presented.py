"""A mandate of ours presented as subject token: verified, and then refused.

Mandates for a resource come from the Gateway only, which does not ask for them here. Who presents a token
that would not do learns that first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal.wire.forms import TokenRequest
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.sts import subject_entries
from caracal_server.sts.clients import ProvenClient
from caracal_server.web.receipts import RecordedRefusal

_SESSION_ONLY: Final = frozenset({MandateClass.SESSION})


@dataclass(frozen=True, slots=True)
class PresentedMandates:
    clock: Clock
    graphs: Graphs
    keys: VerifyingKeys
    evidence: EvidenceLog
    issuer: str

    async def __call__(
        self, client: ProvenClient, form: TokenRequest, raw: RawToken, request_id: str
    ) -> RecordedRefusal:
        """Say why there is no mandate for it.

        Raises:
            Unavailable: it could not be recorded, or it is not known what has been revoked.
        """
        refused, mandate = self._judge(client, form, raw, self.clock.now())
        user = None if mandate is None else mandate.user
        recorded = await self.evidence.append(
            subject_entries.refused(request_id, client, refused, user, at=self.clock.now_us())
        )
        return RecordedRefusal(refused, recorded.reference)

    def _judge(
        self, client: ProvenClient, form: TokenRequest, raw: RawToken, now: datetime
    ) -> tuple[Refused, Mandate | None]:
        if not form.resources:
            return Refused(Reason.RESOURCE_MISSING, "name at least one resource"), None
        keys = self.keys.key_set(client.zone.id)
        if keys is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone has no key")
        try:
            mandate = verify_mandate(
                raw,
                keys=keys,
                issuer=self.issuer,
                zone_id=client.zone.id,
                mandate_classes=_SESSION_ONLY,
                audience=self.issuer,
                now=now,
            ).mandate
        except TokenRefused as error:
            return Refused(error.reason, error.detail), None
        return self._unfit(client, form, mandate) or _NEVER, mandate

    def _unfit(self, client: ProvenClient, form: TokenRequest, mandate: Mandate) -> Refused | None:
        graph = self.graphs.graph(client.zone.id)
        if graph is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone's sessions are not loaded")
        if form.session_id not in {None, mandate.record}:
            return _mismatch("session_id is not its record")
        if graph.revocations.covering(mandate) is not None:
            return _mismatch("its authority was revoked")
        if mandate.application_id != client.application.id:
            return _mismatch("it belongs to another application")
        if mandate.session_id is not None and form.agent_session_id not in {
            None,
            mandate.session_id,
        }:
            return _mismatch("agent_session_id is not its session")
        return None


_NEVER: Final = Refused(
    Reason.RESOURCE_MANDATE_UNAVAILABLE,
    "mandates for a resource come from the Gateway: leave subject_token out",
)


def _mismatch(detail: str) -> Refused:
    return Refused(Reason.SUBJECT_TOKEN_MISMATCH, detail)
