"""Who acts on the logs, and the record of what operators were refused."""

from dataclasses import dataclass

from starlette.requests import Request

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.outcomes import Refused
from caracal_server.audit.logs import Logs
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import Authenticate, OperatorIdentity
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import request_id_of


@dataclass(frozen=True, slots=True)
class Acting:
    """Operators with the scope `write`; what a known one is refused goes on record in our own logs."""

    authenticate: Authenticate
    evidence: EvidenceLog
    logs: Logs
    clock: Clock

    async def actor(self, request: Request, target: str) -> str:
        """Who acts, as entries name them.

        Raises:
            RequestRefused: nobody known, or without the scope, which then is on record.
            Unavailable: it could not be recorded.
        """
        operator = await self.authenticate(request, OperatorScope.WRITE)
        if not isinstance(operator, Refused):
            return _named(operator)
        for scope in OperatorScope:
            known = await self.authenticate(request, scope)
            if not isinstance(known, Refused):
                raise await self.refused(request, _named(known), target, operator)
        raise RequestRefused(Problem.of(operator))

    async def refused(
        self, request: Request, actor: str, target: str, refused: Refused
    ) -> RequestRefused:
        """Put a refusal on record, and return it to be raised.

        Raises:
            Unavailable: it could not be recorded.
        """
        for zone_id in self.logs.settings.own_logs:
            await self.evidence.append(
                Entry(
                    format=ENTRY_FORMAT,
                    kind=Kind.ADMIN_REFUSED,
                    zone=zone_id,
                    at=self.clock.now_us(),
                    request=request_id_of(request),
                    verdict=Verdict.REFUSE,
                    reason=refused.reason,
                    target=target,
                    detail=refused.detail,
                    actor=actor,
                )
            )
        return RequestRefused(Problem.of(refused))


def _named(operator: OperatorIdentity) -> str:
    return f"{operator.name} ({operator.token_id})"
