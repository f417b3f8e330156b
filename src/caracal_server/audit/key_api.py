"""The API that changes the key of the logs, for operators with the scope `write`."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.audit.operators import Acting
from caracal_server.audit.succession import LogKeyChange
from caracal_server.web.requests import request_id_of
from caracal_server.web.routes import Route, json_response

_TARGET: Final = "evidence logs"

Change = Callable[[str, str], Awaitable[Refused | None]]


class LogKeysView(msgspec.Struct, frozen=True):
    """How many keys sign for the evidence logs now."""

    signing: int


class LogKeyApi:
    """The handlers; `routes` is the table."""

    def __init__(self, change: LogKeyChange, acting: Acting) -> None:
        self._change = change
        self._acting = acting

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
        actor = await self._acting.actor(request, _TARGET)
        refused = await change(actor, request_id_of(request))
        if refused is not None:
            raise await self._acting.refused(request, actor, _TARGET, refused)
