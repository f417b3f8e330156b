"""Subject issuers of a zone: who may vouch for users."""

from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.subjects import SubjectIssuer
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.names import issuer_id
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.rows import issuer_row
from caracal_server.control.admin.subjects import ISSUER
from caracal_server.control.party_documents import SubjectIssuerDocument
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.routes import Route, json_response


class NewIssuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    issuer: str
    jwks_url: str
    audience: str


class IssuerChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jwks_url: str | UnsetType = UNSET
    audience: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class AdminIssuers:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/subject-issuers"
        one = every + "/{issuer}"
        return (
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("GET", one, self.get),
            Route("PATCH", one, self.patch),
            Route("DELETE", one, self.delete),
        )

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        rows = [issuer_row(entry, record) for entry in record.subject_issuers]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        return json_response(issuer_row(_found(request, record), record))

    async def create(self, request: Request) -> Response:
        async with self.edits.begin(request, ISSUER, request.path_params["zone"]) as edit:
            asked = await edit.read(NewIssuer)
            made = SubjectIssuerDocument(
                issuer=asked.issuer, jwks_url=asked.jwks_url, audience=asked.audience
            )

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                if any(entry.issuer == made.issuer for entry in record.subject_issuers):
                    raise ISSUER.taken("issuer", AdminAnswer.SUBJECT_ISSUER_EXISTS)
                issuers = (*document.subject_issuers, made)
                return msgspec.structs.replace(document, subject_issuers=issuers)

            record = (await edit.carry_out(change)).record
        entry = next(entry for entry in record.subject_issuers if entry.issuer == made.issuer)
        return json_response(issuer_row(entry, record), 201)

    async def patch(self, request: Request) -> Response:
        identity = request.path_params["issuer"]
        async with self.edits.begin(request, ISSUER, request.path_params["zone"], identity) as edit:
            asked = await edit.read(IssuerChange)
            if asked == IssuerChange():
                raise ISSUER.refuse("body", "changes nothing", AdminAnswer.NO_FIELDS)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                issuer = _found(request, record).issuer
                issuers = tuple(
                    _changed(entry, asked) if entry.issuer == issuer else entry
                    for entry in document.subject_issuers
                )
                return msgspec.structs.replace(document, subject_issuers=issuers)

            record = (await edit.carry_out(change)).record
        return json_response(issuer_row(_found(request, record), record))

    async def delete(self, request: Request) -> Response:
        identity = request.path_params["issuer"]
        async with self.edits.begin(request, ISSUER, request.path_params["zone"], identity) as edit:

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                issuer = _found(request, record).issuer
                kept = tuple(one for one in document.subject_issuers if one.issuer != issuer)
                return msgspec.structs.replace(document, subject_issuers=kept)

            await edit.carry_out(change)
        return Response(status_code=204)


def _changed(entry: SubjectIssuerDocument, asked: IssuerChange) -> SubjectIssuerDocument:
    return msgspec.structs.replace(
        entry,
        jwks_url=entry.jwks_url if asked.jwks_url is UNSET else asked.jwks_url,
        audience=entry.audience if asked.audience is UNSET else asked.audience,
    )


def _found(request: Request, record: ZoneRecord) -> SubjectIssuer:
    identity = request.path_params["issuer"]
    for entry in record.subject_issuers:
        if issuer_id(entry.issuer) == identity:
            return entry
    raise ISSUER.unknown()
