"""A zone's log, as stock admin clients search and explain it. Reading never changes what is there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal_server.audit.admin_rows import (
    ADMIN_KINDS,
    AdminAuditRow,
    AuditRow,
    admin_audit_row,
    audit_row,
    kinds_of,
    read_entry,
)
from caracal_server.audit.logs import Logs
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.zone_path import zone_of
from caracal_server.ports.evidence import EvidenceQuery, StoredEntry
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.operators import Authenticate
from caracal_server.web.problems import Issue, Problem, RequestRefused
from caracal_server.web.requests import read_query
from caracal_server.web.routes import Route, json_response

MAX_PAGES_READ: Final = 20
MAX_EVENTS_EXPLAINED: Final = 1000
MAX_TYPES: Final = 16
_Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_ABSENT: Final = ("authority_record_id", "label", "fields", "method")

Row = TypeVar("Row", AuditRow, AdminAuditRow)
Keep = Callable[[Entry], bool]


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    since: _Instant | None = None
    until: _Instant | None = None
    request_id: str | None = None
    decision: str | None = None
    event_type: str = ""
    application_id: str | None = None
    session_id: str | None = None
    authority_record_id: str | None = None
    label: str | None = None
    fields: str | None = None
    format: str = "json"
    cursor: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,15}$")] | None = None
    limit: _Limit = 100


class AdminAuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    since: _Instant | None = None
    until: _Instant | None = None
    actor_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    method: str | None = None
    fields: str | None = None
    format: str = "json"
    cursor: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,15}$")] | None = None
    limit: _Limit = 100


class AuditPage(msgspec.Struct, frozen=True):
    """`next_cursor` is null when everything was looked at."""

    items: tuple[AuditRow, ...] | tuple[AdminAuditRow, ...]
    next_cursor: str | None


class Explained(msgspec.Struct, frozen=True):
    """`final_decision` is `deny` when anything of the request was refused."""

    request_id: str
    zone_id: str
    final_decision: str | None
    denied: tuple[AuditRow, ...]
    events: tuple[AuditRow, ...]


class AdminAuditApi:
    """The handlers; `routes` is the table."""

    def __init__(self, reader: EvidenceReader, logs: Logs, authenticate: Authenticate) -> None:
        self._reader = reader
        self._logs = logs
        self._authenticate = authenticate

    def routes(self) -> tuple[Route, ...]:
        audit = "/v1/zones/{zone}/audit"
        return (
            Route("GET", audit, self.search),
            Route("GET", f"{audit}/by-request/{{request}}", self.by_request),
            Route("GET", f"{audit}/by-request/{{request}}/explain", self.explain),
            Route("GET", "/v1/zones/{zone}/admin-audit", self.admin),
        )

    async def search(self, request: Request) -> Response:
        """Decisions about agents and what became of them, newest first."""
        zone_id = await self._zone(request)
        asked = read_query(request, AuditQuery)
        _want_present(asked)
        kinds = _kinds(asked.event_type)

        def keep(entry: Entry) -> bool:
            return entry.kind in kinds if kinds else entry.kind not in ADMIN_KINDS

        query = EvidenceQuery(
            request=asked.request_id,
            session=asked.session_id,
            application=asked.application_id,
            kind=next(iter(kinds)) if len(kinds) == 1 else None,
            verdict=_verdict(asked.decision),
            since=asked.since,
            until=asked.until,
            after_index=None if asked.cursor is None else int(asked.cursor),
        )
        return json_response(await self._page(zone_id, query, keep, audit_row, asked.limit))

    async def admin(self, request: Request) -> Response:
        """What operators did and were refused, newest first."""
        zone_id = await self._zone(request)
        asked = read_query(request, AdminAuditQuery)
        _want_present(asked)

        def keep(entry: Entry) -> bool:
            return (
                entry.kind in ADMIN_KINDS
                and (asked.actor_id is None or f"({asked.actor_id})" in entry.actor)
                and asked.entity_type in {None, entry.kind.partition(".")[0]}
            )

        query = EvidenceQuery(
            target=asked.entity_id,
            since=asked.since,
            until=asked.until,
            after_index=None if asked.cursor is None else int(asked.cursor),
        )
        return json_response(await self._page(zone_id, query, keep, admin_audit_row, asked.limit))

    async def by_request(self, request: Request) -> Response:
        zone_id = await self._zone(request)
        return json_response(await self._of_request(zone_id, request.path_params["request"]))

    async def explain(self, request: Request) -> Response:
        zone_id = await self._zone(request)
        identity = request.path_params["request"]
        events = await self._of_request(zone_id, identity)
        denied = tuple(row for row in events if row.decision == "deny")
        decided = [row.decision for row in events if row.decision is not None]
        final = "deny" if denied else next(reversed(decided), None)
        return json_response(Explained(identity, zone_id, final, denied, events))

    async def _of_request(self, zone_id: ZoneId, identity: str) -> tuple[AuditRow, ...]:
        """Everything of a request, oldest first."""
        query = EvidenceQuery(request=identity, limit=MAX_EVENTS_EXPLAINED)
        found = (await self._reader.search(zone_id, query)).entries
        if not found:
            detail = "the log has no entry of that request"
            raise RequestRefused(
                Problem(Reason.ENTRY_UNKNOWN, detail, AdminAnswer.REQUEST_NOT_FOUND)
            )
        return tuple(audit_row(stored, read_entry(stored)) for stored in reversed(found))

    async def _page(
        self,
        zone_id: ZoneId,
        query: EvidenceQuery,
        keep: Keep,
        row: Callable[[StoredEntry, Entry], Row],
        limit: int,
    ) -> AuditPage:
        """Read on until the page is full; a bounded number of times."""
        rows: list[Row] = []
        for _ in range(MAX_PAGES_READ):
            page = await self._reader.search(zone_id, replace(query, limit=limit))
            for stored in page.entries:
                entry = read_entry(stored)
                if keep(entry):
                    rows.append(row(stored, entry))
                if len(rows) == limit:
                    return AuditPage(tuple(rows), str(stored.index))
            if page.next_index is None:
                return AuditPage(tuple(rows), None)
            query = replace(query, after_index=page.next_index)
        return AuditPage(tuple(rows), str(query.after_index))

    async def _zone(self, request: Request) -> ZoneId:
        operator = await self._authenticate(request, OperatorScope.READ)
        if isinstance(operator, Refused):
            raise RequestRefused(Problem.of(operator))
        return zone_of(request, self._logs)


def _want_present(asked: AuditQuery | AdminAuditQuery) -> None:
    for field in _ABSENT:
        if getattr(asked, field, None) is not None:
            raise _absent(field, "entries are not searched by this; docs/evidence.md says by what")
    if asked.format != "json":
        raise _absent("format", "answers are JSON; `caracal audit export` writes the whole log")


def _kinds(event_type: str) -> frozenset[Kind]:
    types = [name for name in event_type.split(",") if name]
    kinds = kinds_of(types)
    if isinstance(kinds, str):
        raise _invalid(f"event_type: {kinds!r} is no type of event")
    if len(types) > MAX_TYPES:
        raise _invalid(f"event_type: at most {MAX_TYPES} may be named")
    return kinds


def _verdict(decision: str | None) -> Verdict | None:
    if decision is None:
        return None
    found = {"allow": Verdict.ALLOW, "deny": Verdict.REFUSE}.get(decision)
    if found is None:
        raise _invalid("decision: allow or deny; a decision is never partial")
    return found


def _invalid(detail: str) -> RequestRefused:
    return RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, Variant.INVALID_QUERY))


def _absent(field: str, advice: str) -> RequestRefused:
    issues = (Issue((field,), advice),)
    return RequestRefused(
        Problem(Reason.FEATURE_ABSENT, f"{field}: {advice}", AdminAnswer.UNSUPPORTED, issues=issues)
    )
