"""A table of routes as an ASGI application: Starlette finds the route, everything else is here."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as PathRoute
from starlette.routing import Router

from caracal.authority.outcomes import Reason
from caracal_server.ports.entropy import Entropy
from caracal_server.web.asgi import (
    JSON_HEADERS,
    Message,
    Receive,
    Reply,
    Scope,
    Send,
    send_reply,
)
from caracal_server.web.limits import InFlight
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import (
    Problem,
    Renderer,
    RequestRefused,
    nothing_here,
    problem_of,
)
from caracal_server.web.receipts import receipt_headers, receipted
from caracal_server.web.requests import assign_request_id, receipts_of

Handler = Callable[[Request], Awaitable[Response]]

MAX_IN_FLIGHT: Final = 1000
_encode = msgspec.json.Encoder().encode


class Route(NamedTuple):
    """One line of the table: `path` as in `/zones/{zone}/agents`.

    A route that is not `bounded` is served whatever else is in flight, as health checks must be.
    """

    method: str
    path: str
    handler: Handler
    bounded: bool = True


class Edge:
    """Serves a table of routes.

    Every request gets an id, every answer carries it, and whatever a handler raises is rendered as
    the edge's kind of problem. An exception after the answer began ends the connection: the client
    sees that the answer is not whole.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        refuse: Renderer,
        entropy: Entropy,
        in_flight: InFlight | None = None,
    ) -> None:
        """Build the table.

        Args:
            routes: the first whose path fits is taken, so literal paths stand before templates.
            refuse: renders what goes wrong.
            entropy: makes the ids of requests that bring none.
            in_flight: the bound on concurrent requests; shared when several edges share it.

        Raises:
            ValueError: a method and path appear twice.
        """
        self._refuse = refuse
        self._entropy = entropy
        bound = in_flight or InFlight(MAX_IN_FLIGHT)
        paths = [PathRoute(path, _Methods(by, bound)) for path, by in _by_path(routes).items()]
        self._router = Router(paths, redirect_slashes=False, default=_no_such_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        request_id = assign_request_id(scope, self._entropy)
        receipts = receipts_of(Request(scope))
        answer = _Answer(send, request_id, receipts)
        try:
            await self._router(scope, receive, answer.send)
        except Exception as fault:  # noqa: BLE001 (the edge: whatever it is, the answer is no)
            problem = problem_of(fault, request_id)
            if answer.began:
                raise AnswerCutShort(problem.reason) from None
            if receipts:
                problem = receipted(problem, receipts[-1])
            await send_reply(send, self._refuse(problem, request_id))


class AnswerCutShort(Exception):
    """An answer could not be completed; tells the HTTP server to end the connection."""


def json_response(value: object, status: int = 200) -> Response:
    """Answer with a value rendered as JSON."""
    return reply_response(Reply(status, JSON_HEADERS, _encode(value)))


def reply_response(reply: Reply) -> Response:
    """Answer with bytes that are ready."""
    response = Response(reply.body, reply.status)
    response.raw_headers.extend(reply.headers)
    return response


class _Methods:
    """What the methods of one path do."""

    def __init__(self, routes: Mapping[str, Route], in_flight: InFlight) -> None:
        self._routes = dict(routes)
        if "GET" in self._routes:
            self._routes.setdefault("HEAD", self._routes["GET"])
        self._allow = ", ".join(sorted(self._routes))
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["method"])
        if route is None:
            raise RequestRefused(
                Problem(
                    Reason.METHOD_UNSUPPORTED,
                    f"this path takes {self._allow}",
                    variant=Variant.METHOD_NOT_ALLOWED,
                    headers=((b"allow", self._allow.encode()),),
                )
            )
        with self._in_flight if route.bounded else nullcontext():
            response = await route.handler(Request(scope, receive))
            await response(scope, receive, send)


class _Answer:
    """Puts the request id and the receipt on an answer and knows whether it has begun."""

    def __init__(self, send: Send, request_id: str, receipts: Sequence[str]) -> None:
        self._send = send
        self._receipts = receipts
        self._request_id = (b"x-request-id", request_id.encode())
        self.began = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            receipt = receipt_headers(self._receipts[-1]) if self._receipts else ()
            message["headers"] = [*message["headers"], self._request_id, *receipt]
        await self._send(message)


def _by_path(routes: Iterable[Route]) -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_method = table.setdefault(route.path, {})
        if route.method in by_method:
            raise ValueError(f"{route.method} {route.path} appears twice")
        by_method[route.method] = route
    return table


async def _no_such_path(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RequestRefused(nothing_here())
