"""Policy sets in effect: activation, what is active, and what a version would decide."""

from dataclasses import dataclass, field

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.policy.documents.translation import translate
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.problems import PolicyInvalid
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.policy_rows import SCHEMA_VERSION, ManifestEntry
from caracal_server.control.admin.policy_sets import without_policy
from caracal_server.control.admin.policy_shelf import POLICY_SET, Shelves, read_manifest
from caracal_server.control.admin.policy_standing import in_effect
from caracal_server.control.admin.policy_text import (
    ActiveSet,
    active_in,
    active_version,
    names_after,
    names_in,
    policy_text,
)
from caracal_server.control.admin.simulation import (
    Hypothesis,
    Result,
    Simulation,
    vocabulary,
    warnings,
)
from caracal_server.control.compilation import PolicyCompilation
from caracal_server.control.document_body import policy_problem
from caracal_server.control.document_faults import ZoneDocumentInvalid
from caracal_server.control.document_rules import parse_document
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.policy_library import ItemKind
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.problems import RequestRefused
from caracal_server.web.routes import Route, json_response


class Activation(msgspec.Struct, frozen=True):
    version_id: str


class Simulated(msgspec.Struct, frozen=True):
    version_id: str
    input: Hypothesis | None = None


class _Activated(msgspec.Struct, frozen=True):
    """`unmatched` is Caracal's own: what the documents name and the zone does not have."""

    version_id: str
    outbox_id: str
    status_url: str
    unmatched: tuple[str, ...]
    activated: bool = True


class _Outbox(msgspec.Struct, frozen=True):
    id: str
    state: str = "dispatched"
    attempts: int = 1
    last_error: str | None = None
    dispatched_at: str | None = None


class _Loaded(msgspec.Struct, frozen=True):
    state: str


class _Status(msgspec.Struct, frozen=True):
    zone_id: str
    policy_set_id: str
    version_id: str | None
    active: bool
    active_version_id: str | None
    manifest_sha256: str | None
    propagation_status: str
    outbox: _Outbox
    sts: _Loaded


class _Explanation(msgspec.Struct, frozen=True):
    evaluation: str
    decision: str | None = None
    reasons: tuple[str, ...] = ()


class _DryRun(msgspec.Struct, frozen=True):
    """`cedar` is Caracal's own: the policy that the documents would be."""

    would_activate: bool
    policy_set_id: str
    version_id: str
    manifest_sha256: str
    policies: tuple[ManifestEntry, ...]
    warnings: tuple[str, ...]
    unmatched: tuple[str, ...]
    explanation: _Explanation
    result: Result | None
    cedar: str
    dry_run: bool = True


