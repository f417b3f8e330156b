"""Every entry gets one place, is durable before its receipt, and can be proven from the store."""

import asyncio
from datetime import timedelta
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.canonical import canonical_json
from caracal.evidence.proofs import inclusion_nodes, prove_inclusion, verify_inclusion
from caracal.evidence.tiles import MAX_ENTRY_BYTES, render_bundle
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.audit.batches import MAX_BARE_BYTES, Pending, Plan, canonical_entry
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.evidence import StoredEntry
from tests.audit.logbook import (
    OTHER,
    ZONE,
    TestClock,
    entry,
    recorded_as,
    require_whole,
    settings,
    started,
    until,
)
from tests.support.evidence_store import Fault, FaultyEvidenceStore, MemoryEvidenceStore

TEXT = st.text(max_size=20)
LATER = ("session", "subject", "subject_issuer")
"""Fields that follow the instant of sequencing, and may be missing."""


def _node(found, level, index):
    return found[level, index]


@given(
    texts=st.lists(TEXT, min_size=4, max_size=4),
    many=st.lists(TEXT | st.sampled_from(["session", ',"session":', "zone"]), max_size=3),
    later=st.fixed_dictionaries({}, optional=dict.fromkeys(LATER, st.sampled_from(["", "x"]))),
    instant=st.integers(1, 2**53 - 1),
    number=st.integers(0, 2**53 - 1),
    kind=st.sampled_from(Kind),
)
def test_an_entry_is_recorded_as_canonical_json(texts, many, later, instant, number, kind):
    recorded = entry(
        texts[0], detail=texts[1], operation=texts[2], target=texts[3], kind=kind,
        delegations=tuple(many), at=number, sent_bytes=number, **later,
        committed=dict.fromkeys(many, "x"),
    )  # fmt: skip
    data = canonical_entry(recorded)
    assert data == canonical_json(msgspec.json.decode(data))
    assert msgspec.json.decode(data, type=Entry) == recorded
    waiting = Pending(recorded, None)
    waiting.sequenced(b',"sequenced_at":%d' % instant)
    assert waiting.data == canonical_json(msgspec.json.decode(waiting.data))
    assert msgspec.json.decode(waiting.data, type=Entry) == replace(recorded, sequenced_at=instant)
    assert waiting.leaf == leaf_hash(waiting.data)


@given(before=st.integers(0, 70), more=st.integers(1, 40))
def test_a_batch_grows_the_tree_as_the_tree_itself_would(before, more):
    tree = TreeState().extend([leaf_hash(bytes([n])) for n in range(before)])
    pending = [Pending(entry(f"r-{n}"), None) for n in range(more)]
    plan = Plan(ZONE, tree, pending, 1)
    after, nodes = tree.grow([waiting.leaf for waiting in pending])
    assert plan.after == after
    assert sorted((n.level, n.index, n.hash) for n in plan.batch.nodes) == sorted(
        (n.level, n.index, n.hash) for n in nodes
    )
    assert plan.batch.after.peaks == after.peaks
    assert [e.index for e in plan.batch.entries] == list(range(before, before + more))


def test_a_lone_surrogate_in_an_entry_is_spelt_out_rather_than_lost():
    pending = Pending(entry("r", detail="path \ud800", policies=("a", "\udfff")), None)
    found = msgspec.json.decode(pending.data, type=Entry)
    assert found.detail == "path \\ud800"
    assert found.policies == ("a", "\\udfff")
    assert found == pending.entry


async def test_an_entry_that_no_bundle_could_hold_is_refused_and_the_longest_that_fits_is_not():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    room = MAX_BARE_BYTES - len(canonical_entry(entry(detail="x"))) + 1
    longest, longer = entry(detail="x" * room), entry(detail="x" * (room + 1))
    with pytest.raises(Unavailable, match="longer than a log takes"):
        await sequencer.append(longer)
    with pytest.raises(Unavailable, match="longer than a log takes"):
        sequencer.enqueue(longer)
    await sequencer.append(longest)
    await sequencer.close()
    assert len(render_bundle([one.data for one in store.log(ZONE).entries])) <= 2 + MAX_ENTRY_BYTES


