"""The admin API of zones, for operators. Open first: `ZoneApi.routes`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.problems import PolicyInvalid
from caracal_server.control.admin.editing import present
from caracal_server.control.admin.paging import cut, list_query
from caracal_server.control.apply import Applied, ApplyZone
from caracal_server.control.control_mandates import is_control_key, revision_to_apply
from caracal_server.control.document_body import (
    document_problem,
    policy_problem,
    read_document,
)
from caracal_server.control.document_faults import Fault, ZoneDocumentInvalid
from caracal_server.control.gate import Admitted, Gate
from caracal_server.control.keys import RotateKey
from caracal_server.control.operators import Operators, lacks
from caracal_server.control.renewal import RenewSecret
from caracal_server.control.views import (
    InstallationView,
    PolicyVersionList,
    PolicyVersionView,
    StatusView,
    ZoneList,
    applied_view,
    policy_view,
    renewed_view,
    zone_row,
    zone_status,
    zone_summary,
    zone_view,
)
from caracal_server.control.zone_document import ZoneDocument, carries_secret
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.health import Readiness
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import read_body, read_query
from caracal_server.web.routes import Route, json_response

MAX_OVERLAP_SECONDS: Final = 7 * 24 * 3600


class ApplyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`plan` changes nothing; with `expected_revision`, a zone at another revision is left alone."""

    plan: bool = False
    expected_revision: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None


class RenewQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the secret before goes on counting; not at all when it is left out."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP_SECONDS)] = 0


Counts = Callable[[ZoneId], Mapping[str, int]]
"""What is going on in a zone, such as live sessions; reads what is known and never waits."""


