"""A reference opens one entry's receipt, for whoever was answered it and for nobody else."""

import asyncio
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.notes import VerifierKey
from caracal.evidence.receipts import parse_receipt, verify_receipt
from caracal.evidence.tree import leaf_hash
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.logs import LogKey, LogKeys
from caracal_server.audit.receipt_api import ReceiptApi
from caracal_server.audit.receipts import Receipts
from caracal_server.audit.references import MAX_REFERENCE, Named, References, parse_reference
from caracal_server.audit.service import build_audit_service
from caracal_server.ports.evidence import StoredCheckpoint
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.audit.logbook import OTHER, ZONE, TestClock, TwoZones, entry, log_key, settings
from tests.support.asgi import ask
from tests.support.evidence_store import MemoryEvidenceStore

LEAF = leaf_hash(b"{}")
REFERENCES = References(LogKeys(log_key()))
CODE = string.ascii_letters + string.digits + "-_"


def test_a_reference_names_its_entry_and_128_bits_that_only_audit_can_make():
    named = parse_reference(REFERENCES(ZONE, 7, LEAF))
    assert (named.zone_id, named.index, len(named.code)) == (ZONE, 7, 22)
    assert REFERENCES.genuine(named, LEAF)
    other = LogKey(log_key().public_key, log_key().sign, b"another key")
    assert not References(LogKeys(other)).genuine(named, LEAF)


@given(st.sampled_from([ZONE, OTHER]), st.integers(0, 9), st.text(CODE, min_size=22, max_size=22))
def test_a_code_is_good_for_its_own_entry_only(zone, index, guess):
    code = parse_reference(REFERENCES(ZONE, 7, LEAF)).code
    assert REFERENCES.genuine(Named(zone, index, code), LEAF) is ((zone, index) == (ZONE, 7))
    assert not REFERENCES.genuine(Named(ZONE, 7, guess), LEAF)
    assert not REFERENCES.genuine(Named(ZONE, 7, code), leaf_hash(b"[]"))
    assert not REFERENCES.genuine(Named(ZONE, 7, code[:-1]), LEAF)


def test_references_outlive_one_change_of_the_logs_key():
    before, after = log_key(), LogKey(b"\1" * 32, log_key().sign, b"the next key")
    named = parse_reference(References(LogKeys(before))(ZONE, 7, LEAF))
    assert References(LogKeys(after, before)).genuine(named, LEAF)
    assert not References(LogKeys(after)).genuine(named, LEAF)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.1",
        "a..b",
        "a.01.b",
        "a.-1.b",
        "a.٣.b",
        "a b.1.c",
        ".1.c",
        "a.1.c" * MAX_REFERENCE,
        f"a.{2**63 - 1}.c",
        f"a.{'9' * 5000}.c",
        "é.1.c",
    ],
)
def test_what_is_no_reference_is_none(text):
    assert parse_reference(text) is None


@given(st.text(max_size=40))
def test_whatever_is_sent_is_read_or_is_none(text):
    named = parse_reference(text)
    assert named is None or f"{named.zone_id}.{named.index}.{named.code}" == text
    assert named is None or not REFERENCES.genuine(named, LEAF)


class SameIds:
    def new_id(self) -> str:
        return "request-1"


async def started(store, **more):
    keys = LogKeys(log_key())
    service = build_audit_service(
        store, TwoZones(), keys, TestClock(), settings(**more), entropy=SystemEntropy()
    )
    await service.start()
    return service


async def test_the_receipt_of_an_entry_verifies_with_the_logs_key_alone():
    service = await started(MemoryEvidenceStore())
    recorded = [await service.sequencer.append(entry(f"r-{n}")) for n in range(5)]
    key = VerifierKey(service.logs.origin(ZONE), log_key().public_key)
    for place in recorded:
        text = await service.receipts.fetch(place.reference)
        report = verify_receipt(parse_receipt(text), key)
        assert (report.index, leaf_hash(report.entry)) == (place.index, place.leaf_hash)
        assert report.checkpoint.size > place.index
    await service.close()