async def test_a_thousand_concurrent_appends_each_get_their_own_provable_place():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    entries = [entry(f"r-{n}", (ZONE, OTHER)[n % 3 == 0]) for n in range(1000)]
    receipts = await asyncio.gather(*(sequencer.append(one) for one in entries))
    await sequencer.close()
    for zone_id in (ZONE, OTHER):
        mine = [(r, e) for r, e in zip(receipts, entries, strict=True) if r.zone_id == zone_id]
        recorded = await require_whole(store, zone_id)
        assert [e for _, e in mine] == recorded, "the order of the calls is kept"
        assert [r.index for r, _ in mine] == list(range(len(mine)))
        tree = sequencer.tree(zone_id)
        assert isinstance(tree, TreeState)
        for receipt, one in mine:
            assert receipt.leaf_hash == recorded_as(one, TestClock().now_us())
            wanted = inclusion_nodes(receipt.index, tree.size)
            found = await store.nodes(zone_id, [(node.level, node.index) for node in wanted])
            proof = prove_inclusion(receipt.index, tree.size, partial(_node, found))
            verify_inclusion(receipt.leaf_hash, proof, tree.root())


async def test_entries_that_arrive_during_a_commit_share_the_next_one():
    class Gated(MemoryEvidenceStore):
        def __init__(self):
            super().__init__()
            self.entered, self.gate = asyncio.Event(), asyncio.Event()
            self.sizes = []

        async def commit(self, batches):
            self.sizes.append(sum(len(batch.entries) for batch in batches))
            self.entered.set()
            await self.gate.wait()
            await super().commit(batches)

    store = Gated()
    sequencer = await started(store, max_batch=50)
    first = asyncio.create_task(sequencer.append(entry("first")))
    await store.entered.wait()
    later = [asyncio.create_task(sequencer.append(entry(f"r-{n}"))) for n in range(70)]
    await until(lambda: sequencer.waiting == 70, "all of them wait")
    assert not first.done(), "no receipt before the entry is durable"
    store.gate.set()
    await asyncio.gather(first, *later)
    assert store.sizes == [1, 50, 20]
    await sequencer.close()
    assert len(await require_whole(store)) == 71


async def test_results_are_recorded_in_order_and_flushed_when_the_log_closes():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    for number in range(20):
        sequencer.enqueue(entry(f"r-{number}", kind=Kind.CALL_RESULT, verdict=Verdict.NONE))
    await sequencer.close()
    assert [one.request for one in await require_whole(store)] == [f"r-{n}" for n in range(20)]
    for act in (sequencer.append(entry()), asyncio.to_thread(sequencer.enqueue, entry())):
        with pytest.raises(Unavailable) as caught:
            await act
        assert caught.value.reason is Reason.DRAINING
    assert sequencer.check() == "not running"


async def test_more_than_may_wait_is_refused_at_once():
    sequencer = await started(MemoryEvidenceStore(), max_waiting=3)
    waiting = [asyncio.create_task(sequencer.append(entry(f"r-{n}"))) for n in range(5)]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    refused = [one for one in done if isinstance(one, Unavailable)]
    assert [one.reason for one in refused] == [Reason.OVERLOADED] * 2
    await sequencer.close()


