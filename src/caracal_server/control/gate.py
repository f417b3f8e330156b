"""The way into every admin route: who operates, and what to do when the answer is no."""

from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.authentication import OperatorAuthentication
from caracal_server.control.operators import lacks
from caracal_server.control.settings import ControlSettings
from caracal_server.ports.operators import OperatorScope, OperatorToken
from caracal_server.ports.zones import ZoneRecord, ZoneStore
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import request_id_of


class Admitted(NamedTuple):
    """An operator whose token carries the scope, and the act that the request is."""

    operator: OperatorToken
    act: Act


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets operators in. What an authenticated operator is refused goes into the evidence."""

    settings: ControlSettings
    authentication: OperatorAuthentication
    store: ZoneStore
    acts: ActLog

    async def admit(
        self, request: Request, scope: OperatorScope, *, target: str, zone: str | None = None
    ) -> Admitted:
        """Find out who operates.

        Args:
            request: whose Authorization header holds the token.
            scope: what the token needs.
            target: what the act would be done to.
            zone: the name or id of the zone it is about; `None` when it is about no zone.

        Raises:
            RequestRefused: there is no such operator, or the token lacks the scope.
        """
        operator = await self.authentication.prove(request)
        if isinstance(operator, Refused):
            raise RequestRefused(Problem.of(operator))
        act = Act.of(operator, request_id_of(request))
        if scope not in operator.scopes:
            raise await self.refuse(act, Problem.of(lacks(operator, scope)), target, zone)
        return Admitted(operator, act)

    async def refuse(
        self, act: Act, problem: Problem, target: str, zone: str | None = None
    ) -> RequestRefused:
        """Record that an act was refused; return what to raise.

        Raises:
            Unavailable: it could not be recorded.
        """
        log: ZoneId | None = self.settings.system_log
        if zone is not None:
            record = await self.find(zone)
            log = None if record is None else record.id
        if log is not None:
            await self.acts.refused(log, act, problem.reason, target=target, detail=problem.detail)
        return RequestRefused(problem)

    async def find(self, reference: str) -> ZoneRecord | None:
        """The zone of that id or, when there is none, of that name."""
        records = await self.store.load_all()
        by_id = next((record for record in records if record.id == reference), None)
        return by_id or next((record for record in records if record.name == reference), None)

    async def zone(self, reference: str) -> ZoneRecord:
        """Find a zone by id or name.

        Raises:
            RequestRefused: there is none.
        """
        record = await self.find(reference)
        if record is None:
            raise RequestRefused(
                Problem(Reason.ZONE_UNKNOWN, "there is no zone of that id or name")
            )
        return record
