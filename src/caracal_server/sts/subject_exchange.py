"""Token requests that bring a subject token along."""

from dataclasses import dataclass

from caracal.tokens.jws import RawToken
from caracal.wire.forms import SubjectTokenType, TokenRequest
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.exchange import Issued
from caracal_server.sts.federation import Federation
from caracal_server.sts.presented import PresentedMandates
from caracal_server.web.receipts import RecordedRefusal


@dataclass(frozen=True, slots=True)
class SubjectExchange:
    federation: Federation
    presented: PresentedMandates

    async def __call__(
        self, client: ProvenClient, form: TokenRequest, raw: RawToken, request_id: str
    ) -> Issued | RecordedRefusal:
        """Answer by the type of the token.

        Raises:
            Unavailable: nothing was signed.
        """
        if form.subject_token_type is SubjectTokenType.ID_TOKEN:
            return await self.federation(client, form, raw, request_id)
        return await self.presented(client, form, raw, request_id)
