"""Which call goes through: a verified mandate, one call, and the rules of the zone."""

from datetime import datetime

import msgspec

from caracal.authority.chain_standing import root_application
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.mcp import McpRequest, NameRule, ResourceKind, Target
from caracal.authority.mcp_admission import needed_by_mcp
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.asking import ask_policy
from caracal.authority.policy.requests import Asked, Phase
from caracal.authority.resources import Enforcement, Operation, Resource
from caracal.authority.scopes import LIFECYCLE, ScopeSet
from caracal.authority.sessions import Session
from caracal.authority.tool_pins import refused_for
from caracal.authority.zones import Zone


class Call(msgspec.Struct, frozen=True):
    """One call as it arrived.

    Attributes:
        method: of HTTP; of the message, when it is for an MCP server.
        segments: the decoded path, split at its slashes; proven free of traversal.
        mcp: what it asks of an MCP server.
    """

    resource: str
    method: str
    segments: tuple[str, ...]
    mcp: McpRequest | None = None

    @classmethod
    def to_mcp(cls, resource: str, request: McpRequest) -> "Call":
        """A call to an MCP server: what policy and evidence know as its path is the name in it."""
        return cls(resource, request.method, (), request)

    @property
    def path(self) -> str:
        return "/" + "/".join(self.segments) if self.mcp is None else self.mcp.name

    @property
    def name(self) -> str:
        """As entries name it: `GET /items/7`, `tools/call search`, `tools/list`."""
        return f"{self.method} {self.path}" if self.path else self.method


class AdmittedCall(msgspec.Struct, frozen=True):
    """A call that may go upstream. Only `decide_admission` makes one.

    Attributes:
        asked: what was put to policy.
    """

    mandate: Mandate
    resource: Resource
    call: Call
    operation: Operation | NameRule | None
    policies: tuple[str, ...]
    asked: Asked


def decide_admission(
    zone: Zone, mandate: Mandate, session: Session | None, call: Call, *, now: datetime
) -> AdmittedCall | Refused:
    """Decide on one call with a verified mandate of the zone.

    Liveness is judged here a second time, and policy too: what changed since the mandate was minted
    counts at once. Revocation and single use are judged before this.
    """
    if session is None or not session.live(now):
        return Refused(Reason.SESSION_NOT_LIVE, "the session of this mandate has ended")
    application = zone.applications.get(mandate.application_id)
    if application is None or not application.usable(now):
        return Refused(Reason.CLIENT_UNKNOWN, "the application is not registered any more")
    root = root_application(zone, mandate.chain, application, now=now)
    if isinstance(root, Refused):
        return root
    resource = zone.resource(call.resource)
    if resource is None:
        return Refused(Reason.RESOURCE_UNKNOWN, f"the zone has no resource {call.resource!r}")
    if resource.identifier not in mandate.resources:
        return Refused(Reason.TARGET_MISMATCH, f"the mandate is not for {resource.identifier}")
    needed = _unfit(resource, mandate) or _needed(zone, resource, mandate, call)
    if isinstance(needed, Refused):
        return needed
    operation, scopes = needed
    asked = Asked(
        phase=Phase.CALL,
        application=application.name,
        scopes=scopes,
        resources=(resource.identifier,),
        session_labels=session.labels,
        session_lifecycle=session.lifecycle,
        session_depth=session.depth,
        hops=mandate.hops,
        root_application=root.name,
        operation=_declared(operation, call),
        method=call.method,
        path=call.path,
        undeclared=ScopeSet(scopes.scopes - (resource.scopes.scopes - {LIFECYCLE})),
        arguments="" if call.mcp is None else call.mcp.said,
        hypothetical=call.mcp is not None and call.mcp.hypothetical,
    )
    permitted = ask_policy(zone.policy, asked, resource.identifier)
    if isinstance(permitted, Refused):
        return permitted
    return AdmittedCall(mandate, resource, call, operation, permitted, asked)


def _definition_refused(zone: Zone, resource: Resource, request: McpRequest) -> Refused | None:
    if request.target is not Target.TOOL:
        return None
    pin = zone.tool_pins.get((resource.id, request.name))
    return refused_for(resource.definitions, pin, request.name)


def _unfit(resource: Resource, mandate: Mandate) -> Refused | None:
    """Why a mandate of its class is not for this resource."""
    if mandate.mandate_class is MandateClass.GATEWAY:
        return None
    if mandate.mandate_class is MandateClass.ACCESS and resource.endpoint:
        return None
    return Refused(
        Reason.MANDATE_CLASS, f"a gateway mandate is needed, not a {mandate.mandate_class} one"
    )


def _declared(operation: Operation | NameRule | None, call: Call) -> str:
    """The operation as the resource declares it."""
    if isinstance(operation, NameRule):
        return f"{call.method} {operation.pattern}"
    if operation is None:
        return "" if call.mcp is None else call.method
    return operation.name


def _needed(
    zone: Zone, resource: Resource, mandate: Mandate, call: Call
) -> tuple[Operation | NameRule | None, ScopeSet] | Refused:
    """The operation that the call is, and the scopes that policy is asked about."""
    if (resource.kind is ResourceKind.MCP) is not (call.mcp is not None):
        return Refused(
            Reason.OPERATION_UNDECLARED, f"{resource.identifier} is another kind of resource"
        )
    if call.mcp is not None:
        needed = needed_by_mcp(resource, mandate.scopes, call.mcp)
        if isinstance(needed, Refused):
            return needed
        return _definition_refused(zone, resource, call.mcp) or needed
    operation = resource.operations.match(call.method, call.segments)
    if resource.enforcement is Enforcement.TRANSPORT_UNIFORM:
        if not len(mandate.scopes):
            return Refused(Reason.SCOPE_MISSING, "the mandate carries no scope")
        return operation, mandate.scopes
    if operation is None:
        return Refused(
            Reason.OPERATION_UNDECLARED,
            f"{call.method} {call.path} is not a declared operation of {resource.identifier}",
        )
    if operation.scope not in mandate.scopes:
        return Refused(
            Reason.OPERATION_SCOPE_MISSING,
            f"{operation.name} needs the scope {operation.scope}; the mandate carries: "
            f"{mandate.scopes.render() or 'none'}",
            held=mandate.scopes.render(),
        )
    return operation, ScopeSet(frozenset({operation.scope}))
