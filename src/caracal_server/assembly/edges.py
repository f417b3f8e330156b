"""The two applications that are listened on: the control side and the data side."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.assembly.installed import installed
from caracal_server.assembly.log_keys import log_key_routes
from caracal_server.assembly.parts import Administration, Foundations
from caracal_server.assembly.start_entry import RELEASE
from caracal_server.control.admin.api import AdminApi
from caracal_server.control.control_mandates import ControlMandates
from caracal_server.control.gate import Gate
from caracal_server.control.http import ZoneApi
from caracal_server.control.invoke.http import InvokeApi
from caracal_server.control.invoke.inside import Inside
from caracal_server.control.keys_http import KeyApi
from caracal_server.control.operators_http import OperatorApi
from caracal_server.control.tools_http import ToolApi
from caracal_server.control.views import InstallationView
from caracal_server.coordinator.service import Coordinator
from caracal_server.sts.http import StsApp, serves
from caracal_server.web.asgi import Application, Receive, Scope, Send
from caracal_server.web.health import Readiness, health_routes
from caracal_server.web.problems import render_admin, render_coordinator
from caracal_server.web.routes import Edge, Route


@dataclass(frozen=True, slots=True)
class ControlSide:
    """The STS, the Coordinator, and everything under `/v1`, on one listener."""

    sts: Application
    coordinator: Application
    administration: Application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if serves(path):
            await self.sts(scope, receive, send)
        elif path.startswith("/zones/"):
            await self.coordinator(scope, receive, send)
        else:
            await self.administration(scope, receive, send)


def make_control_side(
    base: Foundations,
    sts: StsApp,
    coordinator: Coordinator,
    administration: Administration,
    readiness: Readiness,
    registry: CollectorRegistry,
) -> ControlSide:
    gate = Gate(
        administration.settings,
        administration.authentication,
        base.stores.zones,
        administration.acts,
        ControlMandates(
            clock=base.clock,
            directory=base.zones,
            keys=base.zone_keys,
            used=SingleUseInMemory(started_at=base.clock.now()),
            issuer=sts.settings.issuer,
            audience=sts.control.audience,
        ),
    )
    zones = ZoneApi(
        gate=gate,
        apply=administration.apply,
        rotate=administration.rotate,
        renew=administration.renew,
        operators=administration.operators,
        readiness=readiness,
        counts=base.graphs.counts,
        version=RELEASE,
        installation=InstallationView(*installed().shown),
    )
    admin = _admin_routes(base, administration, gate)
    routes = (
        *health_routes(readiness, registry),
        *zones.routes(),
        *admin,
        *ToolApi(gate, administration.accept_tool).routes(),
        *OperatorApi(gate, administration.operators).routes(),
        *KeyApi(gate, administration.reseal).routes(),
        *base.audit.routes(administration.authentication),
        *coordinator.admin_routes,
        *log_key_routes(base.audit, base.ring, base.entropy, administration.authentication),
    )
    return ControlSide(
        sts=sts,
        coordinator=Edge(coordinator.routes, refuse=render_coordinator, entropy=base.entropy),
        administration=Edge(routes, refuse=render_admin, entropy=base.entropy),
    )


def _admin_routes(
    base: Foundations, administration: Administration, gate: Gate
) -> tuple[Route, ...]:
    """What stock admin clients find, and the commands of control keys, which go the same way."""
    library = base.stores.policies
    admin = AdminApi(gate, administration.apply, administration.renew, library).routes()
    return (*admin, *InvokeApi(gate, Inside.over(admin)).routes())
