"""Every entry is an OCSF event that leads back to its proof, whatever the entry holds."""

import base64
import json
from hashlib import sha256

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.events import Entry, Kind, Verdict
from caracal_server.adapters.clock import SystemClock
from caracal_server.shipping.archives import parquet_archive
from caracal_server.shipping.batches import Batch, Log, Placed, read_line, same_day
from caracal_server.shipping.cursors import CursorFile
from caracal_server.shipping.files import DirectoryPlace
from caracal_server.shipping.forms import render
from caracal_server.shipping.lanes import Lane, Pace
from caracal_server.shipping.ocsf import KINDS, ocsf_event
from tests.shipping.judges import OCSF, judge

LOG = Log("zone1", "caracal.example/evidence/zone1")
SHAPE = {
    0: set(),
    3001: {"user"},
    3003: {"user", "privileges"},
    3004: {"entity"},
    3005: {"user", "privileges"},
    6002: {"app"},
    6003: {"actor", "api", "src_endpoint"},
}
"""What OCSF 1.7.0 requires of the classes in use, besides what it requires of every event."""
EVERY = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}


def entry(kind: Kind, **fields) -> Entry:
    return Entry(
        format=1, kind=kind, zone="zone1", at=1_764_000_000_000_000, request="r1", **fields
    )


def line_of(data: bytes, index: int = 7):
    return read_line(Placed(index, sha256(b"\0" + data).hexdigest(), data))


def event_of(recorded: Entry) -> dict:
    return json.loads(msgspec.json.encode(ocsf_event(LOG, line_of(msgspec.json.encode(recorded)))))


FULL = {
    "verdict": Verdict.REFUSE,
    "reason": "not_permitted",
    "application": "app1",
    "application_name": "agent",
    "subject": "alice",
    "session": "session1",
    "resource": "resource://shop",
    "operation": "POST /orders",
    "scopes": "orders:write orders:read",
    "policy": "digest",
    "policies": ("p1", "p2"),
    "target": "shop",
    "status": 502,
    "duration_us": 4_000,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_class_of_its_own(kind):
    assert kind in KINDS


def test_an_independent_library_takes_the_event_of_every_kind():
    events = [event_of(entry(kind, **fields)) for kind in Kind for fields in ({}, FULL)]
    for event in events:
        assert set(event) >= EVERY | SHAPE[event["class_uid"]]
        assert event["category_uid"] == event["class_uid"] // 1000
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert ("activity_name" in event) == (event["activity_id"] == 99)
    text = b"\n".join(msgspec.json.encode(event) for event in events)
    assert judge(OCSF, text) == ["ok"] * len(events)


def test_that_library_takes_no_event_that_lacks_what_ocsf_requires():
    event = event_of(entry(Kind.CALL, **FULL))
    del event["api"]
    with pytest.raises(AssertionError, match="api"):
        judge(OCSF, msgspec.json.encode(event))


@pytest.mark.parametrize(
    ("operation", "activity"),
    [("GET /x", 2), ("POST /x", 1), ("PATCH /x", 3), ("DELETE /x", 4), ("tools/call", 99)],
)
def test_a_call_is_an_activity_by_its_method(operation, activity):
    assert event_of(entry(Kind.CALL, operation=operation))["activity_id"] == activity


@pytest.mark.parametrize(("verdict", "status"), [("allow", 1), ("refuse", 2), ("", 0)])
def test_the_verdict_is_the_status(verdict, status):
    assert event_of(entry(Kind.EXCHANGE, verdict=Verdict(verdict)))["status_id"] == status


def test_an_event_leads_back_to_its_proof():
    data = msgspec.json.encode(entry(Kind.CALL, **FULL))
    event = ocsf_event(LOG, line_of(data))
    leaf = sha256(b"\0" + event["raw_data"].encode()).hexdigest()
    assert event["unmapped"] == {"log": LOG.origin, "index": 7, "leaf_hash": leaf, "intact": True}
    assert event["metadata"]["uid"] == f"{LOG.origin}/7"


@settings(max_examples=80)
@given(
    st.binary(max_size=60)
    | st.sampled_from([b'{"kind":"of.later","at":5}', b'{"at":1e999}', b"[" * 900])
)
def test_whatever_stands_in_the_log_is_delivered_as_it_is(data):
    line = line_of(data)
    for form in ("ocsf", "entry"):
        for raw in (False, True):
            (text,) = render(Batch(LOG, 7, 8, (line,), raw=raw), form)
            told = json.loads(text)
            if "raw_data" in told:
                assert told["class_uid"] == 0
                kept = told["raw_data"]
                assert data in (kept.encode(), _unwrapped(kept))
            else:
                assert data in (told.get("raw", "").encode(), _unwrapped(told.get("data", "")))


def _unwrapped(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def test_what_was_altered_is_delivered_and_said_to_be_altered():
    line = read_line(Placed(7, "00" * 32, msgspec.json.encode(entry(Kind.CALL))))
    assert ocsf_event(LOG, line)["unmapped"]["intact"] is False


async def test_what_a_form_can_not_say_goes_as_it_is(tmp_path):
    """A time beyond any calendar, and a number beyond any column."""
    good = msgspec.json.encode(entry(Kind.CALL))
    late = good.replace(b'"at":1764000000000000', b'"at":9223372036854775807')
    large = msgspec.json.encode(entry(Kind.CALL, sent_bytes=2**63))
    source = Held([late, large, good])
    sink = parquet_archive(DirectoryPlace(tmp_path / "lake"))
    file = CursorFile(tmp_path / "state", "lake", LOG.zone)
    lane = Lane(LOG, "lake", sink, Pace(10, 0, 0), source, file, SystemClock())
    for _ in range(8):
        await lane.attempt(now=True)
    assert file.load(LOG.origin).next_index == 3
    rows = [
        row for it in tmp_path.rglob("*.parquet") for row in pq.ParquetFile(it).read().to_pylist()
    ]
    assert {row["raw"] for row in rows} == {late, large, good}


class Held:
    """A log in memory."""

    def __init__(self, entries: list[bytes]) -> None:
        self._lines = [line_of(data, index).placed for index, data in enumerate(entries)]

    async def logs(self):
        return (LOG,)

    async def size(self, log):
        return len(self._lines)

    async def read(self, log, first, end):
        return self._lines[first:end]


def test_a_file_holds_the_entries_of_one_day_alone():
    day = 86_400_000_000
    placed = [b'{"at":%d}' % (day * 20_000 + it) for it in (1, 2)] + [
        b"no",
        b'{"at":%d}' % (day * 20_001),
    ]
    lines = [line_of(data, index) for index, data in enumerate(placed)]
    assert same_day(lines) == 3
    assert Batch(LOG, 0, 3, tuple(lines[:3])).object_name.startswith("dt=2024-10-04/zone=zone1/")