@dataclass(frozen=True, slots=True)
class AdminPolicyEffect:
    """The handlers; `routes` is the table."""

    edits: ZoneEdits
    shelves: Shelves
    compilation: PolicyCompilation = field(default_factory=PolicyCompilation)

    def routes(self) -> tuple[Route, ...]:
        one = "/v1/zones/{zone}/policy-sets/{set}"
        return (
            Route("POST", f"{one}/activate", self.activate),
            Route("GET", f"{one}/activation-status", self.status),
            Route("POST", f"{one}/simulate", self.simulate),
        )

    async def activate(self, request: Request) -> Response:
        """Read the documents, once, and put what they say into effect as the zone's policy."""
        async with self.edits.begin(
            request, POLICY_SET, request.path_params["zone"], request.path_params["set"]
        ) as edit:
            asked = await edit.read(Activation)
            shelf = await self.shelves.of(await edit.record())
            item = shelf.get(POLICY_SET, request.path_params["set"])
            version = shelf.version(item, asked.version_id)
            bundle = await self.shelves.bundle(shelf, version)
            active = ActiveSet(item.id, version.id)

            def change(record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
                text = policy_text(active, bundle, names_after(record, document))
                return msgspec.structs.replace(document, policy=text)

            edited = await edit.carry_out(change)
            shelf = await self.shelves.of(edited.record)
            if shelf.find(ItemKind.SET, item.id) is None:
                await edit.carry_out(without_policy(item))
                raise POLICY_SET.unknown()
        path = f"/v1/zones/{edited.record.id}/policy-sets/{item.id}/activation-status"
        outbox = f"revision-{edited.applied.revision}"
        unmatched = translate(bundle, names_in(edited.record)).unmatched
        url = f"{path}?version_id={version.id}&outbox_id={outbox}"
        return json_response(_Activated(version.id, outbox, url, unmatched), 202)

    async def status(self, request: Request) -> Response:
        """Tell what is in effect: an activation answers once it is, so nothing is ever on its way."""
        record = await self.edits.look(request, request.path_params["zone"])
        shelf = await self.shelves.of(record)
        item = shelf.get(POLICY_SET, request.path_params["set"])
        active = active_version(item, await in_effect(self.shelves, shelf, record))
        wanted = request.query_params.get("version_id", active or "")
        version = shelf.version(item, wanted) if wanted else None
        loaded = version is not None and version.id == active
        outbox = request.query_params.get("outbox_id", f"revision-{record.revision}")
        return json_response(
            _Status(
                zone_id=record.id,
                policy_set_id=item.id,
                version_id=None if version is None else version.id,
                active=loaded,
                active_version_id=active,
                manifest_sha256=None if version is None else version.digest,
                propagation_status="loaded" if loaded else "waiting_for_activation",
                outbox=_Outbox(outbox[:128]),
                sts=_Loaded("loaded" if loaded else "not_loaded"),
            )
        )

    async def simulate(self, request: Request) -> Response:
        """Decide on a request that nobody made, with a version that need not be active."""
        record = await self.edits.look(request, request.path_params["zone"])
        asked = await self.edits.read(request, Simulated, POLICY_SET)
        shelf = await self.shelves.of(record)
        item = shelf.get(POLICY_SET, request.path_params["set"])
        version = shelf.version(item, asked.version_id)
        bundle = await self.shelves.bundle(shelf, version)
        translation = translate(bundle, names_in(record))
        text = policy_text(ActiveSet(item.id, version.id), bundle, names_in(record))
        engine = await self._compiled(text, record)
        given = asked.input
        manifest = read_manifest(await self.shelves.text(version))
        result = None
        if given is not None:
            result = Simulation(record, bundle, engine).decide(given)
        return json_response(
            _DryRun(
                would_activate=True,
                policy_set_id=item.id,
                version_id=version.id,
                manifest_sha256=version.digest,
                policies=tuple(map(ManifestEntry, manifest)),
                warnings=() if given is None else warnings(given, SCHEMA_VERSION, record.id),
                unmatched=translation.unmatched,
                explanation=_explained(result),
                result=result,
                cedar=translation.cedar,
            )
        )

    async def _compiled(self, text: str, record: ZoneRecord) -> PolicyEngine:
        """Compile a policy beside the event loop, as an activation does, and refuse what it refuses."""
        try:
            parse_document({"zone": record.name, "policy": text})
            return await self.compilation(text, vocabulary(record))
        except PolicyInvalid as invalid:
            raise RequestRefused(policy_problem(invalid)) from None
        except ZoneDocumentInvalid as invalid:
            raise RequestRefused(POLICY_SET.invalid_document(invalid)) from None


@dataclass(frozen=True, slots=True)
class FollowDocuments:
    """Says anew what the active documents say, in a zone whose applications or resources change.

    Documents name applications by id: the policy, which names them by name, must not go on to permit
    to another application of the name what one that is gone was permitted.
    """

    shelves: Shelves

    async def __call__(self, record: ZoneRecord, document: ZoneDocument) -> ZoneDocument:
        """The document with the policy that fits it.

        Raises:
            RequestRefused: the documents do not exist any more.
            Unavailable: they can not be read.
        """
        active = active_in(record)
        if active is None or record.policy is None or document.policy != record.policy.text:
            return document
        shelf = await self.shelves.of(record)
        version = shelf.find(ItemKind.SET_VERSION, active.version_id)
        if version is None:
            return document
        bundle = await self.shelves.bundle(shelf, version)
        text = policy_text(active, bundle, names_after(record, document))
        return msgspec.structs.replace(document, policy=text)


def _explained(result: Result | None) -> _Explanation:
    if result is None:
        return _Explanation("not_executed")
    reasons = tuple(one.reason for one in result.diagnostics)
    return _Explanation("executed", result.decision, reasons)
