"""Requests to the admin API that are made inside, by a control key that was proven for one command."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request

from caracal_server.control.gate import ADMITTED, Admitted
from caracal_server.control.invoke.answers import Code, CommandRefused, refused_by
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import Message
from caracal_server.web.problems import RequestRefused
from caracal_server.web.routes import Handler, Route

ZONE: Final = "/v1/zones/{zone}"
_REFUSED: Final = 400
_READ: Final = frozenset({OperatorScope.READ})
_WRITE: Final = frozenset({OperatorScope.READ, OperatorScope.WRITE})

Json = Any
"""A value as JSON has it; what it holds is what the admin API says."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The admin API as commands use it."""

    handlers: Mapping[tuple[str, str], Handler]

    @classmethod
    def over(cls, routes: Iterable[Route]) -> "Inside":
        return cls({(route.method, route.path): route.handler for route in routes})

    def on_behalf_of(self, request: Request, admitted: Admitted, zone: str) -> "InsideZone":
        return InsideZone(self.handlers, request, admitted, zone)


@dataclass(frozen=True, slots=True)
class InsideZone:
    """The admin API of one zone, as one control key may use it for one command."""

    handlers: Mapping[tuple[str, str], Handler]
    outer: Request
    admitted: Admitted
    zone: str

    async def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        parameters: Mapping[str, str] | None = None,
        *,
        writes: bool,
    ) -> Json:
        """Make a request, and return what is answered; of a list, its items.

        Raises:
            CommandRefused: there is no such route, or it refused.
            Unavailable: as the route raises it.
        """
        handler = self.handlers.get((method, path))
        if handler is None:
            raise CommandRefused(Code.UNSUPPORTED, f"{method} {path} is not served")
        request = self._request(method, body, parameters or {}, writes=writes)
        try:
            response = await handler(request)
        except RequestRefused as refused:
            raise refused_by(refused.problem) from None
        answer: Json = json.loads(bytes(response.body)) if response.body else None
        if response.status_code >= _REFUSED:
            raise CommandRefused(Code.INVALID, f"{answer['error']}: {answer['error_description']}")
        if isinstance(answer, dict) and answer.keys() == {"items", "next_cursor"}:
            return answer["items"]
        return answer

    def _request(
        self, method: str, body: Json, parameters: Mapping[str, str], *, writes: bool
    ) -> Request:
        content = b"" if body is None else json.dumps(body).encode()
        operator = replace(self.admitted.operator, scopes=_WRITE if writes else _READ)
        scope = {
            **self.outer.scope,
            "method": method,
            "query_string": b"",
            "headers": [(b"content-length", str(len(content)).encode())],
            "path_params": {"zone": self.zone, **parameters},
            ADMITTED: self.admitted._replace(operator=operator),
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        return Request(scope, receive)
