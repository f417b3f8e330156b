"""The STS's entries about subject tokens: users who were federated, and what was refused."""

from typing import Final

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Refused
from caracal.authority.subjects import User
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.entries import MAX_TEXT

FEDERATION: Final = "caracal-subject-federation"
"""What decided that a user gets a mandate: the zone's trust in an issuer, and no policy."""


def federated(request_id: str, client: ProvenClient, mandate: Mandate, *, at: int) -> Entry:
    """A user's mandate that is about to leave."""
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.EXCHANGE,
        zone=client.zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.ALLOW,
        application=client.application.id,
        application_name=client.application.name,
        subject=mandate.subject,
        subject_issuer=mandate.subject_issuer,
        mandate=mandate.id,
        policies=(FEDERATION,),
        expires_at=int(mandate.expires_at.timestamp()),
    )


def refused(
    request_id: str, client: ProvenClient, refusal: Refused, user: User | None, *, at: int
) -> Entry:
    """A subject token that got a proven application nothing; `user` if it proves one all the same."""
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.EXCHANGE,
        zone=client.zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.REFUSE,
        reason=refusal.reason,
        detail=refusal.detail[:MAX_TEXT],
        application=client.application.id,
        application_name=client.application.name,
        subject=client.application.id if user is None else user.name,
        subject_issuer="" if user is None else user.issuer,
        policies=(FEDERATION,),
    )