async def test_a_caller_that_goes_away_leaves_its_entry_and_harms_nobody():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    gone = asyncio.create_task(sequencer.append(entry("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await sequencer.append(entry("stays"))).index == 1
    await sequencer.close()
    assert [one.request for one in await require_whole(store)] == ["gone", "stays"]


async def test_a_log_goes_on_where_the_process_before_left_it():
    store = MemoryEvidenceStore()
    for start in (0, 5):
        sequencer = await started(store)
        for number in range(5):
            assert (await sequencer.append(entry(f"r-{start + number}"))).index == start + number
        await sequencer.close()
    assert len(await require_whole(store)) == 10


@pytest.mark.parametrize("fault", Fault)
async def test_a_failed_commit_refuses_every_caller_and_the_log_goes_on_whole(fault):
    store = FaultyEvidenceStore()
    sequencer = await started(store)
    await sequencer.append(entry("before"))
    store.faults = [fault]
    done = await asyncio.gather(
        *(sequencer.append(entry(f"lost-{n}")) for n in range(3)), return_exceptions=True
    )
    assert [one.reason for one in done] == [Reason.EVIDENCE_UNAVAILABLE] * 3
    assert sequencer.check() == "the last commit failed: Unavailable"
    receipt = await sequencer.append(entry("after"))
    assert receipt.index == (1 if fault is Fault.BEFORE else 4)
    assert sequencer.check() is None
    await sequencer.close()
    requests = [one.request for one in await require_whole(store)]
    assert [one for one in requests if not one.startswith("lost")] == ["before", "after"]


@pytest.mark.parametrize("faults", [[Fault.BEFORE], [Fault.AFTER], [Fault.BEFORE, Fault.AFTER]])
@pytest.mark.parametrize("retried_by", ["itself", "the next entry", "closing"])
async def test_results_survive_failing_commits_exactly_once(faults, retried_by):
    store = FaultyEvidenceStore()
    retry = timedelta(milliseconds=1) if retried_by == "itself" else timedelta(seconds=50)
    sequencer = await started(store, retry_interval=retry)
    store.faults = list(faults)
    for number in range(3):
        sequencer.enqueue(entry(f"r-{number}", kind=Kind.CALL_RESULT))
    await until(lambda: len(store.faults) < len(faults), "the first commit failed")
    if retried_by == "itself":
        await until(lambda: not sequencer.waiting, "it tries again")
    elif retried_by == "the next entry":
        for _ in faults:
            await asyncio.gather(sequencer.append(entry("next")), return_exceptions=True)
    else:
        store.faults.clear()
    await sequencer.close()
    requests = [one.request for one in await require_whole(store)]
    assert [one for one in requests if one != "next"] == ["r-0", "r-1", "r-2"]


async def test_a_store_that_is_down_refuses_and_recovers_without_a_restart():
    store = FaultyEvidenceStore()
    sequencer = await started(store)
    store.down = True
    sequencer.enqueue(entry("result", kind=Kind.CALL_RESULT))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await sequencer.append(entry("lost"))
    store.down = False
    await sequencer.append(entry("found"))
    await sequencer.close()
    assert [one.request for one in await require_whole(store)] == ["result", "found"]


async def test_a_log_that_another_process_made_longer_is_taken_up_where_it_stands():
    store = MemoryEvidenceStore()
    one, two = await started(store), await started(store)
    await one.append(entry("from one"))
    with pytest.raises(Unavailable):
        await two.append(entry("refused"))
    assert (await two.append(entry("from two"))).index == 1
    await one.close()
    await two.close()
    assert [e.request for e in await require_whole(store)] == ["from one", "from two"]


async def test_a_log_that_went_back_stops_everything():
    store = FaultyEvidenceStore()
    integrity = Integrity()
    sequencer = Sequencer(store, settings(), integrity, TestClock())
    await sequencer.start([ZONE])
    await sequencer.append(entry("a"))
    before = store.log(ZONE)
    await sequencer.append(entry("b"))
    store.faults = [Fault.BEFORE]
    with pytest.raises(Unavailable):
        await sequencer.append(entry("c"))
    before.entries.pop()
    before.nodes = {(0, 0): before.entries[0].leaf_hash}
    before.position = type(before.position)(1, (before.entries[0].leaf_hash,))
    for zone_id in (ZONE, OTHER):
        with pytest.raises(Unavailable) as caught:
            await sequencer.append(entry("d", zone_id))
        assert caught.value.reason is Reason.EVIDENCE_UNAVAILABLE
    assert integrity.check() == f"zone {ZONE}: the log went back to size 1"
    assert sequencer.check() == "stopped, because a log is broken"
    await sequencer.close()
    assert len(before.entries) == 1


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (lambda log: log.entries.pop(), "entry 2 is missing"),
        (lambda log: log.nodes.update({(1, 0): bytes(32)}), "the node over entry 0"),
        (
            lambda log: setattr(log, "position", type(log.position)(3, log.position.peaks[:1])),
            "the peaks do not belong",
        ),
        (
            lambda log: log.entries.append(type(log.entries[0])(3, b"{}", bytes(32))),
            "entry 3 stands beyond the log's size",
        ),
        (
            lambda log: log.entries.__setitem__(2, type(log.entries[0])(2, b"{}", bytes(32))),
            "entry 2 does not have the leaf hash recorded for it",
        ),
    ],
)
async def test_a_log_that_contradicts_itself_takes_no_entry(tamper, finding):
    store = MemoryEvidenceStore()
    first = await started(store)
    for number in range(3):
        await first.append(entry(f"r-{number}"))
    await first.close()
    tamper(store.log(ZONE))
    integrity = Integrity()
    second = Sequencer(store, settings(), integrity, TestClock())
    await second.start([OTHER, ZONE])
    with pytest.raises(Unavailable):
        await second.append(entry("more"))
    with pytest.raises(Unavailable):
        await asyncio.to_thread(second.enqueue, entry("more"))
    assert finding in (integrity.check() or "")
    await second.close()


async def test_a_store_that_can_not_be_read_keeps_the_log_from_starting():
    store = FaultyEvidenceStore()
    store.down = True
    with pytest.raises(Unavailable):
        await started(store)


async def test_a_commit_that_takes_too_long_refuses_its_callers_but_is_not_abandoned():
    class Slow(MemoryEvidenceStore):
        def __init__(self):
            super().__init__()
            self.gate = asyncio.Event()

        async def commit(self, batches):
            await self.gate.wait()
            await super().commit(batches)

    store = Slow()
    sequencer = await started(store, commit_timeout=timedelta(milliseconds=20))
    waiting = [asyncio.create_task(sequencer.append(entry("slow"))) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(sequencer.append(entry("behind"))))
    sequencer.enqueue(entry("result", kind=Kind.CALL_RESULT))
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in done] == [Unavailable] * 3
    with pytest.raises(Unavailable):
        await sequencer.append(entry("while it is stuck"))
    assert sequencer.check() == "the store takes too long to record"
    store.gate.set()
    await until(lambda: not sequencer.waiting and sequencer.check() is None, "it recovers")
    await sequencer.append(entry("again"))
    await sequencer.close()
    requests = [one.request for one in await require_whole(store)]
    assert "result" in requests
    assert requests[-1] == "again"
    assert "while it is stuck" not in requests


