"""The Gateway's entries: the decision on a call, and what became of it."""

from typing import Final

from caracal.authority.admission import AdmittedCall
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Refused
from caracal.authority.policy.recording import MAX_OPERATION, recorded
from caracal.authority.zones import Zone
from caracal_server.web.refusals import policy_digest

MAX_RESOURCE: Final = 512
MAX_TEXT: Final = 1024
"""Characters of a detail that are kept: callers choose how long they are."""


def allowed(request_id: str, zone: Zone, admitted: AdmittedCall, *, at: int) -> Entry:
    """An admitted call, before it goes upstream."""
    mandate, asked = admitted.mandate, admitted.asked
    application = zone.applications.get(mandate.application_id)
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL,
        zone=zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.ALLOW,
        application=mandate.application_id,
        application_name="" if application is None else application.name,
        subject=mandate.subject,
        subject_issuer=mandate.subject_issuer,
        session=mandate.session_id or "",
        delegations=mandate.delegation_path,
        resource=admitted.resource.identifier,
        operation=f"{admitted.call.method} {admitted.call.path}"[:MAX_OPERATION],
        scopes=asked.scopes.render(),
        mandate=mandate.id,
        policies=admitted.policies,
    )
    return recorded(entry, asked, policy_digest(zone))


def refused(
    request_id: str,
    zone: Zone,
    mandate: Mandate | None,
    resource: str,
    operation: str,
    refusal: Refused,
    *,
    at: int,
) -> Entry:
    """A refused call; without a `mandate` nobody was proven to have made it."""
    detail = refusal.detail[:MAX_TEXT]
    if mandate is None:
        return Entry(
            format=ENTRY_FORMAT,
            kind=Kind.CALL,
            zone=zone.id,
            at=at,
            request=request_id,
            verdict=Verdict.REFUSE,
            reason=refusal.reason,
            detail=detail,
            resource=resource[:MAX_RESOURCE],
            operation=operation[:MAX_OPERATION],
        )
    application = zone.applications.get(mandate.application_id)
    asked = refusal.asked
    scopes = mandate.scopes if asked is None else asked.scopes
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL,
        zone=zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.REFUSE,
        reason=refusal.reason,
        detail=detail,
        application=mandate.application_id,
        application_name="" if application is None else application.name,
        subject=mandate.subject,
        subject_issuer=mandate.subject_issuer,
        session=mandate.session_id or "",
        delegations=mandate.delegation_path,
        resource=resource[:MAX_RESOURCE],
        operation=operation[:MAX_OPERATION],
        scopes=scopes.render(),
        held="" if scopes == mandate.scopes else mandate.scopes.render(),
        mandate=mandate.id,
        policies=refusal.policies,
    )
    return recorded(entry, asked, policy_digest(zone))


def result(
    call: Entry,
    failure: Refused | None,
    *,
    at: int,
    status: int = 0,
    received_bytes: int = 0,
    sent_bytes: int = 0,
    duration_us: int = 0,
) -> Entry:
    """What became of the call whose admission is `call`.

    Clients choose request ids and may choose one twice: the mandate, used once, tells calls apart.
    """
    return Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL_RESULT,
        zone=call.zone,
        at=at,
        request=call.request,
        reason="" if failure is None else failure.reason,
        detail="" if failure is None else failure.detail[:MAX_TEXT],
        application=call.application,
        session=call.session,
        resource=call.resource,
        mandate=call.mandate,
        answers=call.request,
        status=status,
        received_bytes=received_bytes,
        sent_bytes=sent_bytes,
        duration_us=duration_us,
    )
