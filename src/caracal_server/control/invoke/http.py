"""`POST /v1/control/invoke`: one command of a control key. Open first: `InvokeApi.invoke`."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Reason, Refused
from caracal_server.control.admin.policies import validation
from caracal_server.control.control_mandates import ControlKeyCaller
from caracal_server.control.document_body import read_plain
from caracal_server.control.gate import Admitted, Gate
from caracal_server.control.invoke.answers import (
    Code,
    CommandRefused,
    refused_by,
    refused_reply,
)
from caracal_server.control.invoke.catalog import BY_NAME, KINDS, STATE, Command, describe
from caracal_server.control.invoke.desired_state import (
    Converge,
    DesiredState,
    want_scope,
)
from caracal_server.control.invoke.flags import (
    Flags,
    Value,
    body_of,
    check_flags,
    json_of,
    switch_of,
    text_of,
)
from caracal_server.control.invoke.inside import ZONE, Inside, InsideZone, Json
from caracal_server.web.bearer import bearer_token
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import read_body, receipts_of, request_id_of
from caracal_server.web.routes import Route, json_response, reply_response

MAX_BODY: Final = 256 * 1024
_Word = Annotated[str, msgspec.Meta(max_length=64)]


class Invocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last two say who else had a hand in it. Nobody proved that, so it counts for nothing."""

    command: _Word
    subcommand: _Word = ""
    flags: dict[str, Value | list[Value]] = {}
    authorized_by: Annotated[str, msgspec.Meta(max_length=256)] = ""
    co_author_operator: bool = False


class _Done(msgspec.Struct, frozen=True):
    result: object
    ok: bool = True


@dataclass(frozen=True, slots=True)
class InvokeApi:
    """The handler; `routes` is the table."""

    gate: Gate
    inside: Inside

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/v1/control/invoke", self.invoke),)

    async def invoke(self, request: Request) -> Response:
        """Prove the control key, use its mandate up, and carry out its one command."""
        try:
            caller = await self._caller(request)
            try:
                result = await self._carry_out(request, caller)
            except CommandRefused as refused:
                await self._record(request, caller, refused)
                raise
        except CommandRefused as refused:
            return reply_response(refused_reply(refused))
        return json_response(_Done(result))

    async def _caller(self, request: Request) -> ControlKeyCaller:
        mandates = self.gate.mandates
        if mandates is None:
            raise CommandRefused(Code.DISABLED, "control keys are not served here")
        token = bearer_token(request.scope["headers"])
        caller = token if isinstance(token, Refused) else mandates.prove(token)
        if isinstance(caller, Refused):
            raise CommandRefused(Code.UNAUTHORIZED, f"{caller.reason}: {caller.detail}")
        spent = await mandates.spend(caller)
        if spent is not None:
            replayed = spent.reason is Reason.MANDATE_REPLAYED
            code = Code.TOKEN_REPLAY if replayed else Code.UNAUTHORIZED
            raise CommandRefused(code, str(spent.reason), "ask for a new mandate for each command")
        return caller

    async def _carry_out(self, request: Request, caller: ControlKeyCaller) -> Json:
        if "x-caracal-zone-scope" in request.headers:
            raise CommandRefused(Code.DENIED, "zone scope: a control key has its own zone only")
        asked = await _read(request)
        check_flags(asked.flags)
        act = caller.act(request_id_of(request), receipts_of(request))
        admitted = Admitted(caller.operator, act, caller)
        zone = self.inside.on_behalf_of(request, admitted, caller.zone_id)
        scopes = frozenset[str](caller.mandate.scopes)
        if (asked.command, asked.subcommand) == ("catalog", "describe"):
            return describe()
        if asked.command == "state" and asked.subcommand in STATE:
            state = _state(json_of(asked.flags, "document"))
            return await _converge(zone, scopes, state, asked)
        if asked.command == "ensure" and asked.subcommand in KINDS:
            spec = {"kind": asked.subcommand, "spec": json_of(asked.flags, "spec")}
            return await _converge(zone, scopes, _state({"objects": [spec]}), asked)
        command = BY_NAME.get((asked.command, asked.subcommand))
        if command is None:
            raise CommandRefused(Code.DENIED, "there is no such command", "see catalog describe")
        want_scope(scopes, command.scope or "")
        return await _run(zone, command, asked.flags)

    async def _record(
        self, request: Request, caller: ControlKeyCaller, refused: CommandRefused
    ) -> None:
        """Put a command that was denied on record; what the admin API refused stands there already."""
        receipts = receipts_of(request)
        if refused.code is not Code.DENIED or receipts:
            return
        act = caller.act(request_id_of(request), receipts)
        problem = Problem(Reason.CONTROL_SCOPE_EXCEEDED, refused.reason)
        await self.gate.refuse(act, problem, "control/invoke", caller.zone_id)


async def _read(request: Request) -> Invocation:
    try:
        body = await read_body(request.receive, request.scope["headers"], MAX_BODY)
        return msgspec.convert(read_plain(body), Invocation)
    except RequestRefused as refused:
        raise refused_by(refused.problem) from None
    except msgspec.ValidationError as fault:
        raise CommandRefused(Code.INVALID, str(fault)) from None


async def _run(zone: InsideZone, command: Command, flags: Flags) -> Json:
    if not command.supported:
        named = f"{command.command} {command.subcommand}".strip()
        raise CommandRefused(Code.UNSUPPORTED, f"{named} is not served here")
    body = body_of(command, flags)
    if command.path == "/policies/validate":
        return await asyncio.to_thread(_validated, text_of(flags, "content"))
    where = {command.entry: text_of(flags, "id")} if command.entry else None
    path = f"{ZONE}{command.path}"
    carried = body if command.method in {"POST", "PATCH"} else None
    return await zone.ask(command.method, path, carried, where, writes=command.verb != "read")


def _validated(content: str) -> Json:
    """What the route for validation says, which is about no zone."""
    response = validation(content)
    said = msgspec.json.decode(bytes(response.body))
    if not said["valid"]:
        raise CommandRefused(Code.INVALID, f"{said['error']}: {said['error_description']}")
    return said


def _state(data: Json) -> DesiredState:
    try:
        return msgspec.convert(data, DesiredState)
    except msgspec.ValidationError as fault:
        raise CommandRefused(Code.INVALID, str(fault)) from None


async def _converge(
    zone: InsideZone, scopes: frozenset[str], state: DesiredState, asked: Invocation
) -> Json:
    known = {"document", "spec", "prune", "dry-run", "idempotency-key"}
    unknown = sorted(asked.flags.keys() - known)
    if unknown:
        raise CommandRefused(Code.INVALID, f"{asked.command} has no flag {unknown[0]}")
    dry = asked.subcommand in {"plan", "verify"} or switch_of(asked.flags, "dry-run")
    prune = state.prune or switch_of(asked.flags, "prune")
    return await Converge(zone, scopes, dry, prune)(state)