async def test_who_guesses_learns_nothing_from_the_answer():
    service = await started(MemoryEvidenceStore())
    place = await service.sequencer.append(entry())
    genuine = place.reference
    answers = set()
    edge = Edge(
        ReceiptApi(service.receipts).routes(), refuse=render_problem_details, entropy=SameIds()
    )
    for wrong in (
        genuine[:-1] + ("A" if genuine[-1] != "A" else "B"),
        genuine.replace(".0.", ".1."),
        genuine.replace(ZONE, OTHER),
        genuine.replace(ZONE, "no-such-zone"),
        "nonsense",
    ):
        answer = await ask(edge, "GET", f"/v1/receipts/{wrong}", [])
        answers.add((answer.status, answer.body))
    assert [status for status, _ in answers] == [404]
    found = await ask(edge, "GET", f"/v1/receipts/{genuine}", [])
    assert (found.status, found.header("content-type")) == (200, "text/plain; charset=utf-8")
    assert found.header("cache-control") == "no-store"
    await service.close()


async def test_a_receipt_waits_for_the_checkpoint_and_says_so_when_none_comes():
    store = MemoryEvidenceStore()
    service = build_audit_service(
        store, TwoZones(), LogKeys(log_key()), TestClock(), settings(), entropy=SystemEntropy()
    )
    await service.sequencer.start()
    place = await service.sequencer.append(entry())
    impatient = Receipts(store, REFERENCES, wait_s=0.2)
    refused = await impatient.fetch(place.reference)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.RECEIPT_NOT_READY
    waiting = asyncio.create_task(service.receipts.fetch(place.reference))
    await service.checkpointer.sign(ZONE)
    assert parse_receipt(await waiting).index == place.index
    await service.sequencer.close()


async def test_a_log_whose_tree_is_not_whole_proves_nothing_and_says_so():
    store = MemoryEvidenceStore()
    service = await started(store)
    places = [await service.sequencer.append(entry(f"r-{number}")) for number in range(2)]
    await service.checkpointer.sign(ZONE)
    del store.log(ZONE).nodes[0, 1]
    with pytest.raises(Unavailable) as refused:
        await service.receipts.fetch(places[0].reference)
    assert refused.value.reason is Reason.EVIDENCE_UNAVAILABLE
    await service.close()


async def test_receipts_are_bounded_so_that_waiting_for_them_holds_nothing_else_up():
    service = await started(MemoryEvidenceStore())
    first = await service.sequencer.append(entry())
    await service.receipts.fetch(first.reference)
    place = await service.sequencer.append(entry("r-not-covered-yet"))
    api = ReceiptApi(service.receipts, at_once=1)
    edge = Edge(api.routes(), refuse=render_problem_details, entropy=SameIds())
    answers = await asyncio.gather(
        *(ask(edge, "GET", f"/v1/receipts/{place.reference}", []) for _ in range(4))
    )
    assert sorted(answer.status for answer in answers) == [200, 503, 503, 503]
    await service.close()


async def test_a_witnessed_receipt_has_a_checkpoint_that_witnesses_cosigned_or_none():
    store = MemoryEvidenceStore()
    service = await started(store)
    place = await service.sequencer.append(entry())
    alone = await service.receipts.fetch(place.reference, witnessed=True)
    assert isinstance(alone, Refused)
    assert alone.reason is Reason.RECEIPT_NOT_WITNESSED
    cosigned: list[StoredCheckpoint] = []

    async def newest(_zone_id):
        return cosigned[-1] if cosigned else None

    receipts = Receipts(store, REFERENCES, witnessed=newest, wait_s=0.2)
    late = await receipts.fetch(place.reference, witnessed=True)
    assert isinstance(late, Refused)
    assert late.reason is Reason.RECEIPT_NOT_WITNESSED
    cosigned.append(await service.checkpointer.sign(ZONE))
    await service.sequencer.append(entry("r-later"))
    text = await receipts.fetch(place.reference, witnessed=True)
    assert parse_receipt(text).note == cosigned[0].note
    edge = Edge(ReceiptApi(receipts).routes(), refuse=render_problem_details, entropy=SameIds())
    answer = await ask(edge, "GET", f"/v1/receipts/{place.reference}?witnessed=maybe", [])
    assert answer.status == 400
    await service.close()
