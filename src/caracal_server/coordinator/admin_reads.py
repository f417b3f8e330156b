"""Sessions of a zone as stock admin clients list them, and their kill switch of a subject."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import (
    ApplicationId,
    InvalidIdentifier,
    SessionId,
    ZoneId,
    parse_id,
)
from caracal.authority.outcomes import Reason
from caracal.authority.sessions import Lifecycle, Session, Status
from caracal.authority.subjects import User, name_fault
from caracal_server.coordinator.acts import Acts
from caracal_server.coordinator.callers import Authentication
from caracal_server.coordinator.coordination import REQUESTED, Coordination
from caracal_server.coordinator.entries import Act
from caracal_server.coordinator.users import RevokeUser
from caracal_server.ports.graph import SessionQuery
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Issue, Problem, RequestRefused
from caracal_server.web.requests import read_json, read_query, refuse_params, request_id_of
from caracal_server.web.routes import Route, json_response

_ABSENT: Final = {
    "parent_session_id": "ask for the children of the session at the Coordinator",
    "subject_id": "search the evidence by subject",
    "format": "lists are JSON",
}


class AdminSessionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    cursor: str | None = None
    status: Status | None = None
    lifecycle: Lifecycle | None = None
    application_id: str | None = None
    label: str | None = None
    parent_session_id: str | None = None
    subject_id: str | None = None
    format: str | None = None


class RevokeSubject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject_id: Annotated[str, msgspec.Meta(min_length=1)]
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""


class SubjectRevoked(msgspec.Struct, frozen=True):
    """How many ended. There are neither records nor connections to count."""

    subject_id: str
    authority_records: int = 0
    sessions: int = 0
    delegations: int = 0
    connections: int = 0

    def and_more(self, answer: bytes) -> "SubjectRevoked":
        more = msgspec.json.decode(answer, type=_Ended)
        return msgspec.structs.replace(
            self,
            sessions=self.sessions + more.sessions,
            delegations=self.delegations + more.delegations,
        )


class _Ended(msgspec.Struct):
    sessions: int
    delegations: int


class AdminSession(msgspec.Struct, frozen=True):
    """`subject_id` is the application's where the session works for no user."""

    session_id: str
    zone_id: str
    application_id: str
    parent_session_id: str | None
    status: str
    lifecycle: str
    labels: tuple[str, ...]
    depth: int
    subject_authority_record_id: str
    subject_id: str
    federated_user_id: str | None
    federated_user_issuer: str | None
    started_at: datetime
    last_active_at: datetime | None
    terminated_at: datetime | None
    termination_reason: str | None
    ttl_seconds: int | None


class AdminSessions(msgspec.Struct, frozen=True):
    """`next_cursor` is null on the last page."""

    items: tuple[AdminSession, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class AdminReads:
    """The handlers; `routes` is the table."""

    authentication: Authentication
    coordination: Coordination
    acts: Acts
    revoke_user: RevokeUser

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/zones/{zone}/sessions", self.sessions),
            Route("POST", "/v1/zones/{zone}/subjects/revoke", self.revoke_subject),
        )

    async def sessions(self, request: Request) -> Response:
        """Sessions, newest first; what was killed a moment ago is not shown as live."""
        zone_id = _zone(request)
        await self.authentication.operator(request, zone_id, OperatorScope.READ)
        asked = read_query(request, AdminSessionQuery)
        for field, advice in _ABSENT.items():
            if getattr(asked, field) not in {None, "json"}:
                raise _absent(field, advice)
        query = _query(asked)
        if query.cursor is not None and not await self._known(zone_id, query.cursor):
            detail = "the cursor is not one that a page of this list ended with"
            raise RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, Variant.INVALID_CURSOR))
        rows = await self.coordination.store.sessions(zone_id, query)
        newest = [self.coordination.newest(zone_id, row.id) or row for row in rows]
        items = tuple(_row(one) for one in newest if query.status in {None, one.status})
        cursor = rows[-1].id if len(rows) == query.limit else None
        return json_response(AdminSessions(items, cursor))

    async def revoke_subject(self, request: Request) -> Response:
        """End all that works for a user of that name, whichever issuer of the zone vouches for them."""
        zone_id = _zone(request)
        caller = await self.authentication.operator(request, zone_id, OperatorScope.WRITE)
        asked = await read_json(request, RevokeSubject)
        zone = self.coordination.directory.zone(zone_id)
        issuers = () if zone is None else tuple(zone.subject_issuers)
        fault = name_fault(asked.subject_id)
        if not issuers or fault is not None:
            detail = fault or "no issuer vouches for users of the zone"
            raise RequestRefused(
                Problem(Reason.ENTRY_UNKNOWN, detail, AdminAnswer.SUBJECT_NOT_FOUND)
            )
        act = Act(zone_id, request_id_of(request), self.coordination.clock.now(), caller)
        ended = SubjectRevoked(asked.subject_id)
        for issuer in issuers:
            user = User(issuer, asked.subject_id)
            answered = await self.acts.run(self.revoke_user(act, user, asked.reason or REQUESTED))
            ended = ended.and_more(answered.body)
        return json_response(ended)

    async def _known(self, zone_id: ZoneId, cursor: str) -> bool:
        return await self.coordination.session(zone_id, SessionId(cursor)) is not None


def _query(asked: AdminSessionQuery) -> SessionQuery:
    application = asked.application_id
    return SessionQuery(
        status=asked.status,
        lifecycle=asked.lifecycle,
        application_id=None if application is None else ApplicationId(application),
        label=asked.label,
        cursor=asked.cursor,
        limit=asked.limit,
    )


def _zone(request: Request) -> ZoneId:
    try:
        return parse_id(ZoneId, request.path_params["zone"])
    except InvalidIdentifier as fault:
        raise refuse_params(f"zone: {fault}") from None


def _absent(field: str, advice: str) -> RequestRefused:
    issues = (Issue((field,), advice),)
    return RequestRefused(
        Problem(Reason.FEATURE_ABSENT, f"{field}: {advice}", AdminAnswer.UNSUPPORTED, issues=issues)
    )


def _row(session: Session) -> AdminSession:
    user = session.user
    return AdminSession(
        session_id=session.id,
        zone_id=session.zone_id,
        application_id=session.application_id,
        parent_session_id=session.parent_id,
        status=session.status,
        lifecycle=session.lifecycle,
        labels=session.labels,
        depth=session.depth,
        subject_authority_record_id=session.record,
        subject_id=session.application_id if user is None else user.name,
        federated_user_id=None if user is None else user.name,
        federated_user_issuer=None if user is None else user.issuer,
        started_at=session.started_at,
        last_active_at=session.last_heartbeat_at,
        terminated_at=session.ended_at,
        termination_reason=session.end_reason or None,
        ttl_seconds=None if session.ttl is None else int(session.ttl.total_seconds()),
    )
