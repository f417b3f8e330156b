"""The admin API of operator tokens."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal_server.control.document_texts import Instant
from caracal_server.control.gate import Gate
from caracal_server.control.operators import Operators
from caracal_server.control.views import OperatorList, new_operator_view, operator_view
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import NO_STORE, Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem
from caracal_server.web.requests import read_json
from caracal_server.web.routes import Route, json_response, reply_response

# `$` alone would let a line break pass at the end.
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)")]


class OperatorRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new token is called and may do; without `expires_at` it lasts until it is revoked."""

    name: _Name
    scopes: Annotated[tuple[OperatorScope, ...], msgspec.Meta(min_length=1, max_length=3)]
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class OperatorApi:
    """The handlers; `routes` is the table."""

    gate: Gate
    operators: Operators

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/operators", self.list),
            Route("POST", "/v1/operators", self.create),
            Route("DELETE", "/v1/operators/{token}", self.revoke),
        )

    async def list(self, request: Request) -> Response:
        await self.gate.admit(request, OperatorScope.READ, target="operators")
        return json_response(OperatorList(tuple(map(operator_view, self.operators.list()))))

    async def create(self, request: Request) -> Response:
        """Make a token; the answer is the only place where it is ever shown."""
        admitted = await self.gate.admit(request, OperatorScope.WRITE, target="operators")
        wanted = await read_json(request, OperatorRequest)
        made = await self.operators.create(
            wanted.name, wanted.scopes, wanted.expires_at, admitted.operator, admitted.act
        )
        if isinstance(made, Refused):
            raise await self.gate.refuse(admitted.act, Problem.of(made), wanted.name)
        return json_response(new_operator_view(made), 201)

    async def revoke(self, request: Request) -> Response:
        token_id = request.path_params["token"]
        admitted = await self.gate.admit(request, OperatorScope.WRITE, target=token_id)
        gone = await self.operators.revoke(token_id, admitted.act)
        if isinstance(gone, Refused):
            problem = Problem.of(gone, _variant(self.operators, token_id))
            raise await self.gate.refuse(admitted.act, problem, token_id)
        return reply_response(Reply(204, (NO_STORE,)))


def _variant(operators: Operators, token_id: str) -> Variant | None:
    known = any(token.id == token_id for token in operators.list())
    return None if known else Variant.NOT_FOUND
