"""Applications of a zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import ApplicationId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Application
from caracal.tokens.client_secrets import GeneratedHash, InvalidStoredSecret, parse_stored
from caracal.tokens.secret import Secret
from caracal_server.control.admin.editing import Edit, Edited, ZoneEdits, agreed, persist
from caracal_server.control.admin.names import is_name, slug, unused
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.rows import (
    NewApplicationRow,
    application_row,
    new_application_row,
)
from caracal_server.control.admin.subjects import APPLICATION, absent
from caracal_server.control.control_mandates import is_control_key
from caracal_server.control.party_documents import ApplicationDocument
from caracal_server.control.renewal import Renewed, RenewSecret
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.routes import Route, json_response

Title = Annotated[str, Meta(min_length=1, max_length=200)]


class NewApplication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title
    registration_method: Literal["managed"] = "managed"
    traits: tuple[str, ...] = ()


class ApplicationChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title | UnsetType = UNSET
    traits: tuple[str, ...] | UnsetType = UNSET
    client_secret: Annotated[str, Meta(min_length=32)] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class AdminApplications:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits
    renew: RenewSecret

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/applications"
        one = every + "/{application}"
        return (
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("POST", f"{every}/dcr", self.register),
            Route("GET", one, self.get),
            Route("PATCH", one, self.patch),
            Route("DELETE", one, self.delete),
            Route("POST", f"{one}/rotate-secret", self.rotate),
            Route("GET", f"{one}/client-secret", self.secret),
        )

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        rows = [application_row(entry, record) for entry in record.applications]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        return json_response(application_row(_found(request, record), record))

    async def create(self, request: Request) -> Response:
        """Register an application; its secret is in this answer only."""
        async with self.edits.begin(request, APPLICATION, request.path_params["zone"]) as edit:
            asked = await edit.read(NewApplication)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                _want_free(asked.name, record.applications)
                taken = {entry.name for entry in record.applications}
                name = _name(asked.name, taken)
                entry = ApplicationDocument(
                    name=name,
                    title=None if name == asked.name else asked.name,
                    traits=asked.traits,
                )
                applications = (*document.applications, entry)
                return msgspec.structs.replace(document, applications=applications)

            edited = await edit.carry_out(change)
        made = next(entry for entry in edited.record.applications if _called(entry) == asked.name)
        return json_response(_with_secret(edited, made.id), 201)

    async def register(self, request: Request) -> Response:
        """Refuse what an application would need no operator for."""
        async with self.edits.begin(request, APPLICATION, request.path_params["zone"], "dcr"):
            raise absent("applications do not register themselves; create one, or apply a document")

    async def patch(self, request: Request) -> Response:
        identity = request.path_params["application"]
        async with self.edits.begin(
            request, APPLICATION, request.path_params["zone"], identity
        ) as edit:
            asked = await edit.read(ApplicationChange)
            if asked == ApplicationChange():
                raise APPLICATION.refuse("body", "changes nothing", AdminAnswer.NO_FIELDS)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                entry = _found(request, record)
                if asked.name is not UNSET and asked.name != _called(entry):
                    _want_free(asked.name, record.applications)
                return _replaced(document, entry.name, **_changed(asked))

            edited = await edit.carry_out(change)
        return json_response(application_row(_found(request, edited.record), edited.record))

    async def delete(self, request: Request) -> Response:
        """Remove an application; all that it holds is revoked."""
        identity = request.path_params["application"]
        async with self.edits.begin(
            request, APPLICATION, request.path_params["zone"], identity
        ) as edit:

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                name = _found(request, record).name
                kept = tuple(entry for entry in document.applications if entry.name != name)
                return msgspec.structs.replace(document, applications=kept)

            await edit.carry_out(change)
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """Make a new secret; the one before opens nothing from then on."""
        identity = request.path_params["application"]
        async with self.edits.begin(
            request, APPLICATION, request.path_params["zone"], identity
        ) as edit:
            record = await edit.record()
            entry = _found(request, record)
            row = await self._rotated(edit, record, entry)
        return json_response(row)

    async def _rotated(
        self, edit: Edit, record: ZoneRecord, entry: Application
    ) -> NewApplicationRow:
        if not _generated(record, entry.id):
            return await self._with_a_generated(edit)
        if edit.admitted.key is not None and is_control_key(entry):
            problem = Problem(Reason.CONTROL_KEY_PROTECTED, f"{entry.name} is a control key")
            raise RequestRefused(problem)

        async def once() -> Renewed | Refused:
            return await self.renew(record.name, entry.id, edit.admitted.act)

        renewed = agreed(await persist(once))
        return new_application_row(application_row(entry, record), renewed.secret.reveal())

    async def _with_a_generated(self, edit: Edit) -> NewApplicationRow:
        """A secret that was brought gives way to one that is made."""

        def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
            entry = _found(edit.request, record)
            if entry.keys:
                message = "the application signs with its own key; no secret is made for it"
                raise APPLICATION.refuse("client_secret", message)
            return _replaced(document, entry.name, secret=None)

        edited = await edit.carry_out(change)
        entry = _found(edit.request, edited.record)
        if entry.id not in edited.applied.secrets:
            raise RequestRefused(Problem(Reason.ZONE_CHANGED, "somebody else has just rotated it"))
        return _with_secret(edited, entry.id)

    async def secret(self, request: Request) -> Response:
        """Say that there is nothing to show: only a hash of the secret is kept."""
        record = await self.edits.look(request, request.path_params["zone"])
        entry = _found(request, record)
        detail = (
            f"only a hash of the secret of {_called(entry)} is kept; rotate it to get a new one"
        )
        raise RequestRefused(
            Problem(Reason.FEATURE_ABSENT, detail, AdminAnswer.CLIENT_SECRET_NOT_STORED)
        )


def _changed(asked: ApplicationChange) -> dict[str, object]:
    changes: dict[str, object] = {}
    if asked.name is not UNSET:
        changes["title"] = asked.name
    if asked.traits is not UNSET:
        changes["traits"] = asked.traits
    if asked.client_secret is not UNSET:
        changes["secret"] = Secret(asked.client_secret)
    return changes


def _replaced(document: ZoneDocument, name: str, **changes: object) -> ZoneDocument:
    applications = tuple(
        msgspec.structs.replace(entry, **changes) if entry.name == name else entry
        for entry in document.applications
    )
    return msgspec.structs.replace(document, applications=applications)


def _found(request: Request, record: ZoneRecord) -> Application:
    identity = request.path_params["application"]
    for entry in record.applications:
        if entry.id == identity:
            return entry
    raise APPLICATION.unknown()


def _called(entry: Application) -> str:
    return entry.title or entry.name


def _want_free(name: str, applications: Sequence[Application]) -> None:
    if any(name in {_called(entry), entry.name} for entry in applications):
        raise APPLICATION.taken("name", AdminAnswer.APPLICATION_NAME_TAKEN)


def _name(title: str, taken: set[str]) -> str:
    return title if is_name(title) else unused(slug(title, "application"), taken)


def _generated(record: ZoneRecord, identity: ApplicationId) -> bool:
    try:
        kind = parse_stored(record.secret_hashes.get(identity, ""))
    except InvalidStoredSecret:
        return False
    return isinstance(kind, GeneratedHash)


def _with_secret(edited: Edited, identity: ApplicationId) -> NewApplicationRow:
    record = edited.record
    entry = next(entry for entry in record.applications if entry.id == identity)
    secret = edited.applied.secrets[identity]
    return new_application_row(application_row(entry, record), secret.reveal())
