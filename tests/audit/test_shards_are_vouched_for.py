"""A zone's log vouches for those of its shards, as long as each continues what was vouched for before."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.events import Entry, Kind
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.checkpoints import (
    Checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from caracal.evidence.notes import VerifierKey, parse_note, parse_verifier_key
from caracal.wire.dropped_entries import verify_log
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.peers.shards import RemoteShard
from caracal_server.audit.anchoring import MAX_NOTE, Anchoring, Sharding
from caracal_server.audit.erasure_api import ErasureApi
from caracal_server.audit.http import SearchStory
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import LogKey, LogKeys
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.retention import Retention
from caracal_server.audit.service import build_audit_service
from caracal_server.audit.story import Story, merged, read_cursor, render_cursor
from caracal_server.ports.evidence import EvidenceQuery, StoredEntry
from caracal_server.ports.shards import Found
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.peers.services import parse_peer
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.apart.wire import wire
from tests.audit.logbook import ZONE, TestClock, TwoZones, entry, log_key, settings
from tests.evidence.signing import key_pair
from tests.support.evidence_store import MemoryEvidenceStore

WEST = "west"


def _service(store, key, shard=""):
    return build_audit_service(
        store,
        TwoZones(),
        LogKeys(key),
        TestClock(),
        replace(settings(), shard=shard),
        entropy=SystemEntropy(),
    )


@dataclass
class Site:
    """An Audit and its shard, which it asks over the peers' protocol but without its timer."""

    shard: object
    audit: object
    anchoring: Anchoring
    integrity: Integrity
    line: object
    store: MemoryEvidenceStore
    shard_asked: RemoteShard
    told: list = field(default_factory=list)

    async def grow(self, count: int) -> None:
        for number in range(count):
            await self.shard.sequencer.append(entry(f"w-{number}"))
        await self.shard.checkpointer.sign(ZONE)

    async def recorded(self) -> list[Entry]:
        page = await self.audit.reader.search(ZONE, EvidenceQuery(kind=Kind.SHARD_CHECKPOINT))
        return [msgspec.json.decode(one.data, type=Entry) for one in page.entries]


@asynccontextmanager
async def site(shard_store=None, audit_store=None, *, shard_key=None):
    shard = _service(shard_store or MemoryEvidenceStore(), shard_key or log_key(), WEST)
    audit_store = audit_store or MemoryEvidenceStore()
    audit = _service(audit_store, log_key())
    await shard.start()
    await audit.start()
    channel, line = wire(parse_peer("audit"), parse_peer(f"audit.{WEST}"), shard.shard_answers)
    told: list = []
    asked = RemoteShard(channel)
    sharding = Sharding({WEST: asked}, told.append)
    integrity = Integrity()
    anchoring = Anchoring(
        sharding, audit_store, audit.sequencer, audit.logs, TestClock(), integrity
    )
    try:
        yield Site(shard, audit, anchoring, integrity, line, audit_store, asked, told)
    finally:
        await audit.close()
        await shard.close()


async def test_what_a_shard_signed_is_recorded_once_with_what_it_continues():
    async with site() as it:
        await it.grow(3)
        await it.anchoring.anchor(WEST)
        await it.anchoring.anchor(WEST)
        await it.grow(2)
        await it.anchoring.anchor(WEST)
        newer, older = await it.recorded()
        assert (older.first_index, older.end_index) == (0, 3)
        assert (newer.first_index, newer.end_index) == (3, 5)
        key = parse_verifier_key(newer.detail.removeprefix("verify with "))
        signed = verify_checkpoint(newer.checkpoint, key)
        assert (signed.size, signed.root.hex()) == (5, newer.digest)
        assert newer.target == signed.origin == f"{it.audit.logs.origin(ZONE)}/{WEST}"
        assert it.told == [ZONE, ZONE]
        assert it.integrity.check() is None


async def test_a_restart_goes_on_from_what_is_on_record():
    key, shard_store, audit_store = log_key(), MemoryEvidenceStore(), MemoryEvidenceStore()
    async with site(shard_store, audit_store, shard_key=key) as it:
        await it.grow(3)
        await it.anchoring.anchor(WEST)
    async with site(shard_store, audit_store, shard_key=key) as it:
        await it.anchoring.anchor(WEST)
        assert len(await it.recorded()) == 1
        await it.grow(1)
        await it.anchoring.anchor(WEST)
        assert [one.first_index for one in await it.recorded()] == [3, 0]


