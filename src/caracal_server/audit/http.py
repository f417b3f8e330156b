"""The read API of evidence, for operators with the scope `read`."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from caracal.authority.events import Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings
from caracal_server.audit.logs import Logs
from caracal_server.audit.opened import Opened
from caracal_server.audit.queries import EvidenceReader, Proof
from caracal_server.audit.story import Story, StoryPage
from caracal_server.audit.zone_path import zone_of
from caracal_server.ports.evidence import EvidenceQuery, StoredCheckpoint, StoredEntry
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import NO_STORE, TEXT, Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.operators import Authenticate
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import read_query, refuse_params
from caracal_server.web.routes import Route, json_response, reply_response

MAX_INDEX: Final = 2**53 - 1

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Long = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_INDEX)]
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What entries are searched by; what is left out does not filter."""

    request: _Text | None = None
    session: _Text | None = None
    application: _Text | None = None
    verdict: Verdict | None = None
    kind: Kind | None = None
    delegation: _Text | None = None
    mandate: _Text | None = None
    resource: _Long | None = None
    operation: _Long | None = None
    scope: _Text | None = None
    policy: _Text | None = None
    deciding: _Text | None = None
    reason: _Text | None = None
    instance: _Text | None = None
    target: _Long | None = None
    actor: _Text | None = None
    subject: _Long | None = None
    subject_issuer: _Long | None = None
    pseudonym: _Text | None = None
    since: _Instant | None = None
    until: _Instant | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class Search(Filters, frozen=True, forbid_unknown_fields=True):
    """The query of a search."""

    cursor: _Index | None = None


class SearchStory(Filters, frozen=True, forbid_unknown_fields=True):
    """The query of a story; its cursor holds a place in every log."""

    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)] | None = None


class ProofSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a proof: the size of the tree to prove in."""

    size: _Index | None = None


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an export."""

    witnessed: bool = False


class OpeningsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of openings: of the entries of a log of this size."""

    size: _Index | None = None


class EntryView(msgspec.Struct, frozen=True):
    """An entry with its place; `entry` is byte for byte what was hashed.

    Attributes:
        openings: what opens its commitments, by field; null where nothing is left that does.
    """

    index: int
    leaf_hash: str
    entry: msgspec.Raw
    openings: Openings | None


class PageView(msgspec.Struct, frozen=True):
    """A page of a search, newest first; `next_cursor` is null on the last."""

    items: tuple[EntryView, ...]
    next_cursor: str | None


class LineView(msgspec.Struct, frozen=True):
    """An entry of a story: as `EntryView`, and the `shard` whose log it is in; empty for the zone's own."""

    shard: str
    index: int
    leaf_hash: str
    entry: msgspec.Raw
    openings: Openings | None


class StoryView(msgspec.Struct, frozen=True):
    """A page of a story, newest first; `next_cursor` is null on the last."""

    items: tuple[LineView, ...]
    next_cursor: str | None


class ConsistencyView(msgspec.Struct, frozen=True):
    """That the tree of `old_size` is how the tree of `new_size` began."""

    old_size: int
    new_size: int
    hashes: tuple[str, ...]


class ProofView(msgspec.Struct, frozen=True):
    """An inclusion proof, and the signed checkpoint that it leads to; hashes in hexadecimal."""

    index: int
    size: int
    leaf_hash: str
    hashes: tuple[str, ...]
    checkpoint: str
    consistency: ConsistencyView | None


class KeyView(msgspec.Struct, frozen=True):
    """The key of every log here, in hexadecimal; a log is named by the prefix and its zone's id."""

    public_key: str
    origin_prefix: str


Found = TypeVar("Found", StoredEntry, StoredCheckpoint, Proof, StoryPage)
Answer = Callable[[Request, ZoneId], Awaitable[Response]]


