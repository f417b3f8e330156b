"""Who calls: an application that holds a session mandate, or an operator."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from starlette.requests import Request

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import LIFECYCLE
from caracal.authority.zones import Application
from caracal.tokens.jws import RawToken
from caracal.tokens.refusal import TokenRefused
from caracal_server.coordinator.proofs import MandateProofs
from caracal_server.ports.clock import Clock
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.peers import LiveAuthority
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.bearer import bearer_token
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.operators import Authenticate, OperatorIdentity
from caracal_server.web.problems import Problem, RequestRefused

OPERATOR = "caracal-operator"
"""The subject that operators act as."""

_DOTS_IN_A_MANDATE = 2


@dataclass(frozen=True, slots=True)
class ApplicationCaller:
    application: Application
    mandate: Mandate


@dataclass(frozen=True, slots=True)
class OperatorCaller:
    operator: OperatorIdentity


Caller: TypeAlias = ApplicationCaller | OperatorCaller


def owns(caller: Caller, application_id: ApplicationId) -> bool:
    """Whether the caller may act on what belongs to the application; an operator always may."""
    return isinstance(caller, OperatorCaller) or caller.application.id == application_id


@dataclass(frozen=True, slots=True)
class Authentication:
    """Proves callers. Whatever is wrong is raised as `RequestRefused`.

    Raises:
        Unavailable: it is not known what has been revoked.
    """

    clock: Clock
    directory: ZoneDirectory
    proofs: MandateProofs
    authority: LiveAuthority
    operators: Authenticate

    def application(self, request: Request, zone_id: ZoneId) -> ApplicationCaller:
        """The application behind a session mandate of the zone."""
        return self._by_mandate(_bearer(request), zone_id)

    async def anyone(self, request: Request, zone_id: ZoneId, needed: OperatorScope) -> Caller:
        """An application, or an operator whose token carries the scope."""
        token = _bearer(request)
        if token.count(".") == _DOTS_IN_A_MANDATE:
            return self._by_mandate(token, zone_id)
        return await self._operator(request, zone_id, needed)

    async def operator(
        self, request: Request, zone_id: ZoneId, needed: OperatorScope
    ) -> OperatorCaller:
        """An operator whose token carries the scope; what this is for is no application's."""
        if _bearer(request).count(".") == _DOTS_IN_A_MANDATE:
            raise RequestRefused(
                Problem(
                    Reason.OPERATOR_SCOPE_MISSING,
                    "an operator token is needed, and not a mandate",
                    variant=Variant.OPERATOR_TOKEN_REQUIRED,
                )
            )
        return await self._operator(request, zone_id, needed)

    async def _operator(
        self, request: Request, zone_id: ZoneId, needed: OperatorScope
    ) -> OperatorCaller:
        operator = await self.operators(request, needed)
        if isinstance(operator, Refused):
            raise RequestRefused(Problem.of(operator))
        if self.directory.zone(zone_id) is None:
            raise RequestRefused(Problem(Reason.ZONE_UNKNOWN, f"there is no zone {zone_id}"))
        return OperatorCaller(operator)

    def _by_mandate(self, token: str, zone_id: ZoneId) -> ApplicationCaller:
        now = self.clock.now()
        mandate = self._verify(token, now)
        if LIFECYCLE not in mandate.scopes:
            raise RequestRefused(
                Problem(Reason.SCOPE_MISSING, f"the mandate lacks the scope {LIFECYCLE}")
            )
        if mandate.zone_id != zone_id:
            raise RequestRefused(
                Problem(Reason.MANDATE_ZONE, f"the mandate is not of the zone {zone_id}")
            )
        return ApplicationCaller(self._usable(mandate, now), mandate)

    def _verify(self, token: str, now: datetime) -> Mandate:
        try:
            return self.proofs.prove(RawToken(token.encode()), now)
        except TokenRefused as refused:
            raise RequestRefused(Problem(refused.reason, refused.detail)) from None

    def _usable(self, mandate: Mandate, now: datetime) -> Application:
        zone = self.directory.zone(mandate.zone_id)
        application = None if zone is None else zone.applications.get(mandate.application_id)
        if application is None or not application.usable(now):
            raise RequestRefused(
                Problem(
                    Reason.CLIENT_UNKNOWN,
                    "the application is not registered any more",
                    variant=Variant.IDENTITY_REVOKED,
                )
            )
        if self.authority.revocation(mandate) is not None:
            raise RequestRefused(Problem(Reason.MANDATE_REVOKED))
        return application


def _bearer(request: Request) -> str:
    token = bearer_token(request.scope["headers"])
    if isinstance(token, Refused):
        raise RequestRefused(Problem.of(token))
    return token
