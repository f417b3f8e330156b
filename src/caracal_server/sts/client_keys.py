"""Clients that sign: each assertion once, as far as this process remembers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Zone
from caracal.tokens.client_assertions import parse_client_keys, verify_assertion
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import LEEWAY
from caracal.tokens.refusal import TokenRefused
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.used_tokens import UsedTokens

IN_USE: Final = 4_096
"""Assertions of one application that are good at the same time; more keep no other one out."""


@dataclass(frozen=True, slots=True)
class SignedAuthentication:
    """Proves a client by its signature. Whether it exists or signed wrongly is told to nobody else.

    Attributes:
        started_at: assertions signed before it may have been used, and are refused.
    """

    started_at: datetime
    used: dict[tuple[ZoneId, ApplicationId], UsedTokens] = field(default_factory=dict)

    def __call__(
        self,
        zone: Zone,
        application_id: ApplicationId,
        raw: RawToken,
        *,
        audience: str,
        now: datetime,
    ) -> ProvenClient | Refused:
        """Prove that a request comes from an application of the zone.

        Raises:
            Unavailable: too many assertions of the application are in use at once.
        """
        application = zone.applications.get(application_id)
        if application is None or not application.keys or not application.usable(now):
            return Refused(Reason.CLIENT_ASSERTION_INVALID)
        try:
            proven = verify_assertion(
                raw,
                keys=parse_client_keys(application.keys),
                client_id=application_id,
                audience=audience,
                now=now,
            )
        except TokenRefused as error:
            return Refused(error.reason, error.detail)
        if proven.issued_at < self.started_at.replace(microsecond=0):
            return Refused(
                Reason.CLIENT_ASSERTION_INVALID, "it was signed before the STS started: sign anew"
            )
        until = proven.expires_at + LEEWAY
        used = self.used.setdefault((zone.id, application_id), UsedTokens(IN_USE))
        if not used.claim(zone.id, proven.fingerprint, until=until, now=now):
            return Refused(Reason.CLIENT_ASSERTION_REPLAYED, "an assertion is accepted once")
        return ProvenClient(zone, application)
