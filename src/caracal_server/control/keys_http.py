"""The admin API of the keys that belong to no zone: sealing keys, and the key of the evidence logs."""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.control.gate import Admitted, Gate
from caracal_server.control.keys import ChangeLogKey
from caracal_server.control.resealing import Reseal
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.problems import Problem
from caracal_server.web.routes import Route, json_response


class ResealedView(msgspec.Struct, frozen=True):
    signing_keys: int
    credentials: int


class LogKeysView(msgspec.Struct, frozen=True):
    """How many keys sign for the evidence logs now."""

    signing: int


@dataclass(frozen=True, slots=True)
class KeyApi:
    """The handlers; `routes` is the table."""

    gate: Gate
    reseal: Reseal
    log_key: ChangeLogKey

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/keys/reseal", self.reseal_all),
            Route("POST", "/v1/evidence/key/rotate", self.rotate_log_key),
            Route("POST", "/v1/evidence/key/retire", self.retire_log_key),
        )

    async def reseal_all(self, request: Request) -> Response:
        admitted = await self._admit(request, "sealing keys")
        outcome = await self.reseal(admitted.act)
        if isinstance(outcome, Refused):
            raise await self.gate.refuse(admitted.act, Problem.of(outcome), "sealing keys")
        return json_response(ResealedView(outcome.signing_keys, outcome.credentials))

    async def rotate_log_key(self, request: Request) -> Response:
        admitted = await self._admit(request, "evidence logs")
        return await self._done(admitted, await self.log_key.rotate(admitted.act), signing=2)

    async def retire_log_key(self, request: Request) -> Response:
        admitted = await self._admit(request, "evidence logs")
        return await self._done(admitted, await self.log_key.retire(admitted.act), signing=1)

    async def _admit(self, request: Request, target: str) -> Admitted:
        return await self.gate.admit(request, OperatorScope.WRITE, target=target)

    async def _done(self, admitted: Admitted, refused: Refused | None, *, signing: int) -> Response:
        if refused is not None:
            raise await self.gate.refuse(admitted.act, Problem.of(refused), "evidence logs")
        return json_response(LogKeysView(signing))
