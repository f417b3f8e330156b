"""One request as one small edit of a zone's document. Open first: `ZoneEdits.begin`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.problems import PolicyInvalid
from caracal_server.control.admin.subjects import Subject
from caracal_server.control.apply import Applied, ApplyZone
from caracal_server.control.control_mandates import revision_to_apply
from caracal_server.control.document_body import policy_problem, read_plain
from caracal_server.control.document_faults import ZoneDocumentInvalid
from caracal_server.control.document_rules import parse_document
from caracal_server.control.gate import Admitted, Gate
from caracal_server.control.kept_document import kept_document, plain
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.operators import OperatorScope
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import Issue, Problem, RequestRefused
from caracal_server.web.requests import read_body

MAX_TRIES: Final = 8
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25

Change = Callable[[ZoneRecord, ZoneDocument], ZoneDocument]
Follow = Callable[[ZoneRecord, ZoneDocument], Awaitable[ZoneDocument]]
"""Brings the policy of a changed document into line with the rest of it."""

Shape = TypeVar("Shape", bound=msgspec.Struct)
Done = TypeVar("Done")


class Edited(NamedTuple):
    """What an edit did, and the zone after it."""

    applied: Applied
    record: ZoneRecord


@dataclass(frozen=True, slots=True)
class Edit:
    """An admitted request that changes one zone; what it refuses is recorded by who began it."""

    gate: Gate
    apply: ApplyZone
    subject: Subject
    admitted: Admitted
    request: Request
    reference: str
    follow: Follow

    async def read(self, shape: type[Shape]) -> Shape:
        """Read the body, strictly: a field that `shape` does not have is refused by its name.

        Raises:
            RequestRefused: it is too large, not JSON, or not of that shape.
        """
        return await read_request(self.request, shape, self.subject, self.gate)

    async def record(self) -> ZoneRecord:
        """The zone as it is.

        Raises:
            RequestRefused: there is none.
        """
        return await present(self.gate, self.reference)

    async def carry_out(self, change: Change, *, archive: bool = False) -> Edited:
        """Change the zone, again and again while others change it first.

        Raises:
            RequestRefused: the document would be none, or others were first every time.
            Unavailable: evidence or store can not be reached.
        """

        async def once() -> Applied | Refused:
            record = await self.record()
            wanted = await self.follow(record, change(record, kept_document(record)))
            document = self._checked(wanted)
            revision = await self._revision(document, record)
            if isinstance(revision, Refused):
                return revision
            return await self._apply(document, revision, archive=archive)

        applied = agreed(await persist(once))
        return Edited(applied, await self._after(applied))

    async def create(self, document: ZoneDocument) -> Edited:
        """Make a zone that does not exist yet.

        Raises:
            RequestRefused: the document is none, or there is such a zone by now.
            Unavailable: evidence or store can not be reached.
        """
        applied = agreed(await self._apply(self._checked(document), 0, archive=False))
        return Edited(applied, await self._after(applied))

    async def _after(self, applied: Applied) -> ZoneRecord:
        return await self.gate.zone(str(applied.zone_id))

    async def _apply(
        self, document: ZoneDocument, revision: int, *, archive: bool
    ) -> Applied | Refused:
        try:
            return await self.apply(
                document, self.admitted.act, expected_revision=revision, archive=archive
            )
        except PolicyInvalid as invalid:
            raise RequestRefused(policy_problem(invalid)) from None
        except ZoneDocumentInvalid as invalid:
            raise RequestRefused(self.subject.invalid_document(invalid)) from None

    def _checked(self, document: ZoneDocument) -> ZoneDocument:
        try:
            return parse_document(plain(document))
        except ZoneDocumentInvalid as invalid:
            raise RequestRefused(self.subject.invalid_document(invalid)) from None

    async def _revision(self, document: ZoneDocument, record: ZoneRecord) -> int | Refused:
        if self.admitted.key is None:
            return record.revision
        try:
            return await revision_to_apply(self.apply, document, record)
        except PolicyInvalid as invalid:
            raise RequestRefused(policy_problem(invalid)) from None


@dataclass(frozen=True, slots=True)
class ZoneEdits:
    """Lets requests in that change a zone."""

    gate: Gate
    apply: ApplyZone
    follow: Follow

    @asynccontextmanager
    async def begin(
        self, request: Request, subject: Subject, zone: str | None, entry: str = ""
    ) -> AsyncIterator[Edit]:
        """Admit a request; what it is refused goes into the evidence.

        Args:
            request: whose Authorization header holds the token.
            subject: what it is about.
            zone: the zone's name or id; `None` when there is none yet.
            entry: which of them, where the path says so.

        Raises:
            RequestRefused: there is no such operator, or the token lacks the scope.
            Unavailable: a refusal could not be recorded.
        """
        target = "/".join(filter(None, (zone, subject.group, entry))) or "zones"
        admitted = await self.gate.admit(request, OperatorScope.WRITE, target=target, zone=zone)
        try:
            yield Edit(self.gate, self.apply, subject, admitted, request, zone or "", self.follow)
        except RequestRefused as refused:
            raise await self.gate.refuse(admitted.act, refused.problem, target, zone) from None

    async def look(self, request: Request, zone: str) -> ZoneRecord:
        """Admit a request that reads a zone, and return the zone.

        Raises:
            RequestRefused: it may not, or there is no such zone.
        """
        await self.gate.admit(request, OperatorScope.READ, target=zone, zone=zone)
        return await present(self.gate, zone)

    async def read(self, request: Request, shape: type[Shape], subject: Subject) -> Shape:
        """Read the body of a request that changes nothing, as `Edit.read` does."""
        return await read_request(request, shape, subject, self.gate)


async def read_request(request: Request, shape: type[Shape], subject: Subject, gate: Gate) -> Shape:
    """Read a body of at most what the settings allow.

    Raises:
        RequestRefused: it is too large, not JSON, or not of that shape.
    """
    limit = gate.settings.max_body_bytes
    body = await read_body(request.receive, request.scope["headers"], limit)
    return read_fields(read_plain(body or b"{}"), shape, subject)


async def present(gate: Gate, reference: str) -> ZoneRecord:
    """The zone of that id or name, unless it is put away.

    Raises:
        RequestRefused: there is none.
    """
    record = await gate.zone(reference)
    if record.archived_at is not None:
        raise RequestRefused(Problem(Reason.ZONE_UNKNOWN, "the zone is archived"))
    return record


async def persist(once: Callable[[], Awaitable[Done | Refused]]) -> Done | Refused:
    """Do something again while others change the zone first, a bounded number of times."""
    pause = _FIRST_PAUSE
    for _ in range(MAX_TRIES - 1):
        outcome = await once()
        if not isinstance(outcome, Refused) or outcome.reason is not Reason.ZONE_CHANGED:
            return outcome
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return await once()


def agreed(outcome: Done | Refused) -> Done:
    """The outcome.

    Raises:
        RequestRefused: it is none.
    """
    if isinstance(outcome, Refused):
        raise RequestRefused(Problem.of(outcome))
    return outcome


def read_fields(data: object, shape: type[Shape], subject: Subject) -> Shape:
    """Plain data as the fields of a request.

    Raises:
        RequestRefused: it is not of that shape; the issue names the field.
    """
    if isinstance(data, dict):
        known = {field.encode_name for field in msgspec.structs.fields(shape)}
        unknown = sorted(map(str, data.keys() - known))
        if unknown:
            raise subject.refuse(unknown[0], "there is no such field")
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as fault:
        message, _, where = str(fault).partition(" - at `$")
        path = where.strip("`.") or "the body"
        raise RequestRefused(
            Problem(
                Reason.REQUEST_MALFORMED,
                f"{path}: {message}",
                AdminAnswer(subject.invalid),
                issues=(Issue((path,), message),),
            )
        ) from None
