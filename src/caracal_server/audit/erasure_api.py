"""The API that erases what opens commitments, for operators with the scope `write`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.outcomes import Refused
from caracal.authority.subjects import User
from caracal_server.audit.erasures import Erasures
from caracal_server.audit.logs import Logs
from caracal_server.audit.operators import Acting
from caracal_server.audit.zone_path import zone_of
from caracal_server.ports.evidence import Redact
from caracal_server.ports.shards import Shard, Shredded, Shredding
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


class ErasedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of how many entries openings were erased, in all.

    Attributes:
        index: of the entry that says so in the zone's own log; null if none of its own were.
        shards: what was erased in each shard, by name, and the entry there; left out without shards.
    """

    count: int
    index: int | None
    shards: dict[str, Shredded] = {}


class ErasureApi:
    """The handlers; `routes` is the table."""

    def __init__(
        self, erasures: Erasures, logs: Logs, acting: Acting, shards: Mapping[str, Shard]
    ) -> None:
        self._erasures = erasures
        self._shards = shards
        self._logs = logs
        self._acting = acting

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/zones/{zone}/evidence/shred", self.shred),
            Route("POST", "/v1/zones/{zone}/evidence/redact", self.redact),
        )

    async def shred(self, request: Request) -> Response:
        """Forget a person, or all that opens what was recorded before an instant; in all shards, too."""
        actor = await self._acting.actor(request, _TARGET)
        zone_id, made_by = zone_of(request, self._logs), request_id_of(request)
        asked = await read_json(request, Shred)
        named = asked.person
        person = None if named is None else User(named.issuer, named.subject)
        shredding = Shredding(zone_id, asked.reason, actor, made_by, person, asked.before)
        own = await self._accepted(request, actor, await self._erasures.shred(shredding))
        shards = {name: await one.shred(shredding) for name, one in self._shards.items()}
        count = own.count + sum(one.count for one in shards.values())
        return json_response(ErasedView(count, own.index, shards))

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
        erased = await self._accepted(request, actor, outcome)
        return json_response(ErasedView(erased.count, erased.index))

    async def _accepted(
        self, request: Request, actor: str, outcome: Shredded | Refused
    ) -> Shredded:
        if isinstance(outcome, Refused):
            raise await self._acting.refused(request, actor, _TARGET, outcome)
        return outcome
