"""Which access mandate a client of an MCP server gets: what it asks for, as far as policy permits it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from caracal.authority.exchange import Granted
from caracal.authority.mandates import ACCESS_LIFETIME, MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.asking import ask_policy
from caracal.authority.policy.requests import Asked, Phase
from caracal.authority.resources import Resource
from caracal.authority.scopes import LIFECYCLE, NO_SCOPES, ScopeSet
from caracal.authority.sessions import Lifecycle
from caracal.authority.zones import Application, Zone

CLIENT_LABEL: Final = "mcp-client"
"""The label of the sessions that access mandates rest on: what policies can tell them by."""


class AccessRequest(msgspec.Struct, frozen=True):
    """What a proven client asks for; no scopes mean all that the MCP server has."""

    resource: Resource
    scopes: ScopeSet
    lifetime: timedelta = ACCESS_LIFETIME

    @property
    def wanted(self) -> ScopeSet:
        return self.scopes if len(self.scopes) else reachable(self.resource)


def reachable(resource: Resource) -> ScopeSet:
    """The scopes of a resource that a client can ask for."""
    return ScopeSet(resource.scopes.scopes - {LIFECYCLE})


def decide_access(
    zone: Zone, client: Application, request: AccessRequest, *, now: datetime
) -> Granted | Refused:
    """Decide on an access mandate. Scopes that policy does not permit are left out; none left is a no.

    Source: RFC 6749 section 3.3; docs/adr/0013.
    """
    resource, wanted = request.resource, request.wanted
    if not resource.endpoint:
        return Refused(Reason.RESOURCE_UNKNOWN, f"{resource.identifier} has no endpoint")
    if not wanted.within(reachable(resource)):
        unknown = wanted.without(reachable(resource)).render()
        return Refused(Reason.SCOPE_UNKNOWN, f"{resource.identifier} does not declare: {unknown}")
    question = Asked(
        phase=Phase.EXCHANGE,
        application=client.name,
        scopes=wanted,
        resources=(resource.identifier,),
        session_labels=(CLIENT_LABEL,),
        session_lifecycle=Lifecycle.TASK,
        root_application=client.name,
    )
    permitted = NO_SCOPES.scopes
    policies: dict[str, None] = {}
    refusal = Refused(Reason.SCOPE_MISSING, f"{resource.identifier} has no scopes")
    for scope in wanted:
        one = msgspec.structs.replace(question, scopes=ScopeSet(frozenset({scope})))
        answer = ask_policy(zone.policy, one, resource.identifier)
        if not isinstance(answer, Refused):
            permitted |= {scope}
            policies.update(dict.fromkeys(answer))
        elif refusal.asked is None:
            refusal = replace(answer, asked=question)
    if not permitted:
        return refusal
    scopes = ScopeSet(permitted)
    return Granted(
        mandate_class=MandateClass.ACCESS,
        resources=(resource,),
        scopes=scopes,
        expires_at=now + request.lifetime,
        held=None,
        policies=tuple(policies),
        asked=msgspec.structs.replace(question, scopes=scopes),
    )
