"""The Gateway's entries: the decision on a call, and what became of it."""

import hashlib
from typing import Final

import msgspec
from msgspec.structs import replace

from caracal.authority.admission import AdmittedCall
from caracal.authority.events import ENTRY_FORMAT, CallError, Entry, Kind, Verdict
from caracal.authority.mandates import Mandate
from caracal.authority.mcp import McpRequest
from caracal.authority.outcomes import Refused
from caracal.authority.policy.recording import MAX_OPERATION, recorded
from caracal.authority.resources import Resource
from caracal.authority.zones import Zone
from caracal_server.web.refusals import policy_digest

MAX_RESOURCE: Final = 512
MAX_VALUES: Final = 16 * 1024
"""Characters of arguments that are kept; of more only the digest is."""
MAX_TEXT: Final = 1024
"""Characters of a detail that are kept: callers choose how long they are."""


def allowed(
    request_id: str, zone: Zone, admitted: AdmittedCall, *, at: int, query: bytes = b""
) -> Entry:
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
        operation=admitted.call.name[:MAX_OPERATION],
        scopes=asked.scopes.render(),
        mandate=mandate.id,
        arguments=arguments_of(admitted.call.mcp, query),
        argument_values=values_of(admitted.resource, admitted.call.mcp),
        policies=admitted.policies,
    )
    return recorded(_narrowed(entry, mandate), asked, policy_digest(zone))


def refused(
    request_id: str,
    zone: Zone,
    mandate: Mandate | None,
    resource: str,
    operation: str,
    refusal: Refused,
    *,
    at: int,
    arguments: str = "",
) -> Entry:
    """A refused call; without a `mandate` nobody was proven to have made it."""
    entry = Entry(
        format=ENTRY_FORMAT,
        kind=Kind.CALL,
        zone=zone.id,
        at=at,
        request=request_id,
        verdict=Verdict.REFUSE,
        reason=refusal.reason,
        detail=refusal.detail[:MAX_TEXT],
        resource=resource[:MAX_RESOURCE],
        operation=operation[:MAX_OPERATION],
        arguments=arguments,
    )
    if mandate is None:
        return entry
    asked, application = refusal.asked, zone.applications.get(mandate.application_id)
    scopes = mandate.scopes if asked is None else asked.scopes
    entry = replace(
        entry,
        application=mandate.application_id,
        application_name="" if application is None else application.name,
        subject=mandate.subject,
        subject_issuer=mandate.subject_issuer,
        session=mandate.session_id or "",
        delegations=mandate.delegation_path,
        scopes=scopes.render(),
        held="" if scopes == mandate.scopes else mandate.scopes.render(),
        mandate=mandate.id,
        policies=refusal.policies,
    )
    return recorded(_narrowed(entry, mandate), asked, policy_digest(zone))


def _narrowed(entry: Entry, mandate: Mandate) -> Entry:
    """The entry with what the mandate was narrowed from, and by which keys."""
    if not mandate.origins:
        return entry
    ids = tuple(origin.id for origin in mandate.origins)
    return replace(entry, narrowed=ids, holders=tuple(it.thumbprint for it in mandate.origins))


class Carried(msgspec.Struct, frozen=True):
    """What was carried of a call, and what ended it; as far as it came. Digests are hexadecimal."""

    status: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    duration_us: int = 0
    body: str = ""
    answer: str = ""
    error: CallError = CallError.NONE


def result(call: Entry, failure: Refused | None, carried: Carried, *, at: int) -> Entry:
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
        status=carried.status,
        received_bytes=carried.received_bytes,
        sent_bytes=carried.sent_bytes,
        duration_us=carried.duration_us,
        body=carried.body,
        answer=carried.answer,
        error=carried.error,
    )


def arguments_of(request: McpRequest | None, query: bytes) -> str:
    """The digest of a call's arguments: of a message's, or of the query of any other call."""
    if request is not None:
        return request.arguments
    return hashlib.sha256(query).hexdigest() if query else ""


def values_of(resource: Resource | None, request: McpRequest | None) -> str:
    """A message's arguments, where the resource wants them recorded and they are not too many."""
    if resource is None or request is None or not resource.record_arguments:
        return ""
    return request.said if len(request.said) <= MAX_VALUES else ""
