"""What was taken out of the logs for good, which goes on record, and may then be dropped from them."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.outcomes import Refused
from caracal_server.audit.logs import Logs
from caracal_server.audit.operators import Acting
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.retention import Retention
from caracal_server.audit.zone_path import zone_of
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.web.requests import read_json, refuse_params, request_id_of
from caracal_server.web.routes import Route, json_response

MAX_INDEX: Final = 2**53 - 1
_EXPORTS: Final = "evidence exports"
_RETENTION: Final = "evidence retention"

_Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_INDEX)]
_Destination = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")
]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Exported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries `first_index` to `end_index` (exclusive) are stored durably at `destination`.

    Attributes:
        destination: where, without secrets.
        manifest_sha256: hex digest of the manifest that names the files and their digests.
    """

    first_index: _Index
    end_index: _Index
    destination: _Destination
    manifest_sha256: _Sha256


class RecordedView(msgspec.Struct, frozen=True):
    """The index of the entry that says so."""

    index: int


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Drop the whole bundles before an entry, or before the first entry of an instant or later."""

    before: _Index | Annotated[datetime, msgspec.Meta(tz=True)]


class DroppedView(msgspec.Struct, frozen=True):
    """Entries `first_index` to `end_index` (exclusive) are gone; `index` is of the entry that says so."""

    first_index: int
    end_index: int
    index: int


class ExportApi:
    """The handlers; `routes` is the table."""

    def __init__(
        self,
        reader: EvidenceReader,
        evidence: EvidenceLog,
        logs: Logs,
        clock: Clock,
        acting: Acting,
        retention: Retention,
    ) -> None:
        self._retention = retention
        self._reader = reader
        self._evidence = evidence
        self._logs = logs
        self._clock = clock
        self._acting = acting

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/zones/{zone}/evidence/exports", self.record),
            Route("POST", "/v1/zones/{zone}/evidence/drop", self.drop),
        )

    async def drop(self, request: Request) -> Response:
        """Drop what was exported, for operators with the scope `write`; what is refused goes on record."""
        actor = await self._acting.actor(request, _RETENTION)
        zone_id = zone_of(request, self._logs)
        before = (await read_json(request, Drop)).before
        dropped = await self._retention.drop(zone_id, before, actor, request_id_of(request))
        if isinstance(dropped, Refused):
            raise await self._acting.refused(request, actor, _RETENTION, dropped)
        return json_response(DroppedView(dropped.first, dropped.end, dropped.entry))

    async def record(self, request: Request) -> Response:
        """Record an export, for operators with the scope `write`; a refused one goes on record too."""
        actor = await self._acting.actor(request, _EXPORTS)
        zone_id = zone_of(request, self._logs)
        exported = await read_json(request, Exported)
        size = await self._reader.size(zone_id)
        if not exported.first_index < exported.end_index <= size:
            raise refuse_params(
                f"an export covers entries from first_index to end_index, at most {size}"
            )
        receipt = await self._evidence.append(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.EVIDENCE_EXPORT,
                zone=zone_id,
                at=self._clock.now_us(),
                request=request_id_of(request),
                verdict=Verdict.ALLOW,
                target=exported.destination,
                actor=actor,
                digest=exported.manifest_sha256,
                first_index=exported.first_index,
                end_index=exported.end_index,
            )
        )
        return json_response(RecordedView(receipt.index))
