"""Policy sets: which versions of data documents would take effect together."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal_server.control.admin.editing import Change, Edit, ZoneEdits
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.policies import Description, Name, want_name
from caracal_server.control.admin.policy_rows import (
    ManifestEntry,
    SetVersionRow,
    policy_set_detail,
    policy_set_row,
    set_version_row,
)
from caracal_server.control.admin.policy_shelf import (
    MAX_MANIFEST,
    POLICY_SET,
    Shelf,
    Shelves,
    Wanted,
    read_manifest,
    render_manifest,
)
from caracal_server.control.admin.policy_standing import in_effect
from caracal_server.control.admin.policy_text import active_in, active_set, active_version
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.policy_library import Item, ItemKind
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.routes import Route, json_response


class NewPolicySet(msgspec.Struct, frozen=True):
    name: Name
    description: Description | None = None


class NewManifest(msgspec.Struct, frozen=True):
    manifest: Annotated[
        tuple[ManifestEntry, ...], msgspec.Meta(min_length=1, max_length=MAX_MANIFEST)
    ]


@dataclass(frozen=True, slots=True)
class AdminPolicySets:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits
    shelves: Shelves

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/policy-sets"
        one = f"{every}/{{set}}"
        return (
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("GET", one, self.get),
            Route("DELETE", one, self.delete),
            Route("GET", f"{one}/versions", self.versions),
            Route("POST", f"{one}/versions", self.add_version),
            Route("GET", f"{one}/versions/{{version}}", self.version),
        )

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        shelf = await self.shelves.of(record)
        items = shelf.of(ItemKind.SET)
        texts = await self.shelves.library.texts(record.id, [item.id for item in items])
        active = await in_effect(self.shelves, shelf, record)
        rows = [
            policy_set_row(item, texts.get(item.id, ""), active_version(item, active))
            for item in items
        ]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record, shelf, item = await self._look(request)
        active = active_version(item, await in_effect(self.shelves, shelf, record))
        row = policy_set_row(item, await self.shelves.text(item), active)
        versions = await self._rows(record, shelf.versions(item))
        return json_response(policy_set_detail(row, versions))

    async def create(self, request: Request) -> Response:
        async with self.edits.begin(request, POLICY_SET, request.path_params["zone"]) as edit:
            asked = await edit.read(NewPolicySet)
            want_name(asked.name)
            wanted = Wanted(asked.name, asked.description or "")
            added = await self.shelves.add_named(
                await edit.record(), POLICY_SET, wanted, edit.admitted.act
            )
        return json_response(policy_set_row(added[0], asked.description or "", None), 201)

    async def delete(self, request: Request) -> Response:
        """Forget a set. Of the active one nothing stays in effect: the zone refuses everything."""
        async with self._edit(request) as edit:
            record = await edit.record()
            shelf = await self.shelves.of(record)
            item = shelf.get(POLICY_SET, request.path_params["set"])
            await _out_of_effect(edit, item, record)
            await self.shelves.remove(item, shelf.versions(item), edit.admitted.act)
            # Somebody may have activated it meanwhile; from now on nobody does without looking again.
            await _out_of_effect(edit, item, await edit.record())
        return Response(status_code=204)

    async def versions(self, request: Request) -> Response:
        record, shelf, item = await self._look(request)
        rows = await self._rows(record, shelf.versions(item))
        return json_response(page_of(request, rows, lambda row: row.id))

    async def version(self, request: Request) -> Response:
        record, shelf, item = await self._look(request)
        found = shelf.version(item, request.path_params["version"])
        return json_response((await self._rows(record, (found,)))[0])

    async def add_version(self, request: Request) -> Response:
        async with self._edit(request) as edit:
            asked = await edit.read(NewManifest)
            record = await edit.record()
            shelf = await self.shelves.of(record)
            item = shelf.get(POLICY_SET, request.path_params["set"])
            ids = tuple(dict.fromkeys(one.policy_version_id for one in asked.manifest))
            for one in ids:
                if shelf.find(ItemKind.POLICY_VERSION, one) is None:
                    raise POLICY_SET.refuse(
                        "manifest",
                        f"the zone has no policy version {one[:60]}",
                        AdminAnswer.REFERENCED_VERSION_MISSING,
                    )
            added = await self.shelves.add_version(
                record, item, render_manifest(ids), edit.admitted.act
            )
        return json_response(set_version_row(added, ids), 201)

    async def _look(self, request: Request) -> tuple[ZoneRecord, Shelf, Item]:
        record = await self.edits.look(request, request.path_params["zone"])
        shelf = await self.shelves.of(record)
        return record, shelf, shelf.get(POLICY_SET, request.path_params["set"])

    async def _rows(
        self, record: ZoneRecord, versions: tuple[Item, ...]
    ) -> tuple[SetVersionRow, ...]:
        texts = await self.shelves.library.texts(record.id, [one.id for one in versions])
        manifests = ((one, read_manifest(texts.get(one.id, ""))) for one in versions)
        return tuple(set_version_row(one, manifest) for one, manifest in manifests)

    def _edit(self, request: Request) -> AbstractAsyncContextManager[Edit]:
        path = request.path_params
        return self.edits.begin(request, POLICY_SET, path["zone"], path["set"])


async def _out_of_effect(edit: Edit, item: Item, record: ZoneRecord) -> None:
    if active_version(item, active_in(record)) is not None:
        await edit.carry_out(without_policy(item))


def without_policy(item: Item) -> Change:
    """Take a zone's policy away, if it is still that of the policy set."""

    def change(_: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
        if active_version(item, active_set(document.policy)) is None:
            return document
        return msgspec.structs.replace(document, policy=None)

    return change