@pytest.mark.parametrize(
    ("other", "finding"),
    [
        (0, "has gone, and 3 entries were recorded"),
        (2, "has 2 entries, and 3 were recorded"),
        (3, "two roots for one size"),
        (5, "consistency proof"),
    ],
)
async def test_a_shard_with_another_history_is_a_finding_and_not_recorded(other, finding):
    key, audit_store = log_key(), MemoryEvidenceStore()
    async with site(None, audit_store, shard_key=key) as it:
        await it.grow(3)
        await it.anchoring.anchor(WEST)
    async with site(None, audit_store, shard_key=key) as it:
        if other:
            await it.shard.sequencer.append(entry("another beginning"))
            await it.grow(other - 1)
        await it.anchoring.anchor(WEST)
        assert finding in it.integrity.check()
        assert f"its log in shard {WEST}" in it.integrity.check()
        assert [one.end_index for one in await it.recorded()] == [3]


async def test_the_key_on_record_is_one_that_signed_though_another_takes_over():
    async with site() as it:
        await it.grow(3)
        new = Ed25519PrivateKey.generate()
        public = new.public_key().public_bytes_raw()
        keys = it.shard.logs.keys
        keys.before, keys.current = keys.current, LogKey(public, new.sign, bytes(32))
        await it.anchoring.anchor(WEST)
        [one] = await it.recorded()
        key = parse_verifier_key(one.detail.removeprefix("verify with "))
        assert verify_checkpoint(one.checkpoint, key).size == 3


async def test_what_a_shard_names_can_neither_hide_a_finding_nor_be_any_text():
    async with site() as it:
        await it.grow(1)
        [honest] = [one for one in await it.shard_asked.grown({}) if one.zone_id == ZONE]

        class Lying:
            async def grown(self, _known):
                return self.answer

        lying, integrity = Lying(), Integrity()
        anchoring = Anchoring(
            Sharding({WEST: lying}),
            it.store,
            it.audit.sequencer,
            it.audit.logs,
            TestClock(),
            integrity,
        )
        lying.answer = (msgspec.structs.replace(honest, zone_id="../x\n"),)
        with pytest.raises(Unavailable, match="no zone"):
            await anchoring.anchor(WEST)
        assert integrity.check() is None
        long = honest.note + "\n\u2014 x " + "A" * MAX_NOTE
        lying.answer = (msgspec.structs.replace(honest, note=long),)
        await anchoring.anchor(WEST)
        integrity.report(ZONE, "entry 7 is another one")
        assert "longer than" in integrity.check()
        assert "entry 7 is another one" in integrity.check()


async def test_a_checkpoint_that_another_key_or_name_signed_is_not_recorded():
    async with site() as it:
        await it.grow(1)
        shard = it.shard_asked
        [honest] = [one for one in await shard.grown({}) if one.zone_id == ZONE]

        class Lying:
            def __init__(self, **change):
                self.change = change

            async def grown(self, _sizes):
                return (msgspec.structs.replace(honest, **self.change),)

        stranger = it.audit.logs.verifier(ZONE).render()
        other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        foreign = VerifierKey(it.shard.logs.origin(ZONE), other).render()
        elsewhere, sign = key_pair("elsewhere.example/log")
        of_another = sign_checkpoint(Checkpoint(elsewhere.name, 1, bytes(32)), sign, elsewhere)
        for change in (
            {"keys": ()},
            {"keys": (stranger,)},
            {"keys": (foreign,)},
            {"note": "no note"},
            {"keys": (elsewhere.render(),), "note": of_another},
        ):
            integrity = Integrity()
            anchoring = Anchoring(
                Sharding({WEST: Lying(**change)}),
                it.store,
                it.audit.sequencer,
                it.audit.logs,
                TestClock(),
                integrity,
            )
            await anchoring.anchor(WEST)
            assert f"its log in shard {WEST}" in integrity.check()
        assert await it.recorded() == []


async def test_a_shard_that_did_not_answer_is_recorded_once_it_does():
    async with site() as it:
        await it.grow(1)
        it.line.cut = True
        with pytest.raises(Unavailable):
            await it.anchoring.anchor(WEST)
        it.line.cut = False
        await it.anchoring.anchor(WEST)
        assert len(await it.recorded()) == 1


