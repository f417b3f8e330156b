"""The admin API of MCP servers' tools: what they are defined as, and what an operator accepts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.tool_pins import Pinning, ToolPin, refused_for
from caracal_server.control.gate import Gate
from caracal_server.control.tool_pins import AcceptTool
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem
from caracal_server.web.requests import read_json
from caracal_server.web.routes import Route, json_response

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which definition of which tool; the digest is that of the definition that was looked at."""

    resource: _Text
    tool: _Text
    digest: _Digest


class ToolView(msgspec.Struct, frozen=True):
    """`state` is `in_force` or `held`; definitions are the RFC 8785 forms, empty where there is none."""

    resource: str
    tool: str
    state: str
    digest: str
    definition: str
    held_digest: str
    held_definition: str
    seen_at: datetime
    accepted_by: str


class ToolList(msgspec.Struct, frozen=True):
    items: tuple[ToolView, ...]


@dataclass(frozen=True, slots=True)
class ToolApi:
    """The handlers; `routes` is the table."""

    gate: Gate
    accept_tool: AcceptTool

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/zones/{zone}/tools", self.tools),
            Route("POST", "/v1/zones/{zone}/tools/accept", self.accept),
        )

    async def tools(self, request: Request) -> Response:
        reference = request.path_params["zone"]
        await self.gate.admit(request, OperatorScope.READ, target=reference, zone=reference)
        return json_response(tool_list(await self.gate.zone(reference)))

    async def accept(self, request: Request) -> Response:
        reference = request.path_params["zone"]
        admitted = await self.gate.admit(
            request, OperatorScope.WRITE, target=reference, zone=reference
        )
        wanted = await read_json(request, AcceptRequest)
        record = await self.gate.zone(reference)
        accepted = await self.accept_tool(
            record.name, wanted.resource, wanted.tool, wanted.digest, admitted.act
        )
        if isinstance(accepted, Refused):
            variant = Variant.NOT_FOUND if accepted.reason is Reason.TOOL_UNKNOWN else None
            problem = Problem.of(accepted, variant)
            target = f"{wanted.resource} {wanted.tool}"
            raise await self.gate.refuse(admitted.act, problem, target, reference)
        return json_response(_view(wanted.resource, Pinning.ACCEPTED, accepted))


def tool_list(record: ZoneRecord) -> ToolList:
    """Everything known of the tools of a zone, by resource and name."""
    resources = {entry.id: entry for entry in record.resources}
    known = [(resources[pin.resource], pin) for pin in record.tool_pins]
    known.sort(key=lambda one: (one[0].identifier, one[1].tool))
    return ToolList(tuple(_view(one.identifier, one.definitions, pin) for one, pin in known))


def _view(resource: str, pinning: Pinning, pin: ToolPin) -> ToolView:
    return ToolView(
        resource=resource,
        tool=pin.tool,
        state="in_force" if refused_for(pinning, pin, pin.tool) is None else "held",
        digest=pin.digest,
        definition=pin.text,
        held_digest=pin.held,
        held_definition=pin.held_text,
        seen_at=pin.seen_at,
        accepted_by=pin.accepted_by,
    )
