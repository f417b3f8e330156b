"""The API that erases what opens commitments, for operators with the scope `write`."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.subjects import User
from caracal_server.audit.erasures import Erased, Erasures
from caracal_server.audit.logs import Logs
from caracal_server.audit.operators import Acting
from caracal_server.audit.zone_path import zone_of
from caracal_server.ports.evidence import Redact
from caracal_server.web.requests import read_json, request_id_of
from caracal_server.web.routes import Route, json_response

_TARGET: Final = "evidence erasure"

_Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Field = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,64}$")]


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user, and who vouches for them."""

    issuer: _Text
    subject: _Text


class Shred(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose openings are erased, or of when; and why, in words that name nobody."""

    reason: _Why
    person: Person | None = None
    before: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class RedactField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which opening of which entry is erased, and why."""

    index: _Index
    field: _Field
    reason: _Why


class ErasedView(msgspec.Struct, frozen=True):
    """Of how many entries openings were erased; `index` is of the entry that says so, null if of none."""

    count: int
    index: int | None


class ErasureApi:
    """The handlers; `routes` is the table."""

    def __init__(self, erasures: Erasures, logs: Logs, acting: Acting) -> None:
        self._erasures = erasures
        self._logs = logs
        self._acting = acting

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/zones/{zone}/evidence/shred", self.shred),
            Route("POST", "/v1/zones/{zone}/evidence/redact", self.redact),
        )

    async def shred(self, request: Request) -> Response:
        """Forget a person, or all that opens what was recorded before an instant."""
        actor = await self._acting.actor(request, _TARGET)
        zone_id, made_by = zone_of(request, self._logs), request_id_of(request)
        asked = await read_json(request, Shred)
        outcome: Erased | Refused
        if asked.person is not None and asked.before is None:
            person = User(asked.person.issuer, asked.person.subject)
            outcome = await self._erasures.shred_person(
                zone_id, person, asked.reason, actor, made_by
            )
        elif asked.person is None and asked.before is not None:
            outcome = await self._erasures.shred_before(
                zone_id, asked.before, asked.reason, actor, made_by
            )
        else:
            outcome = Refused(Reason.REQUEST_MALFORMED, "either a person or an instant is shredded")
        return await self._answer(request, actor, outcome)

    async def redact(self, request: Request) -> Response:
        """Forget one value."""
        actor = await self._acting.actor(request, _TARGET)
        zone_id = zone_of(request, self._logs)
        asked = await read_json(request, RedactField)
        outcome = await self._erasures.redact(
            zone_id,
            Redact(asked.index, asked.field),
            asked.reason,
            actor,
            request_id_of(request),
        )
        return await self._answer(request, actor, outcome)

    async def _answer(self, request: Request, actor: str, outcome: Erased | Refused) -> Response:
        if isinstance(outcome, Refused):
            raise await self._acting.refused(request, actor, _TARGET, outcome)
        return json_response(ErasedView(outcome.count, outcome.entry))
