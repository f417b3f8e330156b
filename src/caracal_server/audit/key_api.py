"""The API that changes the key of the logs, for operators with the scope `write`."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.audit.succession import LogKeyChange
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import Authenticate
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import request_id_of
from caracal_server.web.routes import Route, json_response

Change = Callable[[str, str], Awaitable[Refused | None]]


class LogKeysView(msgspec.Struct, frozen=True):
    """How many keys sign for the evidence logs now."""

    signing: int


class LogKeyApi:
    """The handlers; `routes` is the table."""

    def __init__(self, change: LogKeyChange, authenticate: Authenticate) -> None:
        self._change = change
        self._authenticate = authenticate

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/evidence/key/rotate", self.rotate),
            Route("POST", "/v1/evidence/key/retire", self.retire),
        )

    async def rotate(self, request: Request) -> Response:
        await self._act(request, self._change.rotate)
        return json_response(LogKeysView(2))

    async def retire(self, request: Request) -> Response:
        await self._act(request, self._change.retire)
        return json_response(LogKeysView(1))

    async def _act(self, request: Request, change: Change) -> None:
        """Do it on behalf of an operator; what a known one is refused goes on record."""
        operator = await self._authenticate(request, OperatorScope.WRITE)
        if isinstance(operator, Refused):
            await self._record_known(request, operator)
            raise RequestRefused(Problem.of(operator))
        actor = f"{operator.name} ({operator.token_id})"
        refused = await change(actor, request_id_of(request))
        if refused is not None:
            await self._change.record_refused(actor, request_id_of(request), refused)
            raise RequestRefused(Problem.of(refused))

    async def _record_known(self, request: Request, refused: Refused) -> None:
        for scope in OperatorScope:
            known = await self._authenticate(request, scope)
            if not isinstance(known, Refused):
                actor = f"{known.name} ({known.token_id})"
                await self._change.record_refused(actor, request_id_of(request), refused)
                return