async def test_a_receipt_is_fetched_from_the_shard_that_the_reference_names():
    async with site() as it:
        await it.grow(1)
        receipt = await it.shard.sequencer.append(entry("one more"))
        assert receipt.reference.startswith(f"{ZONE}~{WEST}.1.")
        await it.shard.checkpointer.sign(ZONE)
        shard = it.shard_asked
        text = await shard.receipt(receipt.reference, witnessed=False)
        assert parse_checkpoint(parse_note(text.split("\n\n", 1)[1]).text).size == 2
        for forged in (
            receipt.reference.replace(f"~{WEST}", ""),
            receipt.reference.replace(WEST, "east"),
            receipt.reference.replace(WEST, "W"),
            receipt.reference[:-1],
        ):
            refused = await shard.receipt(forged, witnessed=False)
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.RECEIPT_UNKNOWN


def exported(size: int) -> Entry:
    """Covers a log up to that size."""
    return Entry(format=1, kind=Kind.EVIDENCE_EXPORT, zone=ZONE, at=1, request="x", end_index=size)


async def _operate(_request, scope):
    return OperatorIdentity("t-1", "ann", frozenset({scope}))


async def test_whoever_is_forgotten_is_forgotten_in_every_shard():
    person = {"subject": "eve@example.com", "subject_issuer": "https://login.example"}
    asked = {"person": {"issuer": person["subject_issuer"], "subject": person["subject"]}}
    async with site() as it:
        for sequencer in (it.shard.sequencer, it.shard.sequencer, it.audit.sequencer):
            await sequencer.append(entry("about eve", **person))
        acting = it.audit.acting(_operate)
        api = ErasureApi(it.audit.erasures, it.audit.logs, acting, {WEST: it.shard_asked})
        edge = Edge(api.routes(), refuse=render_problem_details, entropy=SystemEntropy())
        transport = httpx.ASGITransport(edge)
        async with httpx.AsyncClient(transport=transport, base_url="http://audit") as client:
            path = f"/v1/zones/{ZONE}/evidence/shred"
            told = await client.post(path, json=asked | {"reason": "request 17"})
            assert told.json() == {
                "count": 3,
                "index": 1,
                "shards": {WEST: {"count": 2, "index": 2}},
            }
            again = await client.post(path, json=asked | {"reason": "request 17"})
            assert again.json()["count"] == 0
            it.line.cut = True
            late = await client.post(path, json=asked | {"reason": "request 17"})
            assert late.status_code == 503
        it.line.cut = False
        page = await it.shard.reader.search(ZONE, EvidenceQuery())
        assert await it.shard.opened.of(ZONE, page.entries) == {}
        told = msgspec.json.decode(page.entries[0].data, type=Entry)
        assert (told.kind, told.actor) == (Kind.EVIDENCE_SHRED, "ann (t-1)")


async def test_no_rest_is_exported_without_the_entry_that_says_what_was_dropped():
    async with site() as it:
        for number in range(300):
            await it.audit.sequencer.append(entry(f"e-{number}"))
        cosigned = await it.audit.checkpointer.sign(ZONE)
        await it.audit.sequencer.append(exported(300))
        await it.audit.retention.drop(ZONE, 300, "ann", "r-1")

        async def newest(_zone_id):
            return cosigned

        reader = EvidenceReader(it.store, it.audit.checkpointer, it.audit.logs, newest)
        refused = await reader.export(ZONE, witnessed=True)
        assert (refused.reason, "not in the checkpoint" in refused.detail) == (
            Reason.EVIDENCE_DROPPED,
            True,
        )
        cosigned = await it.audit.checkpointer.sign(ZONE)
        pieces = await reader.export(ZONE, witnessed=True)
        lines = b"".join([piece async for piece in pieces]).splitlines(keepends=True)
        assert verify_log(lines, it.audit.logs.verifier(ZONE)).first == 256