@dataclass(frozen=True, slots=True)
class ZoneApi:
    """The handlers; `routes` is the table."""

    gate: Gate
    apply: ApplyZone
    rotate: RotateKey
    renew: RenewSecret
    operators: Operators
    readiness: Readiness
    counts: Counts
    version: str
    installation: InstallationView

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/status", self.status),
            Route("GET", "/v1/zones", self.zones),
            Route("PUT", "/v1/zones/{zone}", self.put_zone),
            Route("GET", "/v1/zones/{zone}", self.zone),
            Route("GET", "/v1/zones/{zone}/policy-versions", self.policy_versions),
            Route("GET", "/v1/zones/{zone}/policy-versions/{digest}", self.policy_version),
            Route("POST", "/v1/zones/{zone}/keys/rotate", self.rotate_key),
            Route("POST", "/v1/zones/{zone}/applications/{application}/secret", self.renew_secret),
        )

    async def put_zone(self, request: Request) -> Response:
        """Apply a document, or only plan it."""
        name = request.path_params["zone"]
        query = read_query(request, ApplyQuery)
        scope = OperatorScope.READ if query.plan else OperatorScope.WRITE
        admitted = await self.gate.admit(request, scope, target=name, zone=name)
        try:
            document = await self._document(request, name)
            if query.plan and carries_secret(document):
                await self._want_write(admitted, name)
            outcome = await self._apply(document, admitted, query)
        except RequestRefused as refused:
            if query.plan:
                raise
            raise await self.gate.refuse(admitted.act, refused.problem, name, name) from None
        return json_response(applied_view(outcome))

    async def _want_write(self, admitted: Admitted, name: str) -> None:
        """A plan tells whether a secret is the one that is kept: only who may replace it may ask."""
        if OperatorScope.WRITE not in admitted.operator.scopes:
            problem = Problem.of(lacks(admitted.operator, OperatorScope.WRITE))
            raise await self.gate.refuse(admitted.act, problem, name, name)

    async def _document(self, request: Request, name: str) -> ZoneDocument:
        limit = self.gate.settings.max_body_bytes
        body = await read_body(request.receive, request.scope["headers"], limit)
        document = read_document(body)
        if document.zone != name:
            fault = Fault(("zone",), f"is {document.zone!r}, but the request names {name!r}")
            raise RequestRefused(document_problem(ZoneDocumentInvalid((fault,))))
        return document

    async def _apply(
        self, document: ZoneDocument, admitted: Admitted, query: ApplyQuery
    ) -> Applied:
        try:
            if query.plan:
                planned = await self.apply.plan(document)
                # A zone can be named as another's id is: what the gate found by id is not this one then.
                if admitted.key is not None and planned.zone_id != admitted.key.zone_id:
                    detail = "this is not about the zone of the control key"
                    raise RequestRefused(Problem(Reason.CONTROL_KEY_ZONE, detail))
                return planned
            revision = await self._revision(document, admitted, query)
            if isinstance(revision, Refused):
                raise RequestRefused(Problem.of(revision))
            outcome = await self.apply(document, admitted.act, expected_revision=revision)
        except PolicyInvalid as invalid:
            raise RequestRefused(policy_problem(invalid)) from None
        except ZoneDocumentInvalid as invalid:
            raise RequestRefused(document_problem(invalid)) from None
        if isinstance(outcome, Refused):
            raise RequestRefused(Problem.of(outcome))
        return outcome

    async def _revision(
        self, document: ZoneDocument, admitted: Admitted, query: ApplyQuery
    ) -> int | Refused | None:
        """The revision to apply to: any, unless the request or a control key's limits say which."""
        if admitted.key is None:
            return query.expected_revision
        record = await self.gate.zone(admitted.key.zone_id)
        revision = await revision_to_apply(self.apply, document, record)
        if isinstance(revision, int) and query.expected_revision not in {None, revision}:
            return Refused(
                Reason.ZONE_CHANGED,
                f"the zone is at revision {revision}, not {query.expected_revision}",
            )
        return revision

    async def zones(self, request: Request) -> Response:
        await self.gate.admit(request, OperatorScope.READ, target="zones")
        asked = list_query(request)
        archived = asked.status == "archived"
        records = await self.gate.store.load_all()
        shown = [one for one in records if (one.archived_at is not None) == archived]
        page = cut(asked, [zone_row(one) for one in shown], lambda row: row.id)
        # Whole lists are in the order of the names: people read them.
        items = sorted(page.items, key=lambda row: row.slug) if asked.limit is None else page.items
        return json_response(ZoneList(tuple(items), page.next_cursor))

    async def zone(self, request: Request) -> Response:
        reference = request.path_params["zone"]
        await self.gate.admit(request, OperatorScope.READ, target=reference, zone=reference)
        return json_response(zone_view(await present(self.gate, reference)))

    async def policy_versions(self, request: Request) -> Response:
        """Every policy that the zone ever had, oldest first."""
        return json_response(PolicyVersionList(await self._versions(request)))

    async def policy_version(self, request: Request) -> Response:
        """The version with that digest, which entries name."""
        digest = request.path_params["digest"]
        for version in await self._versions(request):
            if version.digest == digest:
                return json_response(version)
        detail = "the zone never had a policy with this digest"
        raise RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, variant=Variant.NOT_FOUND))

    async def _versions(self, request: Request) -> tuple[PolicyVersionView, ...]:
        reference = request.path_params["zone"]
        await self.gate.admit(request, OperatorScope.READ, target=reference, zone=reference)
        record = await self.gate.zone(reference)
        active = None if record.policy is None else record.policy.digest
        versions = await self.gate.store.policy_versions(record.id)
        return tuple(policy_view(entry, active=entry.digest == active) for entry in versions)

    async def rotate_key(self, request: Request) -> Response:
        reference = request.path_params["zone"]
        admitted = await self.gate.admit(
            request, OperatorScope.WRITE, target=reference, zone=reference
        )
        record = await self.gate.zone(reference)
        refused = await self.rotate(record.id, record.name, admitted.act)
        if refused is not None:
            problem = Problem.of(refused)
            raise await self.gate.refuse(admitted.act, problem, reference, reference)
        return json_response(zone_summary(record))

    async def renew_secret(self, request: Request) -> Response:
        """Make a new secret for an application; the answer is the only place where it is shown."""
        reference = request.path_params["zone"]
        target = f"{reference}/{request.path_params['application']}"
        admitted = await self.gate.admit(
            request, OperatorScope.WRITE, target=target, zone=reference
        )
        overlap = timedelta(seconds=read_query(request, RenewQuery).overlap_seconds)
        record = await self.gate.zone(reference)
        application = request.path_params["application"]
        if admitted.key is not None and _protected(record, application):
            problem = Problem(Reason.CONTROL_KEY_PROTECTED, f"{application} is a control key")
            raise await self.gate.refuse(admitted.act, problem, target, reference)
        outcome = await self.renew(record.name, application, admitted.act, overlap)
        if isinstance(outcome, Refused):
            variant = Variant.NOT_FOUND if outcome.reason is Reason.CLIENT_UNKNOWN else None
            problem = Problem.of(outcome, variant)
            raise await self.gate.refuse(admitted.act, problem, target, reference)
        return json_response(renewed_view(outcome))

    async def status(self, request: Request) -> Response:
        await self.gate.admit(request, OperatorScope.READ, target="status")
        report = self.readiness.report()
        kept = await self.gate.store.load_all()
        records = [record for record in kept if record.archived_at is None]
        zones = (zone_status(record, self.counts(record.id)) for record in _by_name(records))
        return json_response(
            StatusView(
                version=self.version,
                installation=self.installation,
                ready=report.ready,
                failing=report.failing,
                zones=tuple(zones),
                operators=len(self.operators.list()),
            )
        )


def _protected(record: ZoneRecord, application: str) -> bool:
    return any(
        is_control_key(entry)
        for entry in record.applications
        if application in {entry.id, entry.name}
    )


def _by_name(records: Iterable[ZoneRecord]) -> list[ZoneRecord]:
    return sorted(records, key=lambda record: record.name)
