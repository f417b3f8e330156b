"""The admin API of the sealing keys, which belong to no zone."""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.control.gate import Gate
from caracal_server.control.resealing import Reseal
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.problems import Problem
from caracal_server.web.routes import Route, json_response


class ResealedView(msgspec.Struct, frozen=True):
    signing_keys: int
    credentials: int


@dataclass(frozen=True, slots=True)
class KeyApi:
    """The handlers; `routes` is the table."""

    gate: Gate
    reseal: Reseal

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/v1/keys/reseal", self.reseal_all),)

    async def reseal_all(self, request: Request) -> Response:
        admitted = await self.gate.admit(request, OperatorScope.WRITE, target="sealing keys")
        outcome = await self.reseal(admitted.act)
        if isinstance(outcome, Refused):
            raise await self.gate.refuse(admitted.act, Problem.of(outcome), "sealing keys")
        return json_response(ResealedView(outcome.signing_keys, outcome.credentials))