async def test_whoever_watches_is_told_how_far_each_log_has_come():
    store = FaultyEvidenceStore()
    sequencer = await started(store)
    seen = []
    sequencer.watch(lambda zone_id, size: seen.append((zone_id, size)))
    await sequencer.append(entry("a"))
    store.faults = [Fault.AFTER]
    with pytest.raises(Unavailable):
        await sequencer.append(entry("b"))
    await sequencer.append(entry("c"))
    await sequencer.close()
    assert seen == [(ZONE, 1), (ZONE, 2), (ZONE, 3)]


async def test_a_task_that_is_killed_leaves_nobody_waiting():
    class Stuck(MemoryEvidenceStore):
        entered = False

        async def commit(self, batches):
            self.entered = True
            await asyncio.Event().wait()

    store = Stuck()
    sequencer = await started(store)
    waiting = [asyncio.create_task(sequencer.append(entry(f"r-{n}"))) for n in range(2)]
    await until(lambda: store.entered, "a commit is under way")
    waiting.append(asyncio.create_task(sequencer.append(entry("behind"))))
    await asyncio.sleep(0)
    assert sequencer._task is not None
    sequencer._task.cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in done] == [Unavailable] * 3
    with pytest.raises(Unavailable):
        await sequencer.append(entry("late"))
    assert sequencer.check() == "ended by an error"


