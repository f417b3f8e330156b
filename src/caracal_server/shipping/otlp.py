"""OpenTelemetry logs: OTLP/HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/)."""

from collections.abc import Mapping
from typing import Final

import msgspec

from caracal.authority.events import Verdict
from caracal.tokens.secret import Secret
from caracal_server.ports.upstream import UpstreamClient, UpstreamUrl
from caracal_server.shipping.batches import Batch, Line
from caracal_server.shipping.config import Form
from caracal_server.shipping.forms import render
from caracal_server.shipping.parts import Undelivered
from caracal_server.shipping.posting import post

_INFO: Final = (9, "INFO")
_WARN: Final = (13, "WARN")


class _Partial(msgspec.Struct, frozen=True, rename="camel"):
    rejected_log_records: int | str = 0


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    partial_success: _Partial = _Partial()


def otlp_request(batch: Batch, form: Form) -> bytes:
    """An ExportLogsServiceRequest: one record for each entry, its body the event as JSON text."""
    texts = render(batch, form)
    scope = {
        "scope": {"name": "caracal.evidence"},
        "logRecords": [
            _record(batch, line, text) for line, text in zip(batch.lines, texts, strict=True)
        ],
    }
    resource = {
        "attributes": [_text("service.name", "caracal"), _text("caracal.zone", batch.log.zone)]
    }
    return msgspec.json.encode({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]})


def _record(batch: Batch, line: Line, text: bytes) -> dict[str, object]:
    entry = line.entry
    refused = entry is None or entry.verdict is Verdict.REFUSE
    number, name = _WARN if refused else _INFO
    attributes = [
        _text("caracal.log", batch.log.origin),
        {"key": "caracal.index", "value": {"intValue": str(line.placed.index)}},
        _text("caracal.leaf_hash", line.placed.leaf_hash),
    ]
    if entry is not None:
        attributes += [_text("caracal.kind", entry.kind), _text("caracal.request", entry.request)]
    at = entry.at if entry is not None else line.at
    return {
        "timeUnixNano": str(max(at, 0) * 1000),
        "observedTimeUnixNano": str(line.at * 1000),
        "severityNumber": number,
        "severityText": name,
        "body": {"stringValue": text.decode()},
        "attributes": attributes,
    }


def _text(key: str, value: str) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": value}}


class OtlpSink:
    """Implements `Sink`. A collector that takes only a part has not taken the batch: nothing is skipped."""

    def __init__(
        self, client: UpstreamClient, url: UpstreamUrl, headers: Mapping[str, Secret], form: Form
    ) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._form = form

    async def deliver(self, batch: Batch) -> None:
        headers = [(b"content-type", b"application/json")]
        headers += [
            (name.lower().encode(), value.reveal().encode())
            for name, value in self._headers.items()
        ]
        body = await post(self._client, self._url, headers, otlp_request(batch, self._form))
        try:
            answer = msgspec.json.decode(body or b"{}", type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Undelivered(f"{self._url.host} answered no OTLP") from None
        rejected = answer.partial_success.rejected_log_records
        if str(rejected) != "0":
            raise Undelivered(f"{self._url.host} rejected {rejected} records", refused=True)

    async def aclose(self) -> None:
        await self._client.aclose()
