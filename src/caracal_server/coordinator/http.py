"""The Coordinator's routes: paths and queries read, callers proven, use cases called."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import (
    ApplicationId,
    DelegationId,
    Id,
    InvalidIdentifier,
    SessionId,
    ZoneId,
    parse_id,
)
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.sessions import Lifecycle, Status
from caracal.wire.delegations import parse_create_delegation
from caracal.wire.errors import WireError
from caracal.wire.sessions import parse_end, parse_heartbeat, parse_start_session
from caracal.wire.subjects import parse_revoke_subject
from caracal_server.coordinator.acts import Acts
from caracal_server.coordinator.callers import Authentication, Caller
from caracal_server.coordinator.coordination import REQUESTED
from caracal_server.coordinator.delegations import Delegate, Revoke
from caracal_server.coordinator.entries import Act
from caracal_server.coordinator.idempotency import REPLAYED, Answered, idempotency_key
from caracal_server.coordinator.news_http import NewsRoutes
from caracal_server.coordinator.reads import DelegationReads, SessionReads
from caracal_server.coordinator.sessions import End, Heartbeat, Resume, Suspend, TakeLease
from caracal_server.coordinator.settings import CoordinatorSettings
from caracal_server.coordinator.starting import Start
from caracal_server.coordinator.users import RevokeUser
from caracal_server.ports.clock import Clock
from caracal_server.ports.graph import DelegationQuery, SessionQuery
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import JSON_HEADERS, NO_SNIFF, NO_STORE, Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Issue, Problem, RequestRefused
from caracal_server.web.receipts import receipt_headers
from caracal_server.web.requests import read_body, read_query, refuse_params, request_id_of
from caracal_server.web.routes import Handler, Route, reply_response

T = TypeVar("T")

_OK: Final = 200
_VARIANTS = {variant.value.code: variant for variant in Variant}

_Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Page(msgspec.Struct, frozen=True):
    limit: _Limit = 100
    cursor: str | None = None


class _SessionPage(_Page, frozen=True):
    status: Status | None = None
    lifecycle: Lifecycle | None = None
    application_id: str | None = None
    label: str | None = None


class _EndQuery(msgspec.Struct, frozen=True):
    reason: _Reason = REQUESTED


@dataclass(frozen=True, slots=True)
class UseCases:
    start: Start
    suspend: Suspend
    resume: Resume
    end: End
    take_lease: TakeLease
    heartbeat: Heartbeat
    delegate: Delegate
    revoke: Revoke
    revoke_user: RevokeUser
    sessions: SessionReads
    delegations: DelegationReads


@dataclass(frozen=True, slots=True)
class CoordinatorRoutes:
    """Whatever changes the graph runs as an act: it goes on when the client does not wait."""

    settings: CoordinatorSettings
    clock: Clock
    authentication: Authentication
    acts: Acts
    use: UseCases
    news: NewsRoutes

    def table(self) -> tuple[Route, ...]:
        agents, edges = "/zones/{zone}/agents", "/zones/{zone}/delegations"
        lines: tuple[tuple[str, str, Handler], ...] = (
            ("POST", agents, self.start),
            ("GET", agents, self.list_sessions),
            ("GET", f"{agents}/{{session}}", self.session),
            ("DELETE", f"{agents}/{{session}}", self.end),
            ("GET", f"{agents}/{{session}}/children", self.children),
            ("GET", f"{agents}/{{session}}/effective-authority", self.effective_authority),
            ("PATCH", f"{agents}/{{session}}/suspend", self.suspend),
            ("PATCH", f"{agents}/{{session}}/resume", self.resume),
            ("POST", f"{agents}/{{session}}/lease", self.take_lease),
            ("POST", f"{agents}/{{session}}/heartbeat", self.heartbeat),
            ("POST", edges, self.delegate),
            ("GET", f"{edges}/active", self.active),
            ("GET", f"{edges}/inbound/{{session}}", self.inbound),
            ("GET", f"{edges}/inbound/{{session}}/{{delegation}}", self.received),
            ("GET", f"{edges}/outbound/{{session}}", self.outbound),
            ("GET", f"{edges}/{{delegation}}/traverse", self.traverse),
            ("GET", f"{edges}/{{delegation}}/impact", self.impact),
            ("PATCH", f"{edges}/{{delegation}}/revoke", self.revoke),
            ("POST", "/zones/{zone}/subjects/revoke", self.revoke_subject),
        )
        bounded = (Route(method, path, self._bounded(handler)) for method, path, handler in lines)
        # Listeners have a bound of their own: they stay, and must not take the places of requests.
        listening = Route(
            "GET", "/zones/{zone}/revocations", self._bounded(self.follow), bounded=False
        )
        return (*bounded, listening)

    async def follow(self, request: Request) -> Response:
        return await self.news.follow(request, _id(ZoneId, request, "zone"))

    async def start(self, request: Request) -> Response:
        zone_id = _id(ZoneId, request, "zone")
        caller = self.authentication.application(request, zone_id)
        key = idempotency_key(request.scope["headers"])
        body = _read(parse_start_session, await self._body(request))
        act = self._act(request, zone_id, caller)
        return _answer(await self.acts.run(self.use.start(act, caller, body, key)))

    async def suspend(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        act, _ = await self._writer(request)
        return _answer(await self.acts.run(self.use.suspend(act, session_id)))

    async def resume(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        act, _ = await self._writer(request)
        return _answer(await self.acts.run(self.use.resume(act, session_id)))

    async def end(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        act, _ = await self._writer(request)
        reason = read_query(request, _EndQuery).reason
        generation = _read(parse_end, await self._body(request))
        return _answer(await self.acts.run(self.use.end(act, session_id, generation, reason)))

    async def take_lease(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        act = self._owner(request)
        return _answer(await self.acts.run(self.use.take_lease(act, session_id)))

    async def heartbeat(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        act = self._owner(request)
        body = _read(parse_heartbeat, await self._body(request))
        return _answer(await self.acts.run(self.use.heartbeat(act, session_id, body)))

    async def list_sessions(self, request: Request) -> Response:
        zone_id, caller = await self._reader(request)
        return _page(await self.use.sessions.page(zone_id, caller, _session_query(request)))

    async def session(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        zone_id, caller = await self._reader(request)
        return _page(await self.use.sessions.one(zone_id, caller, session_id))

    async def children(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        zone_id, caller = await self._reader(request)
        page = read_query(request, _Page)
        query = SessionQuery(cursor=page.cursor, limit=page.limit)
        return _page(await self.use.sessions.children(zone_id, caller, session_id, query))

    async def effective_authority(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        zone_id, caller = await self._reader(request)
        now = self.clock.now()
        return _page(await self.use.sessions.effective_authority(zone_id, caller, session_id, now))

    async def delegate(self, request: Request) -> Response:
        act, caller = await self._writer(request)
        key = idempotency_key(request.scope["headers"])
        body = _read(parse_create_delegation, await self._body(request))
        return _answer(await self.acts.run(self.use.delegate(act, caller, body, key)))

    async def revoke(self, request: Request) -> Response:
        delegation_id = _id(DelegationId, request, "delegation")
        act, caller = await self._writer(request)
        return _answer(await self.acts.run(self.use.revoke(act, caller, delegation_id)))

    async def revoke_subject(self, request: Request) -> Response:
        zone_id = _id(ZoneId, request, "zone")
        caller = await self.authentication.operator(request, zone_id, OperatorScope.WRITE)
        user, reason = _read(parse_revoke_subject, await self._body(request))
        act = self._act(request, zone_id, caller)
        return _answer(await self.acts.run(self.use.revoke_user(act, user, reason or REQUESTED)))

    async def active(self, request: Request) -> Response:
        zone_id, caller = await self._reader(request)
        query = _delegation_query(request)
        now = self.clock.now()
        return _page(await self.use.delegations.active(zone_id, caller, query, now))

    async def inbound(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        zone_id, caller = await self._reader(request)
        query = _delegation_query(request)
        now = self.clock.now()
        return _page(await self.use.delegations.inbound(zone_id, caller, session_id, query, now))

    async def outbound(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        zone_id, caller = await self._reader(request)
        query = _delegation_query(request)
        now = self.clock.now()
        return _page(await self.use.delegations.outbound(zone_id, caller, session_id, query, now))

    async def received(self, request: Request) -> Response:
        session_id = _id(SessionId, request, "session")
        delegation_id = _id(DelegationId, request, "delegation")
        zone_id, caller = await self._reader(request)
        now = self.clock.now()
        return _page(self.use.delegations.received(zone_id, caller, session_id, delegation_id, now))

    async def traverse(self, request: Request) -> Response:
        delegation_id = _id(DelegationId, request, "delegation")
        zone_id, caller = await self._reader(request)
        now = self.clock.now()
        return _page(self.use.delegations.traversal(zone_id, caller, delegation_id, now))

    async def impact(self, request: Request) -> Response:
        delegation_id = _id(DelegationId, request, "delegation")
        zone_id, caller = await self._reader(request)
        now = self.clock.now()
        return _page(self.use.delegations.impact(zone_id, caller, delegation_id, now))

    async def _reader(self, request: Request) -> tuple[ZoneId, Caller]:
        zone_id = _id(ZoneId, request, "zone")
        return zone_id, await self.authentication.anyone(request, zone_id, OperatorScope.READ)

    async def _writer(self, request: Request) -> tuple[Act, Caller]:
        zone_id = _id(ZoneId, request, "zone")
        caller = await self.authentication.anyone(request, zone_id, OperatorScope.WRITE)
        return self._act(request, zone_id, caller), caller

    def _owner(self, request: Request) -> Act:
        """An application's act: a lease is for the process that does the work, not for an operator."""
        zone_id = _id(ZoneId, request, "zone")
        caller = self.authentication.application(request, zone_id)
        return self._act(request, zone_id, caller)

    def _act(self, request: Request, zone_id: ZoneId, caller: Caller) -> Act:
        return Act(zone_id, request_id_of(request), self.clock.now(), caller)

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_body_bytes
        return await read_body(request.receive, request.scope["headers"], limit)

    def _bounded(self, handler: Handler) -> Handler:
        seconds = self.settings.request_timeout.total_seconds()

        async def bounded(request: Request) -> Response:
            try:
                async with asyncio.timeout(seconds):
                    return await handler(request)
            except TimeoutError:
                raise Unavailable(Reason.OVERLOADED, "the request took too long") from None

        return bounded


