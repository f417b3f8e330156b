"""`GET /zones/{zone}/revocations`: what ended in a zone, as server-sent events."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.wire.revocation_feed import (
    MEDIA_TYPE,
    InvalidMessage,
    last_event_id,
    render_alive,
    render_told,
)
from caracal_server.coordinator.callers import ApplicationCaller, Authentication, Caller
from caracal_server.coordinator.news import Batch, NewsDesk
from caracal_server.ports.clock import Clock
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import NO_SNIFF, NO_STORE, Receive, Scope, Send
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import refuse_params

MAX_LISTENERS: Final = 256
MAX_LISTENERS_OF_ONE: Final = 8
SEND_SECONDS: Final = 10.0
PROVE_SECONDS: Final = 5.0
"""How often a listener's credential is looked at again."""

_HEADERS: Final = (
    (b"content-type", MEDIA_TYPE.encode()),
    (b"x-accel-buffering", b"no"),
    NO_STORE,
    NO_SNIFF,
)


@dataclass(slots=True)
class Places:
    """How many listen: in all, and by caller."""

    limit: int = MAX_LISTENERS
    limit_of_one: int = MAX_LISTENERS_OF_ONE
    _by_caller: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self._by_caller.total()

    @contextlib.contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            RequestRefused: there is none.
        """
        self.require(caller)
        self._by_caller[caller] += 1
        try:
            yield
        finally:
            self._by_caller[caller] -= 1
            self._by_caller += Counter()

    def require(self, caller: str) -> None:
        """Check that there is one."""
        if self.count >= self.limit or self._by_caller[caller] >= self.limit_of_one:
            raise RequestRefused(Problem(Reason.OVERLOADED, "too many follow revocations already"))


@dataclass(frozen=True, slots=True)
class NewsRoutes:
    """Whoever may listen: an application of the zone with a session mandate, or an operator who may read.

    It learns ids and one word each; what somebody wrote as a reason stays in the evidence.
    """

    desk: NewsDesk
    authentication: Authentication
    clock: Clock
    places: Places
    send_seconds: float = SEND_SECONDS

    async def follow(self, request: Request, zone_id: ZoneId) -> Response:
        caller = await self._prove(request, zone_id)
        if self.desk.closed:
            raise Unavailable(Reason.OVERLOADED, "this process is about to stop")
        self.places.require(caller)
        given = request.headers.get("last-event-id", "")
        try:
            after = last_event_id(given) if given else 0
        except InvalidMessage:
            raise refuse_params("Last-Event-ID: not one that was given out here") from None
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        return _Listening(self, request, zone_id, caller, after)

    async def _prove(self, request: Request, zone_id: ZoneId) -> str:
        return _name(await self.authentication.anyone(request, zone_id, OperatorScope.READ))

    async def messages(
        self, request: Request, zone_id: ZoneId, after: int
    ) -> AsyncGenerator[bytes, None]:
        """What is sent, until the desk closes or the caller may not listen any more."""
        told, proven = after, self.clock.monotonic()
        async for batch in self.desk.follow(after):
            if self.clock.monotonic() - proven >= PROVE_SECONDS:
                await self._prove(request, zone_id)
                proven = self.clock.monotonic()
            mine = [row for row in batch.rows if row.news.zone_id == zone_id]
            told = mine[-1].position if mine else told
            yield b"".join(map(render_told, mine)) + _alive(batch, told)


class _Listening(Response):
    """Sends for as long as somebody listens, reads what is sent, and may."""

    def __init__(
        self, routes: NewsRoutes, request: Request, zone_id: ZoneId, caller: str, after: int
    ) -> None:
        super().__init__()
        self._routes = routes
        self._request = request
        self._zone_id = zone_id
        self._caller = caller
        self._after = after

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self._routes.places.taken(self._caller):
            gone = asyncio.ensure_future(_until_gone(receive))
            sending = asyncio.ensure_future(self._send(send))
            try:
                await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (gone, sending):
                    task.cancel()
                await asyncio.wait((gone, sending))
            if not sending.cancelled():
                sending.result()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        messages = self._routes.messages(self._request, self._zone_id, self._after)
        async with contextlib.aclosing(messages):
            try:
                async for body in messages:
                    async with asyncio.timeout(self._routes.send_seconds):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
            except (RequestRefused, Unavailable):
                pass  # It comes back, and is told what is wrong in the answer.
        await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _alive(batch: Batch, told: int) -> bytes:
    """Of what there is for this listener; a comment while nobody can say that it is all."""
    return b":\n\n" if batch.alive is None else render_alive(replace(batch.alive, position=told))


def _name(caller: Caller) -> str:
    if isinstance(caller, ApplicationCaller):
        return caller.application.id
    return caller.operator.token_id
