"""The STS's entries: what it decided on a mandate, and who could not prove itself."""

from typing import Final

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.exchange import ExchangeRequest, Granted
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Refused
from caracal.authority.policy.recording import recorded
from caracal.authority.zones import Application, Zone
from caracal.tokens.holders import thumbprint
from caracal_server.web.refusals import policy_digest

MAX_TEXT: Final = 1024
"""Characters of a list of resources or a detail that are kept."""


def granted(
    request_id: str,
    zone: Zone,
    application: Application,
    mandate: Mandate,
    outcome: Granted,
    *,
    at: int,
) -> Entry:
    """A mandate that is about to be signed."""
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.EXCHANGE,
        zone=zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.ALLOW,
        application=application.id,
        application_name=application.name,
        subject=mandate.subject,
        subject_issuer=mandate.subject_issuer,
        session=mandate.session_id or "",
        delegations=mandate.delegation_path,
        resource=" ".join(mandate.resources),
        scopes=mandate.scopes.render(),
        mandate=mandate.id,
        mandate_class=_shown_class(mandate),
        holders=() if mandate.bound is None else (thumbprint(mandate.bound.holder),),
        policies=outcome.policies,
        expires_at=int(mandate.expires_at.timestamp()),
    )
    return recorded(entry, outcome.asked, policy_digest(zone))


def _shown_class(mandate: Mandate) -> str:
    """The class of a mandate that is good for more than one call; without it each is spent by one."""
    return mandate.mandate_class if mandate.mandate_class is MandateClass.ACCESS else ""


def refused(
    request_id: str,
    zone: Zone,
    application: Application,
    request: ExchangeRequest,
    refusal: Refused,
    *,
    at: int,
) -> Entry:
    """A proven application that does not get what it asks for."""
    named = () if request.delegation_id is None else (request.delegation_id,)
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.EXCHANGE,
        zone=zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.REFUSE,
        reason=refusal.reason,
        detail=refusal.detail[:MAX_TEXT],
        application=application.id,
        application_name=application.name,
        subject=application.id,
        session=request.session_id or "",
        delegations=refusal.delegations or named,
        resource=" ".join(request.resources)[:MAX_TEXT],
        scopes=request.scopes.render(),
        held=refusal.held,
        policies=refusal.policies,
    )
    return recorded(entry, refusal.asked, policy_digest(zone))


def unproven(
    request_id: str, zone_id: ZoneId, application_id: ApplicationId, refusal: Refused, *, at: int
) -> Entry:
    """Somebody who claims to be that application, and could not prove it."""
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.EXCHANGE,
        zone=zone_id,
        at=at,
        request=request_id,
        verdict=Verdict.REFUSE,
        reason=refusal.reason,
        detail=refusal.detail,
        application=application_id,
    )
