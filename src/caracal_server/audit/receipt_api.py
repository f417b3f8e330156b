"""`GET /v1/receipts/{reference}`: no token, because the reference is one."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.audit.receipts import Receipts
from caracal_server.web.asgi import NO_SNIFF, NO_STORE, TEXT, Reply
from caracal_server.web.limits import InFlight
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import read_query
from caracal_server.web.routes import Route, reply_response

MAX_AT_ONCE: Final = 128
"""Each may wait for a checkpoint; more are told to come back, so that nothing else waits for them."""


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    witnessed: bool = False


class ReceiptApi:
    """Serves receipts, so many at once."""

    def __init__(self, receipts: Receipts, *, at_once: int = MAX_AT_ONCE) -> None:
        self._receipts = receipts
        self._in_flight = InFlight(at_once)

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/v1/receipts/{reference}", self.receipt),)

    async def receipt(self, request: Request) -> Response:
        """The receipt as text; 404 for whatever is not the reference of an entry."""
        witnessed = read_query(request, _Query).witnessed
        with self._in_flight:
            outcome = await self._receipts.fetch(
                request.path_params["reference"], witnessed=witnessed
            )
        if isinstance(outcome, Refused):
            raise RequestRefused(Problem.of(outcome))
        return reply_response(Reply(200, (TEXT, NO_STORE, NO_SNIFF), outcome.encode()))
