"""The way into every admin route: who operates, and what to do when the answer is no."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.requests import Request

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.authentication import OperatorAuthentication
from caracal_server.control.control_mandates import (
    ControlKeyCaller,
    ControlMandates,
    is_mandate,
)
from caracal_server.control.operators import lacks
from caracal_server.control.settings import ControlSettings
from caracal_server.ports.operators import OperatorScope, OperatorToken
from caracal_server.ports.zones import ZoneRecord, ZoneStore
from caracal_server.web.bearer import bearer_token
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import receipts_of, request_id_of

ADMITTED: Final = "caracal.admitted"
"""Where a request that is made inside says who was admitted. Nothing outside can put anything there."""


class Admitted(NamedTuple):
    """An operator whose token carries the scope, and the act that the request is.

    Attributes:
        key: the control key that stands in for an operator, of its own zone only.
    """

    operator: OperatorToken
    act: Act
    key: ControlKeyCaller | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets operators in. What an authenticated operator is refused goes into the evidence."""

    settings: ControlSettings
    authentication: OperatorAuthentication
    store: ZoneStore
    acts: ActLog
    mandates: ControlMandates | None = None

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
            Unavailable: a refusal could not be recorded.
        """
        inside = request.scope.get(ADMITTED)
        if isinstance(inside, Admitted):
            return await self._admit_again(inside, scope, target, zone)
        token = bearer_token(request.scope["headers"])
        if self.mandates is not None and not isinstance(token, Refused) and is_mandate(token):
            return await self._admit_key(self.mandates, token, request, scope, target, zone)
        operator = await self.authentication.prove(request)
        if isinstance(operator, Refused):
            raise RequestRefused(Problem.of(operator))
        act = Act.of(operator, request_id_of(request), receipts_of(request))
        if scope not in operator.scopes:
            raise await self.refuse(act, Problem.of(lacks(operator, scope)), target, zone)
        return Admitted(operator, act)

    async def _admit_again(
        self, admitted: Admitted, scope: OperatorScope, target: str, zone: str | None
    ) -> Admitted:
        """Hold a control key, whose mandate is used up, to its zone and to what its command may do."""
        key = admitted.key
        record = None if zone is None else await self.find(zone)
        if key is None or record is None or record.id != key.zone_id:
            problem = Problem(
                Reason.CONTROL_KEY_ZONE, "this is not about the zone of the control key"
            )
            raise await self.refuse(admitted.act, problem, target)
        if scope not in admitted.operator.scopes:
            raise await self.refuse(admitted.act, Problem.of(key.lacks(scope)), target, zone)
        return admitted

    async def _admit_key(
        self,
        mandates: ControlMandates,
        token: str,
        request: Request,
        scope: OperatorScope,
        target: str,
        zone: str | None,
    ) -> Admitted:
        key = mandates.prove(token)
        if isinstance(key, Refused):
            raise RequestRefused(Problem.of(key))
        act = key.act(request_id_of(request), receipts_of(request))
        refused = await mandates.spend(key) or await self._beyond(key, scope, zone)
        if refused is not None:
            raise await self.refuse(act, Problem.of(refused), target, key.zone_id)
        return Admitted(key.operator, act, key)

    async def _beyond(
        self, key: ControlKeyCaller, scope: OperatorScope, zone: str | None
    ) -> Refused | None:
        record = None if zone is None else await self.find(zone)
        if record is None or record.id != key.zone_id:
            return Refused(Reason.CONTROL_KEY_ZONE, "this is not about the zone of the control key")
        return None if scope in key.operator.scopes else key.lacks(scope)

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