def _id(kind: Callable[[str], Id], request: Request, name: str) -> Id:
    try:
        return parse_id(kind, request.path_params[name])
    except InvalidIdentifier as fault:
        raise refuse_params(f"{name}: {fault}") from None


def _read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except WireError as fault:
        raise RequestRefused(_problem(fault)) from None


def _problem(fault: WireError) -> Problem:
    issues = (Issue(tuple(fault.field.split(".")), fault.description),) if fault.field else ()
    variant = _VARIANTS.get(fault.code) if fault.reason is Reason.REQUEST_MALFORMED else None
    return Problem(fault.reason, fault.description, variant, issues=issues)


def _session_query(request: Request) -> SessionQuery:
    page = read_query(request, _SessionPage)
    return SessionQuery(
        status=page.status,
        lifecycle=page.lifecycle,
        application_id=None if page.application_id is None else ApplicationId(page.application_id),
        label=page.label,
        cursor=page.cursor,
        limit=page.limit,
    )


def _delegation_query(request: Request) -> DelegationQuery:
    page = read_query(request, _Page)
    return DelegationQuery(cursor=page.cursor, limit=page.limit)


def _answer(outcome: Answered | Problem) -> Response:
    if isinstance(outcome, Problem):
        raise RequestRefused(outcome)
    headers = JSON_HEADERS if outcome.body else (NO_STORE, NO_SNIFF)
    more = (REPLAYED,) if outcome.replayed else receipt_headers(outcome.receipt)
    return reply_response(Reply(outcome.status, (*headers, *more), outcome.body))


def _page(outcome: bytes | Problem) -> Response:
    if isinstance(outcome, Problem):
        raise RequestRefused(outcome)
    return reply_response(Reply(_OK, JSON_HEADERS, outcome))
