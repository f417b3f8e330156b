"""Resources of a zone, their operations and how far these bind."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.resources import Enforcement, Resource
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.names import slug
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.rows import resource_row
from caracal_server.control.admin.subjects import RESOURCE
from caracal_server.control.zone_document import (
    OperationDocument,
    ResourceDocument,
    ZoneDocument,
)
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.routes import Route, json_response

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Scopes = Annotated[tuple[str, ...], Meta(min_length=1, max_length=64)]


class GivenOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str
    path: str
    scope: str


Operations = Annotated[tuple[GivenOperation, ...], Meta(max_length=256)]


class NewResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of `name` and `identifier` has to be there."""

    scopes: Scopes
    name: Title | None = None
    identifier: str | None = None
    upstream_url: str | None = None
    credential_provider_id: str | None = None
    operations: Operations = ()
    operation_enforcement: Enforcement = Enforcement.ENFORCED
    check: bool = False


class ResourceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title | UnsetType = UNSET
    identifier: str | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    upstream_url: str | UnsetType | None = UNSET
    credential_provider_id: str | UnsetType | None = UNSET
    operations: Operations | UnsetType = UNSET
    operation_enforcement: Enforcement | UnsetType = UNSET
    check: bool = False


@dataclass(frozen=True, slots=True)
class AdminResources:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/resources"
        one = every + "/{resource}"
        return (
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("GET", one, self.get),
            Route("PATCH", one, self.patch),
            Route("DELETE", one, self.delete),
        )

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        rows = [resource_row(entry, record) for entry in record.resources]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        return json_response(resource_row(_found(request, record), record))

    async def create(self, request: Request) -> Response:
        async with self.edits.begin(request, RESOURCE, request.path_params["zone"]) as edit:
            asked = await edit.read(NewResource)
            _want_no_check(asked.check)
            identifier = _identifier(asked)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                if any(entry.identifier == identifier for entry in record.resources):
                    raise RESOURCE.taken("identifier", AdminAnswer.RESOURCE_IDENTIFIER_CONFLICT)
                made = _made(asked, identifier, record)
                return msgspec.structs.replace(document, resources=(*document.resources, made))

            edited = await edit.carry_out(change)
        record = edited.record
        entry = next(entry for entry in record.resources if entry.identifier == identifier)
        return json_response(resource_row(entry, record), 201)

    async def patch(self, request: Request) -> Response:
        identity = request.path_params["resource"]
        async with self.edits.begin(
            request, RESOURCE, request.path_params["zone"], identity
        ) as edit:
            asked = await edit.read(ResourceChange)
            if asked == ResourceChange():
                raise RESOURCE.refuse("body", "changes nothing", AdminAnswer.NO_FIELDS)
            _want_no_check(asked.check)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                identifier = _found(request, record).identifier
                resources = tuple(
                    _changed(entry, asked, record) if entry.identifier == identifier else entry
                    for entry in document.resources
                )
                return msgspec.structs.replace(document, resources=resources)

            edited = await edit.carry_out(change)
        return json_response(resource_row(_found(request, edited.record), edited.record))

    async def delete(self, request: Request) -> Response:
        identity = request.path_params["resource"]
        async with self.edits.begin(
            request, RESOURCE, request.path_params["zone"], identity
        ) as edit:

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                identifier = _found(request, record).identifier
                kept = tuple(one for one in document.resources if one.identifier != identifier)
                return msgspec.structs.replace(document, resources=kept)

            await edit.carry_out(change)
        return Response(status_code=204)


def _identifier(asked: NewResource) -> str:
    if asked.identifier is None:
        if asked.name is None:
            raise RESOURCE.refuse("name", "is missing; send a name or an identifier")
        return "resource://" + slug(asked.name, "resource")
    if asked.identifier.lower().startswith("provider:"):
        raise RESOURCE.refuse(
            "identifier", "names a provider", AdminAnswer.INVALID_RESOURCE_IDENTIFIER
        )
    return asked.identifier


def _made(asked: NewResource, identifier: str, record: ZoneRecord) -> ResourceDocument:
    operations = _operations(asked.operations, asked.scopes)
    return ResourceDocument(
        identifier=identifier,
        name=asked.name,
        upstream=_upstream(asked.upstream_url),
        provider=_provider(asked.credential_provider_id, record),
        scopes=asked.scopes,
        operations=operations,
        enforcement=asked.operation_enforcement,
    )


def _changed(
    entry: ResourceDocument, asked: ResourceChange, record: ZoneRecord
) -> ResourceDocument:
    if asked.identifier is not UNSET and asked.identifier != entry.identifier:
        raise RESOURCE.absent("identifier", "mandates and policies name the resource by it")
    scopes = entry.scopes if asked.scopes is UNSET else asked.scopes
    changed = msgspec.structs.replace(
        entry,
        name=entry.name if asked.name is UNSET else asked.name,
        scopes=scopes,
        enforcement=(
            entry.enforcement
            if asked.operation_enforcement is UNSET
            else asked.operation_enforcement
        ),
    )
    if asked.upstream_url is not UNSET:
        changed = msgspec.structs.replace(changed, upstream=_upstream(asked.upstream_url))
    if asked.credential_provider_id is not UNSET:
        provider = _provider(asked.credential_provider_id, record)
        changed = msgspec.structs.replace(changed, provider=provider)
    if asked.operations is not UNSET:
        operations = _operations(asked.operations, scopes)
        changed = msgspec.structs.replace(changed, operations=operations)
    elif asked.scopes is not UNSET:
        _want_declared(entry, scopes)
    return changed


def _upstream(url: str | None) -> str:
    if url is None:
        raise RESOURCE.refuse(
            "upstream_url",
            "is missing; what the Gateway does not reach needs no resource",
            AdminAnswer.UPSTREAM_URL_REQUIRED,
        )
    return url


def _provider(identity: str | None, record: ZoneRecord) -> str | None:
    if identity is None:
        return None
    for entry in record.providers:
        if entry.id == identity:
            return entry.name
    raise RESOURCE.refuse(
        "credential_provider_id",
        "the zone has no provider of that id",
        AdminAnswer.PROVIDER_UNKNOWN,
    )


def _operations(
    given: tuple[GivenOperation, ...], scopes: tuple[str, ...]
) -> tuple[OperationDocument, ...]:
    for one in given:
        _want_scope(one.scope, scopes)
    return tuple(
        OperationDocument(method=one.method.upper(), path=one.path, scope=one.scope)
        for one in given
    )


def _want_declared(entry: ResourceDocument, scopes: tuple[str, ...]) -> None:
    """What the operations need stays declared: taking a scope away must not look as if it worked."""
    if isinstance(entry.operations, tuple):
        for one in entry.operations:
            _want_scope(one.scope, scopes)
    for names in (entry.tools, entry.prompts, entry.resources):
        for scope in names.values():
            _want_scope(scope, scopes)


def _want_scope(scope: str, scopes: tuple[str, ...]) -> None:
    if scope not in scopes:
        raise RESOURCE.refuse(
            "operations",
            f"use the scope {scope!r}, which is not among the scopes",
            AdminAnswer.OPERATION_SCOPE_UNKNOWN,
        )


def _want_no_check(check: bool) -> None:  # noqa: FBT001 (the field of the request)
    if check:
        raise RESOURCE.absent("check", "Control reaches no upstream; the first call shows")


def _found(request: Request, record: ZoneRecord) -> Resource:
    identity = request.path_params["resource"]
    for entry in record.resources:
        if entry.id == identity:
            return entry
    raise RESOURCE.unknown()
