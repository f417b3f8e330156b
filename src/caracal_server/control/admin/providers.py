"""Providers of a zone: upstream credentials and where they go."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.zones import Provider
from caracal_server.control.admin.editing import ZoneEdits, read_fields
from caracal_server.control.admin.names import provider_identifier, provider_name, slug
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.provider_config import GivenConfig, Kept, configured, kind_of
from caracal_server.control.admin.rows import provider_row
from caracal_server.control.admin.subjects import PROVIDER
from caracal_server.control.zone_document import ProviderDocument, ZoneDocument
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.routes import Route, json_response

Title = Annotated[str, Meta(min_length=1, max_length=200)]


class NewProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of `name` and `identifier` has to be there."""

    kind: str
    name: Title | None = None
    identifier: str | None = None
    config_json: dict[str, object] | None = None
    check: bool = False


class ProviderChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title | UnsetType = UNSET
    identifier: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    config_json: dict[str, object] | UnsetType = UNSET
    check: bool = False


@dataclass(frozen=True, slots=True)
class AdminProviders:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/providers"
        one = every + "/{provider}"
        return (
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("GET", one, self.get),
            Route("PATCH", one, self.patch),
            Route("DELETE", one, self.delete),
        )

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        rows = [provider_row(entry, record) for entry in record.providers]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        return json_response(provider_row(_found(request, record), record))

    async def create(self, request: Request) -> Response:
        """Register a provider; its credential is sealed and never shown."""
        async with self.edits.begin(request, PROVIDER, request.path_params["zone"]) as edit:
            asked = await edit.read(NewProvider)
            made = _made(asked)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                if any(entry.name == made.name for entry in record.providers):
                    raise PROVIDER.taken("identifier", AdminAnswer.PROVIDER_IDENTIFIER_CONFLICT)
                return msgspec.structs.replace(document, providers=(*document.providers, made))

            edited = await edit.carry_out(change)
        record = edited.record
        entry = next(entry for entry in record.providers if entry.name == made.name)
        return json_response(provider_row(entry, record), 201)

    async def patch(self, request: Request) -> Response:
        """Change a provider; a credential that is not sent again stays."""
        identity = request.path_params["provider"]
        async with self.edits.begin(
            request, PROVIDER, request.path_params["zone"], identity
        ) as edit:
            asked = await edit.read(ProviderChange)
            if asked == ProviderChange():
                raise PROVIDER.refuse("body", "changes nothing", AdminAnswer.NO_FIELDS)
            _want_no_check(asked.check)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                name = _found(request, record).name
                providers = tuple(
                    _changed(entry, asked) if entry.name == name else entry
                    for entry in document.providers
                )
                return msgspec.structs.replace(document, providers=providers)

            edited = await edit.carry_out(change)
        return json_response(provider_row(_found(request, edited.record), edited.record))

    async def delete(self, request: Request) -> Response:
        identity = request.path_params["provider"]
        async with self.edits.begin(
            request, PROVIDER, request.path_params["zone"], identity
        ) as edit:

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                name = _found(request, record).name
                kept = tuple(entry for entry in document.providers if entry.name != name)
                return msgspec.structs.replace(document, providers=kept)

            await edit.carry_out(change)
        return Response(status_code=204)


def _made(asked: NewProvider) -> ProviderDocument:
    _want_no_check(asked.check)
    kind = kind_of(asked.kind)
    if asked.identifier is not None:
        name = provider_name(asked.identifier)
        if name is None:
            raise PROVIDER.refuse(
                "identifier",
                "must be provider:// and 1 to 64 letters, digits and . _ -",
                AdminAnswer.INVALID_PROVIDER_IDENTIFIER,
            )
    elif asked.name is not None:
        name = slug(asked.name, "provider")
    else:
        raise PROVIDER.refuse("name", "is missing; send a name or an identifier")
    title = None if asked.name in {None, name} else asked.name
    config = read_fields(asked.config_json or {}, GivenConfig, PROVIDER)
    return configured(name, title, kind, config, Kept())


def _changed(entry: ProviderDocument, asked: ProviderChange) -> ProviderDocument:
    if asked.identifier is not UNSET and asked.identifier != provider_identifier(entry.name):
        raise PROVIDER.absent("identifier", "resources refer to the provider by it, so it stays")
    kind = entry.kind if asked.kind is UNSET else kind_of(asked.kind)
    title = entry.title if asked.name is UNSET else asked.name
    title = None if title == entry.name else title
    if asked.config_json is UNSET:
        if kind is not entry.kind:
            raise PROVIDER.refuse(
                "config_json",
                "is missing; another kind needs a config of its own",
                AdminAnswer.PROVIDER_CONFIG_REQUIRED,
            )
        return msgspec.structs.replace(entry, title=title)
    config = read_fields(asked.config_json, GivenConfig, PROVIDER)
    kept = Kept(entry.secret, entry.allowed_hosts) if kind is entry.kind else Kept()
    return configured(entry.name, title, kind, config, kept)


def _want_no_check(check: bool) -> None:  # noqa: FBT001 (the field of the request)
    if check:
        raise PROVIDER.absent("check", "Control reaches no upstream; the first call shows")


def _found(request: Request, record: ZoneRecord) -> Provider:
    identity = request.path_params["provider"]
    for entry in record.providers:
        if entry.id == identity:
            return entry
    raise PROVIDER.unknown()