async def test_what_is_known_of_a_shard_outlives_what_is_dropped():
    key, audit_store = log_key(), MemoryEvidenceStore()
    async with site(None, audit_store, shard_key=key) as it:
        await it.grow(3)
        await it.anchoring.anchor(WEST)
        for number in range(300):
            await it.audit.sequencer.append(entry(f"e-{number}"))
        await it.audit.sequencer.append(exported(300))
        names = (it.shard.logs.origin(ZONE),)
        retention = Retention(audit_store, it.audit.sequencer, TestClock(), lambda _zone: names)
        await retention.drop(ZONE, 300, "ann", "r-1")
    async with site(None, audit_store, shard_key=key) as it:
        await it.grow(2)
        await it.anchoring.anchor(WEST)
        assert "has 2 entries, and 3 were recorded" in it.integrity.check()


def stored(index: int, at: int) -> StoredEntry:
    return StoredEntry(index, b'{"sequenced_at":%d}' % at, bytes(32))


class Listed:
    """A log as a list, newest first: a reader of Audit's own, and a shard."""

    def __init__(self, times: list[int]) -> None:
        self.entries = [stored(index, at) for index, at in enumerate(sorted(times))][::-1]

    async def search(self, _zone_id, query: EvidenceQuery) -> Found:
        before = query.after_index
        fit = [one for one in self.entries if before is None or one.index < before]
        return Found(tuple(fit[: query.limit]))


class Closed:
    async def of(self, _zone_id, _entries):
        return {}


times = st.lists(st.integers(0, 30), max_size=25)


@given(st.dictionaries(st.sampled_from(["", "a", "b", "c"]), times), st.integers(1, 8))
async def test_pages_of_a_story_hold_every_entry_once_in_one_order(logs, limit):
    logs = {"": [], **logs}
    shards = {name: Listed(log) for name, log in logs.items() if name}
    story = Story(Listed(logs[""]), Closed(), shards, 1000)
    lines, cursor = [], None
    while True:
        page = await story.search(ZONE, EvidenceQuery(limit=limit), cursor)
        assert len(page.lines) <= limit
        lines += page.lines
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.lines) == limit or sum(map(len, logs.values())) == len(lines)
    at = [msgspec.json.decode(one.entry.data)["sequenced_at"] for one in lines]
    assert at == sorted(at, reverse=True)
    for name, log in logs.items():
        mine = [one.entry.index for one in lines if one.shard == name]
        assert mine == list(range(len(log)))[::-1]


async def test_what_a_log_records_between_two_pages_is_on_neither():
    a, b = Listed(list(range(100, 120))), Listed(list(range(20)))
    story = Story(Listed([]), Closed(), {"a": a, "b": b}, 1000)
    one = await story.search(ZONE, EvidenceQuery(limit=10), None)
    b.entries = Listed([*range(20), *range(200, 205)]).entries
    two = await story.search(ZONE, EvidenceQuery(limit=10), one.cursor)
    at = [
        msgspec.json.decode(line.entry.data)["sequenced_at"]
        for page in (one, two)
        for line in page.lines
    ]
    assert at == list(range(119, 99, -1))


@pytest.mark.parametrize("altered", [b'{"sequenced_at":"x"}', b"["])
async def test_an_entry_that_was_altered_hides_no_other(altered):
    log = Listed([1, 3, 5])
    log.entries[1] = StoredEntry(1, altered, bytes(32))
    story = Story(log, Closed(), {"a": Listed([2, 4])}, 1000)
    page = await story.search(ZONE, EvidenceQuery(limit=10), None)
    assert [(line.shard, line.entry.index) for line in page.lines] == [
        ("", 2),
        ("", 1),
        ("a", 1),
        ("a", 0),
        ("", 0),
    ]


def test_the_cursor_of_many_shards_is_taken_back():
    places = {f"shard-with-a-name-{one:02}": 2**53 - 1 for one in range(100)}
    cursor = render_cursor(places)
    assert msgspec.convert({"cursor": cursor}, SearchStory).cursor == cursor


@given(st.dictionaries(st.sampled_from(["", "a", "b-2"]), st.integers(0, 2**53)))
def test_a_cursor_is_read_as_it_was_written(places):
    if places:
        assert read_cursor(render_cursor(places)) == places


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_none(text):
    places = read_cursor(text)
    assert places is None or read_cursor(render_cursor(places)) == places


def test_a_page_of_nothing_is_the_last():
    page = merged({"": Found(()), "a": Found(())}, 10, {})
    assert (page.lines, page.cursor) == ((), None)
