"""Who operates, as found in a request's Authorization header."""

from dataclasses import dataclass

from starlette.requests import Request

from caracal.authority.outcomes import Reason, Refused
from caracal_server.control.operators import Operators
from caracal_server.ports.operators import OperatorScope, OperatorToken
from caracal_server.web.bearer import bearer_token
from caracal_server.web.operators import OperatorIdentity


@dataclass(frozen=True, slots=True)
class OperatorAuthentication:
    """Implements `web.operators.Authenticate` for every edge of the control side."""

    operators: Operators

    async def __call__(self, request: Request, scope: OperatorScope) -> OperatorIdentity | Refused:
        token = bearer_token(request.scope["headers"])
        if isinstance(token, Refused):
            return _as_operator(token)
        found = await self.operators.authenticate(token, scope)
        if isinstance(found, Refused):
            return found
        return OperatorIdentity(found.id, found.name, found.scopes)

    async def prove(self, request: Request) -> OperatorToken | Refused:
        """Find the operator, whatever the scopes."""
        token = bearer_token(request.scope["headers"])
        if isinstance(token, Refused):
            return _as_operator(token)
        return await self.operators.prove(token)


def _as_operator(refused: Refused) -> Refused:
    """The header holds no token: what is missing here is an operator's, not a mandate."""
    if refused.reason is Reason.HEADER_DUPLICATE:
        return refused
    return Refused(Reason.OPERATOR_UNKNOWN, refused.detail)
