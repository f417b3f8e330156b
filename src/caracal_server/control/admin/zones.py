"""Zones, as the admin API makes and changes them; `control/http.py` shows them to every client."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Reason
from caracal_server.control.admin.editing import Edit, Edited, ZoneEdits
from caracal_server.control.admin.names import is_zone_name, slug, unused
from caracal_server.control.admin.subjects import ZONE
from caracal_server.control.views import zone_view
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import RequestRefused
from caracal_server.web.routes import Route, json_response

Title = Annotated[str, Meta(min_length=1, max_length=120)]


class NewZone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title
    slug: Annotated[str, Meta(max_length=63, pattern="^[a-z0-9-]+$")] | None = None
    dcr_enabled: bool = False


class ZoneChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Title | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    dcr_enabled: bool | UnsetType = UNSET
    dcr_shutdown: str | UnsetType = UNSET
    operator_coauthor_badge: bool | UnsetType = UNSET
    operator_governed: bool | UnsetType = UNSET


class DcrStatus(msgspec.Struct, frozen=True):
    id: str
    dcr_enabled: bool = False
    live_dcr_applications: int = 0


@dataclass(frozen=True, slots=True)
class AdminZones:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/zones", self.create),
            Route("PATCH", "/v1/zones/{zone}", self.patch),
            Route("DELETE", "/v1/zones/{zone}", self.delete),
            Route("GET", "/v1/zones/{zone}/dcr-status", self.dcr_status),
        )

    async def create(self, request: Request) -> Response:
        """Make an empty zone: nothing may be done in it."""
        async with self.edits.begin(request, ZONE, None) as edit:
            asked = await edit.read(NewZone)
            if asked.dcr_enabled:
                raise ZONE.absent("dcr_enabled", "applications do not register themselves")
            edited = await self._made(edit, asked)
        return json_response(zone_view(edited.record), 201)

    async def _made(self, edit: Edit, asked: NewZone) -> Edited:
        taken = {record.name for record in await self.edits.gate.store.load_all()}
        if asked.slug is not None and asked.slug in taken:
            raise ZONE.taken("slug", AdminAnswer.ZONE_SLUG_CONFLICT)
        wanted = asked.name if is_zone_name(asked.name) else slug(asked.name, "zone")
        name = asked.slug or unused(wanted, taken)
        title = None if name == asked.name else asked.name
        try:
            return await edit.create(ZoneDocument(zone=name, title=title))
        except RequestRefused as refused:
            if refused.problem.reason is Reason.ZONE_CHANGED:
                raise ZONE.taken("slug", AdminAnswer.ZONE_SLUG_CONFLICT) from None
            raise

    async def patch(self, request: Request) -> Response:
        async with self.edits.begin(request, ZONE, request.path_params["zone"]) as edit:
            asked = await edit.read(ZoneChange)
            if asked == ZoneChange():
                raise ZONE.refuse("body", "changes nothing", AdminAnswer.NO_FIELDS)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                _want_nothing_absent(asked, record)
                title = document.title if asked.name is UNSET else asked.name
                return msgspec.structs.replace(
                    document, title=None if title == record.name else title
                )

            edited = await edit.carry_out(change)
        return json_response(zone_view(edited.record))

    async def delete(self, request: Request) -> Response:
        """Put a zone away: all that its applications hold is revoked, and its evidence stays."""
        async with self.edits.begin(request, ZONE, request.path_params["zone"]) as edit:
            await edit.carry_out(
                lambda record, _: ZoneDocument(zone=record.name, title=record.title or None),
                archive=True,
            )
        return Response(status_code=204)

    async def dcr_status(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        return json_response(DcrStatus(record.id))


def _want_nothing_absent(asked: ZoneChange, record: ZoneRecord) -> None:
    if asked.slug is not UNSET and asked.slug != record.name:
        raise ZONE.absent("slug", "mandates and evidence name the zone, so its name stays")
    if asked.dcr_enabled is True:
        raise ZONE.absent("dcr_enabled", "applications do not register themselves")
    if asked.dcr_shutdown is not UNSET:
        raise ZONE.absent("dcr_shutdown", "applications do not register themselves")
    if asked.operator_coauthor_badge is True:
        raise ZONE.absent("operator_coauthor_badge", "there is no such operator")
    if asked.operator_governed is True:
        raise ZONE.absent("operator_governed", "there is no such operator")