class EvidenceApi:
    """The handlers; `routes` is the table."""

    def __init__(
        self,
        reader: EvidenceReader,
        story: Story,
        opened: Opened,
        logs: Logs,
        authenticate: Authenticate,
    ) -> None:
        self._reader = reader
        self._story = story
        self._opened = opened
        self._logs = logs
        self._authenticate = authenticate

    def routes(self) -> tuple[Route, ...]:
        log = "/v1/zones/{zone}/evidence"
        return (
            Route("GET", "/v1/evidence/key", self.key),
            Route("GET", log, self._of_zone(self.search)),
            Route("GET", f"{log}/story", self._of_zone(self.story)),
            Route("GET", f"{log}/checkpoint", self._of_zone(self.checkpoint)),
            Route("GET", f"{log}/key", self._of_zone(self.zone_key)),
            Route("GET", f"{log}/export", self._of_zone(self.export)),
            Route("GET", f"{log}/openings", self._of_zone(self.openings)),
            Route("GET", f"{log}/{{index}}", self._of_zone(self.entry)),
            Route("GET", f"{log}/{{index}}/proof", self._of_zone(self.proof)),
        )

    async def key(self, request: Request) -> Response:
        """The public key that signs for every log."""
        await self._require_reader(request)
        return json_response(KeyView(self._logs.key.public_key.hex(), self._logs.origin_prefix))

    async def zone_key(self, _request: Request, zone_id: ZoneId) -> Response:
        """The one line that an auditor of this log needs (c2sp.org/signed-note)."""
        return _text(self._logs.verifier(zone_id).render() + "\n")

    async def search(self, request: Request, zone_id: ZoneId) -> Response:
        asked = read_query(request, Search)
        query = replace(_query(asked), after_index=asked.cursor)
        page = await self._reader.search(zone_id, query)
        cursor = None if page.next_index is None else str(page.next_index)
        opened = await self._opened.of(zone_id, page.entries)
        items = tuple(_view(entry, opened.get(entry.index)) for entry in page.entries)
        return json_response(PageView(items, cursor))

    async def story(self, request: Request, zone_id: ZoneId) -> Response:
        """What a search finds in the zone's log and in those of its shards, in one order."""
        asked = read_query(request, SearchStory)
        page = _found(await self._story.search(zone_id, _query(asked), asked.cursor))
        items = tuple(
            LineView(
                line.shard,
                line.entry.index,
                line.entry.leaf_hash.hex(),
                msgspec.Raw(line.entry.data),
                line.openings,
            )
            for line in page.lines
        )
        return json_response(StoryView(items, page.cursor))

    async def entry(self, request: Request, zone_id: ZoneId) -> Response:
        found = _found(await self._reader.entry(zone_id, _index(request)))
        opened = await self._opened.of(zone_id, (found,))
        return json_response(_view(found, opened.get(found.index)))

    async def proof(self, request: Request, zone_id: ZoneId) -> Response:
        size = read_query(request, ProofSize).size
        outcome = await self._reader.prove(zone_id, _index(request), size)
        return json_response(_proof_view(_found(outcome)))

    async def checkpoint(self, _request: Request, zone_id: ZoneId) -> Response:
        return _text(_found(await self._reader.checkpoint(zone_id)).note)

    async def export(self, request: Request, zone_id: ZoneId) -> Response:
        """The whole log as a bundle; an export that breaks off lacks its closing line."""
        headers = {
            "cache-control": "no-store",
            "content-disposition": 'attachment; filename="evidence.jsonl"',
        }
        witnessed = read_query(request, ExportQuery).witnessed
        pieces = await self._reader.export(zone_id, witnessed=witnessed)
        if isinstance(pieces, Refused):
            raise RequestRefused(Problem.of(pieces))
        return StreamingResponse(pieces, media_type="application/jsonl", headers=headers)

    async def openings(self, request: Request, zone_id: ZoneId) -> Response:
        """What opens the commitments of the entries before `size`; it lacks its end if it breaks off."""
        size = read_query(request, OpeningsQuery).size
        found = await self._reader.size(zone_id)
        pieces = self._opened.file(
            zone_id, self._logs.origin(zone_id), found if size is None else min(size, found)
        )
        headers = {"cache-control": "no-store"}
        return StreamingResponse(pieces, media_type="application/jsonl", headers=headers)

    def _of_zone(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            await self._require_reader(request)
            return await answer(request, zone_of(request, self._logs))

        return handle

    async def _require_reader(self, request: Request) -> None:
        identity = await self._authenticate(request, OperatorScope.READ)
        if isinstance(identity, Refused):
            raise RequestRefused(Problem.of(identity))


def _index(request: Request) -> int:
    text = str(request.path_params["index"])
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INDEX))):
        raise refuse_params(f"{text[:40]!r} is not the index of an entry")
    return int(text)


def _found(outcome: Found | Refused) -> Found:
    if isinstance(outcome, Refused):
        plain = outcome.reason is Reason.EVIDENCE_DROPPED
        raise RequestRefused(Problem.of(outcome, None if plain else Variant.NOT_FOUND))
    return outcome


def _query(asked: Filters) -> EvidenceQuery:
    return EvidenceQuery(
        request=asked.request,
        session=asked.session,
        application=asked.application,
        kind=asked.kind,
        verdict=asked.verdict,
        delegation=asked.delegation,
        mandate=asked.mandate,
        resource=asked.resource,
        operation=asked.operation,
        scope=asked.scope,
        policy=asked.policy,
        deciding=asked.deciding,
        reason=asked.reason,
        instance=asked.instance,
        target=asked.target,
        actor=asked.actor,
        person=_person(asked),
        pseudonym=asked.pseudonym,
        since=asked.since,
        until=asked.until,
        limit=asked.limit,
    )


def _person(asked: Filters) -> User | None:
    if asked.subject is None and asked.subject_issuer is None:
        return None
    if asked.subject is None or asked.subject_issuer is None:
        raise refuse_params("a person is subject and subject_issuer together")
    return User(asked.subject_issuer, asked.subject)


def _view(entry: StoredEntry, openings: Openings | None) -> EntryView:
    return EntryView(entry.index, entry.leaf_hash.hex(), msgspec.Raw(entry.data), openings)


def _proof_view(proof: Proof) -> ProofView:
    consistency = proof.consistency
    return ProofView(
        index=proof.inclusion.index,
        size=proof.inclusion.size,
        leaf_hash=proof.leaf_hash.hex(),
        hashes=tuple(value.hex() for value in proof.inclusion.hashes),
        checkpoint=proof.checkpoint.note,
        consistency=None
        if consistency is None
        else ConsistencyView(
            consistency.old_size,
            consistency.new_size,
            tuple(value.hex() for value in consistency.hashes),
        ),
    )


def _text(text: str) -> Response:
    return reply_response(Reply(200, (TEXT, NO_STORE), text.encode()))
