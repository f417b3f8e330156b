"""What stock clients may ask for and Caracal has nothing for: each route is refused, with what there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Reason
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.paging import Page
from caracal_server.control.admin.subjects import absent
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.routes import Handler, Route, json_response

_ZONE: Final = "/v1/zones/{zone}"
_GRANTS: Final = (
    "who may do what is said by the policy; a grant beside it would take no part in decisions"
)
_WORKLOADS: Final = "`caracal run` starts programs with an application's own secret"
_CONNECTIONS: Final = "Caracal stores no OAuth tokens of users"
_RECORDS: Final = "mandates are not stored; every exchange stands in the audit"

ABSENT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("POST", f"{_ZONE}/grants"): _GRANTS,
        ("DELETE", f"{_ZONE}/grants/{{grant}}"): _GRANTS,
        ("GET", f"{_ZONE}/workloads"): _WORKLOADS,
        ("POST", f"{_ZONE}/workloads"): _WORKLOADS,
        ("GET", f"{_ZONE}/workloads/{{workload}}"): _WORKLOADS,
        ("PUT", f"{_ZONE}/workloads/{{workload}}"): _WORKLOADS,
        ("DELETE", f"{_ZONE}/workloads/{{workload}}"): _WORKLOADS,
        ("POST", f"{_ZONE}/workloads/{{workload}}/rotate-secret"): _WORKLOADS,
        ("GET", f"{_ZONE}/workloads/{{workload}}/secret"): _WORKLOADS,
        ("GET", f"{_ZONE}/provider-connections"): _CONNECTIONS,
        ("POST", f"{_ZONE}/provider-connections"): _CONNECTIONS,
        ("POST", f"{_ZONE}/provider-connections/oauth/authorize"): _CONNECTIONS,
        ("POST", f"{_ZONE}/provider-connections/revoke"): _CONNECTIONS,
        ("GET", f"{_ZONE}/authority-records"): _RECORDS,
    }
)
"""Per method and path, what to do instead."""


@dataclass(frozen=True, slots=True)
class AdminAbsences:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits

    def routes(self) -> tuple[Route, ...]:
        grants = f"{_ZONE}/grants"
        return (
            Route("GET", grants, self.grants),
            Route("GET", f"{grants}/{{grant}}", self.grant),
            *(
                Route(method, path, self._refusing(advice, changes=method != "GET"))
                for (method, path), advice in ABSENT.items()
            ),
        )

    async def grants(self, request: Request) -> Response:
        """There are none, which is a true answer to whoever lists them."""
        await self.edits.look(request, request.path_params["zone"])
        return json_response(Page[str](()))

    async def grant(self, request: Request) -> Response:
        await self.edits.look(request, request.path_params["zone"])
        detail = "there are no grants beside the policy"
        raise RequestRefused(Problem(Reason.ENTRY_UNKNOWN, detail, AdminAnswer.GRANT_NOT_FOUND))

    def _refusing(self, advice: str, *, changes: bool) -> Handler:
        scope = OperatorScope.WRITE if changes else OperatorScope.READ

        async def refuse(request: Request) -> Response:
            zone = request.path_params["zone"]
            target = request.url.path.removeprefix("/v1/zones/")[:200]
            admitted = await self.edits.gate.admit(request, scope, target=target, zone=zone)
            refused = absent(advice)
            if not changes:
                raise refused
            raise await self.edits.gate.refuse(admitted.act, refused.problem, target, zone)

        return refuse