async def test_a_log_found_broken_during_a_commit_refuses_what_waits_behind_it():
    class Gated(MemoryEvidenceStore):
        def __init__(self):
            super().__init__()
            self.entered, self.gate = asyncio.Event(), asyncio.Event()

        async def commit(self, batches):
            self.entered.set()
            await self.gate.wait()
            await super().commit(batches)

    store, integrity = Gated(), Integrity()
    sequencer = Sequencer(store, settings(), integrity, TestClock())
    await sequencer.start([ZONE])
    first = asyncio.create_task(sequencer.append(entry("first")))
    await store.entered.wait()
    behind = asyncio.create_task(sequencer.append(entry("behind")))
    await until(lambda: sequencer.waiting == 1, "it waits")
    integrity.halt(ZONE, "planted")
    store.gate.set()
    assert (await first).index == 0
    with pytest.raises(Unavailable) as caught:
        await behind
    assert caught.value.reason is Reason.EVIDENCE_UNAVAILABLE
    await sequencer.close()
    assert [one.request for one in await require_whole(store)] == ["first"]


async def test_results_that_can_not_be_stored_any_more_are_counted_when_the_log_closes():
    store = FaultyEvidenceStore()
    sequencer = await started(store)
    store.down = True
    for number in range(3):
        sequencer.enqueue(entry(f"r-{number}", kind=Kind.CALL_RESULT))
    with capture_logs() as captured:
        await sequencer.close()
    assert [one["count"] for one in captured if one["event"] == "results_lost"] == [3]


async def test_the_second_clock_of_a_log_never_goes_back_whatever_the_machines_does():
    store, clock = MemoryEvidenceStore(), TestClock()
    sequencer = Sequencer(store, settings(), Integrity(), clock)
    await sequencer.start([ZONE])
    await sequencer.append(entry("r-1"))
    first = clock.now_us()
    clock.at -= timedelta(hours=1)
    await sequencer.append(entry("r-2"))
    await sequencer.append(entry("other", OTHER))
    await sequencer.close()
    again = Sequencer(store, settings(), Integrity(), clock)
    await again.start([ZONE])
    await again.append(entry("r-3"))
    clock.at += timedelta(hours=2)
    await again.append(entry("r-4"))
    await again.close()
    instants = {
        zone: [
            msgspec.json.decode(one.data, type=Entry).sequenced_at
            async for one in store.scan(zone, 0, 9)
        ]
        for zone in (ZONE, OTHER)
    }
    assert instants == {
        ZONE: [first, first, first, first + 3_600_000_000],
        OTHER: [first - 3_600_000_000],
    }


async def test_nobody_but_the_sequencer_says_when_an_entry_got_its_place():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    receipt = await sequencer.append(entry("r-1", sequenced_at=7))
    await sequencer.close()
    assert receipt.leaf_hash == recorded_as(entry("r-1"), TestClock().now_us())


async def test_a_log_whose_last_entry_is_none_takes_no_more():
    store = MemoryEvidenceStore()
    sequencer = await started(store)
    await sequencer.append(entry("r-1"))
    await sequencer.close()
    log = store.log(ZONE)
    leaf = leaf_hash(b"{}")
    log.entries[0] = StoredEntry(0, b"{}", leaf)
    log.nodes = {(0, 0): leaf}
    log.position = type(log.position)(1, (leaf,))
    integrity = Integrity()
    await Sequencer(store, settings(), integrity, TestClock()).start([ZONE])
    assert "entry 0 is no entry" in (integrity.check() or "")
