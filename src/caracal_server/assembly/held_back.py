"""A service's public listener before the service has what it needs: it lives, and serves nothing yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caracal.authority.outcomes import Reason
from caracal_server.ports.entropy import Entropy
from caracal_server.web.asgi import Application, Receive, Scope, Send, send_reply
from caracal_server.web.problems import Problem, render_problem_details
from caracal_server.web.requests import request_id

OWN_PATHS: Final = frozenset({"/health", "/ready", "/metrics"})


@dataclass(frozen=True, slots=True)
class HeldBack:
    """ASGI: health checks are answered always, everything else once the service has begun."""

    app: Application
    health: Application
    begun: Callable[[], bool]
    entropy: Entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] in OWN_PATHS:
            await self.health(scope, receive, send)
        elif self.begun():
            await self.app(scope, receive, send)
        else:
            problem = Problem(Reason.PEER_UNAVAILABLE)
            identity = request_id(scope["headers"], self.entropy)
            await send_reply(send, render_problem_details(problem, identity))
