"""Federation: an application trades the ID token of a user for a session mandate of that user.

Commit order as for every mandate: decide, append the decision (durable), sign, answer.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter

from caracal.authority.identifiers import MandateId, RecordId, SubjectId, ZoneId
from caracal.authority.mandates import (
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    Mandate,
    MandateClass,
    SubjectType,
)
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.scopes import NO_SCOPES
from caracal.authority.subjects import SubjectIssuer, User
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import LEEWAY, mint
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.subject_tokens import (
    UnverifiedOrigin,
    VerifiedSubject,
    unverified_origin,
    verify_subject_token,
)
from caracal.wire.forms import TokenRequest
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.graph import Graphs
from caracal_server.ports.keys import SigningKeys
from caracal_server.ports.subjects import IssuerKeysUnavailable, PublishedIssuerKeys
from caracal_server.sts import subject_entries
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.exchange import Issued
from caracal_server.sts.used_tokens import UsedTokens
from caracal_server.web.receipts import RecordedRefusal

_NOT_TOGETHER: Final = (
    "resources",
    "session_id",
    "agent_session_id",
    "delegation_edge_id",
    "approval_id",
    "holder",
)


@dataclass(frozen=True, slots=True)
class Federation:
    clock: Clock
    entropy: Entropy
    graphs: Graphs
    keys: SigningKeys
    issuer_keys: PublishedIssuerKeys
    evidence: EvidenceLog
    issuer: str
    federated: Counter
    used: UsedTokens = field(default_factory=UsedTokens)

    async def __call__(
        self, client: ProvenClient, form: TokenRequest, raw: RawToken, request_id: str
    ) -> Issued | RecordedRefusal:
        """Prove the user, record, sign.

        Raises:
            Unavailable: the decision could not be recorded, the zone has no key, or it is not known what
                has been revoked; nothing was signed.
        """
        refused = _misplaced(form) or _too_long(form)
        if refused is not None:
            return await self._refuse(client, refused, request_id)
        try:
            trusted, origin = self._trusted(client, raw)
            published = await self.issuer_keys.keys(trusted.jwks_url, origin.kid)
            proven = verify_subject_token(
                raw, keys=published, trusted=trusted, now=self.clock.now()
            )
        except TokenRefused as error:
            refused = Refused(error.reason, error.detail)
            return await self._refuse(client, refused, request_id)
        except IssuerKeysUnavailable as error:
            refused = Refused(Reason.SUBJECT_KEYS_UNAVAILABLE, str(error))
            await self._refuse(client, refused, request_id)
            # Why is for the operator, in the evidence: it may name what is inside the network.
            return RecordedRefusal(Refused(Reason.SUBJECT_KEYS_UNAVAILABLE), "")
        now = self.clock.now()
        refused = self.spent(client.zone.id, proven, now)
        if refused is not None:
            return await self._refuse(client, refused, request_id, proven.user)
        try:
            return await self._issue(client, form, proven.user, request_id, now)
        except BaseException:
            self.used.release(client.zone.id, proven.fingerprint)
            raise

    def _trusted(
        self, client: ProvenClient, raw: RawToken
    ) -> tuple[SubjectIssuer, UnverifiedOrigin]:
        origin = unverified_origin(raw)
        trusted = client.zone.subject_issuers.get(origin.issuer)
        if trusted is None:
            raise TokenRefused(
                Reason.SUBJECT_ISSUER_UNKNOWN, f"the zone does not trust {origin.issuer[:200]!r}"
            )
        return trusted, origin

    def spent(self, zone_id: ZoneId, proven: VerifiedSubject, now: datetime) -> Refused | None:
        """Why a token that proves a user is of no use any more; otherwise it is used now."""
        graph = self.graphs.graph(zone_id)
        if graph is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone's sessions are not loaded")
        revoked = graph.revocations.of_user(proven.user)
        if revoked is not None and proven.issued_at <= revoked.at:
            return Refused(
                Reason.SUBJECT_REVOKED,
                f"the user was revoked at {revoked.at.isoformat()}, after the token was issued",
            )
        until = proven.expires_at + LEEWAY
        if not self.used.claim(zone_id, proven.fingerprint, until=until, now=now):
            return Refused(Reason.SUBJECT_TOKEN_REPLAYED, "an ID token is accepted once")
        return None

    async def _issue(
        self,
        client: ProvenClient,
        form: TokenRequest,
        user: User,
        request_id: str,
        now: datetime,
    ) -> Issued:
        key = self.keys.active(client.zone.id)
        mandate = self._mandate(client, user, form.ttl or DEFAULT_LIFETIME, now)
        token = mint(mandate, key)
        recorded = await self.evidence.append(
            subject_entries.federated(request_id, client, mandate, at=self.clock.now_us())
        )
        self.federated.inc()
        return Issued(token, mandate, recorded.reference)

    def _mandate(
        self, client: ProvenClient, user: User, lifetime: timedelta, now: datetime
    ) -> Mandate:
        record = RecordId(self.entropy.new_id())
        return Mandate(
            id=MandateId(self.entropy.new_id()),
            zone_id=client.zone.id,
            mandate_class=MandateClass.SESSION,
            issuer=self.issuer,
            subject=SubjectId(user.name),
            subject_type=SubjectType.USER,
            subject_issuer=user.issuer,
            application_id=client.application.id,
            audience=(self.issuer,),
            scopes=NO_SCOPES,
            resources=(),
            record=record,
            root_record=record,
            issued_at=now.replace(microsecond=0),
            expires_at=(now + lifetime).replace(microsecond=0),
        )

    async def _refuse(
        self, client: ProvenClient, refused: Refused, request_id: str, user: User | None = None
    ) -> RecordedRefusal:
        recorded = await self.evidence.append(
            subject_entries.refused(request_id, client, refused, user, at=self.clock.now_us())
        )
        return RecordedRefusal(refused, recorded.reference)


def _misplaced(form: TokenRequest) -> Refused | None:
    named = [name for name in _NOT_TOGETHER if getattr(form, name)]
    if len(form.scopes):
        named.append("scope")
    if not named:
        return None
    return Refused(
        Reason.REQUEST_MALFORMED,
        f"an ID token goes without {', '.join(sorted(named))}: the answer is good for sessions only",
    )


def _too_long(form: TokenRequest) -> Refused | None:
    if form.ttl is None or form.ttl <= MAX_LIFETIME:
        return None
    return Refused(
        Reason.LIFETIME_TOO_LONG, f"ttl_seconds is at most {MAX_LIFETIME.total_seconds():.0f}"
    )
