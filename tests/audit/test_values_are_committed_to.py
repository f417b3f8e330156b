"""What says who a person is does not stand in the log: a commitment does, and what opens it is apart."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from caracal.authority.events import Entry, Kind
from caracal.authority.subjects import User
from caracal.evidence.commitments import make_opening, verify_openings
from caracal.wire.opened_entries import opened_entry
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.batches import records
from caracal_server.audit.committing import Committer
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.evidence import Committable, EvidenceQuery
from tests.audit.logbook import ZONE, TestClock, entry, require_whole, settings
from tests.support.evidence_store import Fault, FaultyEvidenceStore, MemoryEvidenceStore

ISSUER = "https://login.example"
NAME = "alice.of.the.lake@example.com"
OF_ALICE = {"subject": NAME, "subject_issuer": ISSUER}


async def recorded(store, *entries: Entry, further: tuple[Committable, ...] = ()) -> None:
    committer = Committer(SystemEntropy(), frozenset(further))
    sequencer = Sequencer(store, settings(), Integrity(), TestClock(), commit_to=committer)
    await sequencer.start([ZONE])
    for one in entries:
        sequencer.enqueue(one)
    await sequencer.append(entry("last"))
    await sequencer.close()


@pytest.mark.parametrize(
    "said",
    [
        entry(kind=Kind.EXCHANGE, **OF_ALICE),
        entry(kind=Kind.CALL, **OF_ALICE, detail=f"{NAME} may not"),
        entry(kind=Kind.CALL_RESULT, **OF_ALICE),
        entry(kind=Kind.SESSION_START, **OF_ALICE),
        entry(
            kind=Kind.SUBJECT_REVOKE,
            subject="operator",
            target=NAME,
            subject_issuer=ISSUER,
            reason=f"{NAME} left",
            detail=f"2 sessions of {NAME}",
        ),
    ],
    ids=lambda one: one.kind.value,
)
async def test_no_byte_of_an_entry_about_a_user_names_them(said):
    store = MemoryEvidenceStore()
    await recorded(store, said)
    stored = await store.entry(ZONE, 0)
    assert NAME.encode() not in stored.data
    assert ISSUER.encode() not in stored.data

    openings = (await store.openings(ZONE, [0, 1]))[0]
    found = msgspec.json.decode(stored.data, type=Entry)
    verify_openings(openings, found.committed)
    assert set(openings) == set(found.committed)
    assert replace(opened_entry(found, openings), sequenced_at=0) == said
    assert await store.pseudonym(ZONE, User(ISSUER, NAME))
    assert [one.request for one in await require_whole(store)] == [said.request, "last"]


async def test_an_entry_about_no_user_is_recorded_as_it_was_said_and_costs_no_opening():
    store = MemoryEvidenceStore()
    await recorded(store, entry(subject="app-1", detail="app-1 did it", actor="an operator"))
    assert (await require_whole(store))[0].subject == "app-1"
    assert not store.log(ZONE).openings


async def test_an_operator_may_have_more_committed_to_but_not_what_others_go_by():
    store = MemoryEvidenceStore()
    call = entry(
        operation="GET /a",
        detail="why",
        actor="carol (t-1)",
        arguments="ab",
        argument_values='{"q":"printer"}',
        body="cd",
    )
    rotate = entry(kind=Kind.KEY_ROTATE, detail="the next key is K", actor="carol (t-1)")
    await recorded(store, call, rotate, further=tuple(Committable))

    first, second, _ = await require_whole(store)
    assert set(first.committed) == {
        "operation",
        "detail",
        "actor",
        "arguments",
        "argument_values",
        "body",
    }
    assert set(second.committed) == {"actor"}
    assert second.detail == "the next key is K"
    openings = await store.openings(ZONE, [0])
    assert opened_entry(first, openings[0]) == call
    assert not store.log(ZONE).persons


async def test_commitments_to_the_same_value_differ():
    store = MemoryEvidenceStore()
    await recorded(store, entry("a", **OF_ALICE), entry("b", **OF_ALICE))
    first, second, _ = await require_whole(store)
    for field in ("subject", "subject_issuer"):
        assert first.committed[field] != second.committed[field]
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first.committed[field])


async def test_a_service_can_not_put_in_commitments_of_its_own():
    store = MemoryEvidenceStore()
    await recorded(store, entry(committed={"subject": "forged"}))
    assert (await require_whole(store))[0].committed == {}


async def test_a_commit_that_is_tried_again_keeps_openings_that_fit():
    store = FaultyEvidenceStore()
    store.faults = [Fault.BEFORE]
    committer = Committer(SystemEntropy())
    sequencer = Sequencer(store, settings(), Integrity(), TestClock(), commit_to=committer)
    await sequencer.start([ZONE])
    sequencer.enqueue(entry("result", kind=Kind.CALL_RESULT, **OF_ALICE))
    await sequencer.close()

    (stored,) = await store.search(ZONE, EvidenceQuery())
    openings = (await store.openings(ZONE, [stored.index]))[stored.index]
    verify_openings(openings, msgspec.json.decode(stored.data, type=Entry).committed)


async def test_a_stored_entry_is_known_again_by_what_it_stood_for():
    store = MemoryEvidenceStore()
    said = entry("a", **OF_ALICE)
    await recorded(store, said)
    stored = await store.entry(ZONE, 0)
    openings = (await store.openings(ZONE, [0]))[0]
    assert records(stored.data, openings, said)
    assert not records(stored.data, openings, replace(said, subject="bob"))
    assert not records(stored.data, {}, said)
    assert not records(stored.data, {"subject": make_opening(bytes(32), NAME)}, said)
    assert not records(b"{", {}, said)


async def test_a_lone_surrogate_is_spelt_out_before_it_is_committed_to():
    store = MemoryEvidenceStore()
    await recorded(store, entry(detail="\ud800 of " + NAME, **OF_ALICE))
    opened = (await store.openings(ZONE, [0]))[0]
    assert opened["detail"].value == "\\ud800 of " + NAME


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@examples(max_examples=60)
@given(texts, texts, texts, texts, st.sets(st.sampled_from(Committable)))
def test_opening_what_was_committed_to_gives_back_what_was_said(
    name, issuer, detail, operation, further
):
    said = entry(subject=name, subject_issuer=issuer, detail=detail, operation=operation)
    closed, made = Committer(SystemEntropy(), frozenset(further))(said)
    assert opened_entry(closed, made.openings if made else {}) == said
    hidden = set(closed.committed)
    assert all(not asdict(closed)[field] for field in hidden)
    assert (made is None) is (not hidden)
