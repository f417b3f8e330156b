"""Data documents: kept in versions that never change. None decides before its set is activated."""

import asyncio
import re
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.policy.documents.data_document import parse_data_document
from caracal.authority.policy.documents.problems import DocumentInvalid
from caracal.authority.policy.documents.syntax import PACKAGE, RULES
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.paging import page_of
from caracal_server.control.admin.policy_rows import (
    SCHEMA_VERSION,
    new_policy_row,
    policy_detail,
    policy_row,
    policy_version_row,
)
from caracal_server.control.admin.policy_shelf import (
    POLICY,
    Shelves,
    Wanted,
    document_problem,
    read_document,
    read_manifest,
)
from caracal_server.control.admin.policy_templates import TEMPLATES
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.policy_library import ItemKind
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.routes import Route, json_response

_RESERVED: Final = re.compile(r"caracal[.]sys(?![A-Za-z0-9])", re.IGNORECASE)
_UNFIT: Final = re.compile(r"[^\x20-\x7e\u00a0-\U0010ffff]")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Description = Annotated[str, msgspec.Meta(max_length=2000)]


class NewPolicy(msgspec.Struct, frozen=True):
    name: Name
    content: str
    description: Description | None = None


class Content(msgspec.Struct, frozen=True):
    content: str


class _Contract(msgspec.Struct, frozen=True):
    package: str = PACKAGE
    rule: str = "result"
    decision: tuple[str, ...] = ("allow", "deny")
    evaluation_status: tuple[str, ...] = ("complete",)


class _Preview(msgspec.Struct, frozen=True):
    """Data refers to nothing, so that the last two are always empty."""

    rules: tuple[str, ...]
    package: str = PACKAGE
    default_result: str = "deny"
    decisions: tuple[str, ...] = ("allow", "deny")
    inputs_referenced: tuple[str, ...] = ()
    data_referenced: tuple[str, ...] = ()


class _Valid(msgspec.Struct, frozen=True):
    preview: _Preview
    valid: bool = True
    schema_version: str = SCHEMA_VERSION
    input_schema_version: str = SCHEMA_VERSION
    output_contract: _Contract = _Contract()


class _Where(msgspec.Struct, frozen=True):
    line: int
    column: int
    construct: str


class _Invalid(msgspec.Struct, frozen=True):
    error_description: str
    details: _Where
    valid: bool = False
    error: str = "invalid_rego"


@dataclass(frozen=True, slots=True)
class AdminPolicies:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits
    shelves: Shelves

    def routes(self) -> tuple[Route, ...]:
        every = "/v1/zones/{zone}/policies"
        one = f"{every}/{{policy}}"
        return (
            Route("GET", "/v1/policy-templates", self.templates),
            Route("POST", "/v1/policies/validate", self.validate),
            Route("GET", every, self.list),
            Route("POST", every, self.create),
            Route("GET", one, self.get),
            Route("DELETE", one, self.delete),
            Route("POST", f"{one}/versions", self.add_version),
        )

    async def templates(self, request: Request) -> Response:
        await self.edits.gate.admit(request, OperatorScope.READ, target="policy-templates")
        return json_response(TEMPLATES)

    async def validate(self, request: Request) -> Response:
        """Read a document, and say what it defines or why it is none."""
        await self.edits.gate.admit(request, OperatorScope.READ, target="policies")
        asked = await self.edits.read(request, Content, POLICY)
        return await asyncio.to_thread(validation, asked.content)

    async def list(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        items = (await self.shelves.of(record)).of(ItemKind.POLICY)
        texts = await self.shelves.library.texts(record.id, [item.id for item in items])
        rows = [policy_row(item, texts.get(item.id, "")) for item in items]
        return json_response(page_of(request, rows, lambda row: row.id))

    async def get(self, request: Request) -> Response:
        record = await self.edits.look(request, request.path_params["zone"])
        shelf = await self.shelves.of(record)
        item = shelf.get(POLICY, request.path_params["policy"])
        versions = shelf.versions(item)
        texts = await self.shelves.library.texts(record.id, [item.id, *(v.id for v in versions)])
        rows = tuple(policy_version_row(one, texts.get(one.id, "")) for one in versions)
        return json_response(policy_detail(item, texts.get(item.id, ""), rows))

    async def create(self, request: Request) -> Response:
        async with self.edits.begin(request, POLICY, request.path_params["zone"]) as edit:
            asked = await edit.read(NewPolicy)
            want_name(asked.name)
            await asyncio.to_thread(read_document, asked.content)
            wanted = Wanted(asked.name, asked.description or "", asked.content)
            named, version = await self.shelves.add_named(
                await edit.record(), POLICY, wanted, edit.admitted.act
            )
        return json_response(new_policy_row(named, asked.description or "", version), 201)

    async def add_version(self, request: Request) -> Response:
        identity = request.path_params["policy"]
        zone = request.path_params["zone"]
        async with self.edits.begin(request, POLICY, zone, identity) as edit:
            asked = await edit.read(Content)
            record = await edit.record()
            item = (await self.shelves.of(record)).get(POLICY, identity)
            await asyncio.to_thread(read_document, asked.content)
            version = await self.shelves.add_version(record, item, asked.content, edit.admitted.act)
        return json_response(policy_version_row(version), 201)

    async def delete(self, request: Request) -> Response:
        """Forget a policy; the versions that some set refers to stay."""
        identity = request.path_params["policy"]
        zone = request.path_params["zone"]
        async with self.edits.begin(request, POLICY, zone, identity) as edit:
            record = await edit.record()
            shelf = await self.shelves.of(record)
            item = shelf.get(POLICY, identity)
            manifests = await self.shelves.library.texts(
                record.id, [one.id for one in shelf.of(ItemKind.SET_VERSION)]
            )
            used = {one for text in manifests.values() for one in read_manifest(text)}
            gone = [one for one in shelf.versions(item) if one.id not in used]
            await self.shelves.remove(item, gone, edit.admitted.act)
        return Response(status_code=204)


def validation(content: str) -> Response:
    """The answer about a document."""
    try:
        document = parse_data_document(content)
    except DocumentInvalid as invalid:
        place = invalid.place
        where = _Where(place.line, place.column, invalid.construct)
        return json_response(_Invalid(document_problem(invalid).detail, where), 422)
    defined = [rule for rule in RULES if getattr(document, rule) is not None]
    if document.added_restrictions and "restrict" not in defined:
        defined.append("restrict")
    return json_response(_Valid(_Preview(tuple(defined))))


def want_name(name: str) -> None:
    """Check what something is to be called.

    Raises:
        RequestRefused: it is reserved, or holds a control character.
    """
    if _RESERVED.match(name) is not None:
        raise POLICY.refuse("name", "begins with a reserved word", AdminAnswer.RESERVED_NAMESPACE)
    if _UNFIT.search(name) is not None or not name.strip():
        raise POLICY.refuse("name", "want printable characters")
