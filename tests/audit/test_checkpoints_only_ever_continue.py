"""A checkpoint is signed for what is durable, continues the one before, or is not signed at all."""

import asyncio
from datetime import timedelta
from typing import Self

import pytest

from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.tree import EMPTY_ROOT
from caracal_server.audit.checkpoints import Checkpointer
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import Logs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.ports.evidence import LogPosition, StoredCheckpoint
from tests.audit.logbook import OTHER, START, ZONE, TestClock, entry, log_key, logs, settings, until
from tests.support.evidence_store import Fault, FaultyEvidenceStore, MemoryEvidenceStore


class _Signing:
    """A sequencer and a checkpointer over one store."""

    def __init__(self, store: MemoryEvidenceStore, **more: object) -> None:
        self.store = store
        self.logs: Logs = logs(**more)
        self.integrity = Integrity()
        self.clock = TestClock()
        self.sequencer = Sequencer(store, settings(**more), self.integrity, self.clock)
        self.checkpointer = Checkpointer(
            store, self.sequencer, self.logs, self.clock, self.integrity
        )

    async def __aenter__(self) -> Self:
        await self.sequencer.start([ZONE, OTHER])
        await self.checkpointer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sequencer.close()
        await self.checkpointer.close()

    def signed(self) -> dict[int, StoredCheckpoint]:
        return self.store.log(ZONE).checkpoints


SLOW = {"checkpoint_interval": timedelta(seconds=1)}


async def test_checkpoints_follow_traffic_and_cover_everything_when_the_log_closes():
    store = MemoryEvidenceStore()
    async with _Signing(store, checkpoint_interval=timedelta(milliseconds=2)) as signing:
        for number in range(3):
            receipt = await signing.sequencer.append(entry(f"r-{number}"))
            size = receipt.index + 1
            await until(lambda size=size: size in signing.signed(), "it is signed")
        assert signing.checkpointer.check() is None
        await signing.sequencer.append(entry("last"))
        signing.sequencer.enqueue(entry("result"))
    for size, stored in signing.signed().items():
        checkpoint = signing.logs.read(ZONE, stored.note)
        assert (checkpoint.size, checkpoint.origin) == (size, f"caracal.test/evidence/{ZONE}")
        assert stored.at == START
    assert max(signing.signed()) == 5
    assert store.log(OTHER).checkpoints == {}, "nothing is signed for an empty log"
    assert signing.checkpointer.check() == "not running"


async def test_a_checkpoint_on_demand_covers_all_that_is_durable_and_is_signed_once():
    async with _Signing(MemoryEvidenceStore(), **SLOW) as signing:
        await signing.sequencer.append(entry())
        first = await signing.checkpointer.sign(ZONE)
        signing.clock.at += timedelta(seconds=1)
        assert await signing.checkpointer.sign(ZONE) == first
        await signing.sequencer.append(entry())
        assert (await signing.checkpointer.sign(ZONE)).size == 2
        empty = await signing.checkpointer.sign(OTHER)
        assert signing.logs.read(OTHER, empty.note).root == EMPTY_ROOT


async def test_checkpoints_continue_those_of_the_process_before():
    store = MemoryEvidenceStore()
    for _ in range(2):
        async with _Signing(store) as signing:
            for number in range(3):
                await signing.sequencer.append(entry(f"r-{number}"))
        assert signing.integrity.check() is None
    assert max(signing.signed()) == 6


def _forged(size: int, root: bytes) -> StoredCheckpoint:
    checkpoint = Checkpoint(f"caracal.test/evidence/{ZONE}", size, root)
    note = sign_checkpoint(checkpoint, log_key().sign, logs().verifier(ZONE))
    return StoredCheckpoint(size, note, START)


def _shrink(store: MemoryEvidenceStore) -> None:
    log = store.log(ZONE)
    del log.entries[2:]
    log.position = LogPosition(2, (log.nodes[1, 0],))


def _rewrite_root(store: MemoryEvidenceStore) -> None:
    store.log(ZONE).checkpoints[3] = _forged(3, bytes(32))


def _garble_note(store: MemoryEvidenceStore) -> None:
    old = store.log(ZONE).checkpoints[3]
    store.log(ZONE).checkpoints[3] = StoredCheckpoint(3, old.note.replace("3", "4", 1), old.at)


def _misfile(store: MemoryEvidenceStore) -> None:
    log = store.log(ZONE)
    log.checkpoints[4] = StoredCheckpoint(4, log.checkpoints.pop(3).note, START)


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (_shrink, "the log has 2 entries, and 3 were signed for"),
        (_rewrite_root, "the log of 3 entries does not continue the checkpoint of size 3"),
        (_garble_note, "the checkpoint of size 3: the signature"),
        (_misfile, "the checkpoint of size 4 says 3"),
    ],
)
async def test_a_log_that_does_not_continue_its_checkpoint_stops_at_start(tamper, finding):
    store = MemoryEvidenceStore()
    async with _Signing(store) as signing:
        for number in range(3):
            await signing.sequencer.append(entry(f"r-{number}"))
    tamper(store)
    before = len(store.log(ZONE).checkpoints)
    async with _Signing(store) as signing:
        assert finding in (signing.integrity.check() or "")
        for zone_id in (ZONE, OTHER):
            with pytest.raises(Unavailable) as caught:
                await signing.sequencer.append(entry("more", zone_id))
            assert caught.value.reason is Reason.EVIDENCE_UNAVAILABLE
        with pytest.raises(Unavailable):
            await signing.checkpointer.sign(OTHER)
        assert "no checkpoint is signed" in (signing.checkpointer.check() or "")
    assert len(store.log(ZONE).checkpoints) == before


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (lambda log: log.checkpoints.clear(), "the checkpoint of size 2 is gone"),
        (
            lambda log: log.checkpoints.update({3: _forged(3, bytes(32))}),
            "a checkpoint of size 3 was signed elsewhere",
        ),
        (
            lambda log: log.nodes.pop((0, 2)),
            "the log of 3 entries does not continue the checkpoint of size 2",
        ),
    ],
)
async def test_a_store_that_changes_under_our_feet_is_noticed_before_the_next_signature(
    tamper, finding
):
    store = MemoryEvidenceStore()
    async with _Signing(store, **SLOW) as signing:
        for number in range(2):
            await signing.sequencer.append(entry(f"r-{number}"))
        await signing.checkpointer.sign(ZONE)
        await signing.sequencer.append(entry("r-2"))
        tamper(store.log(ZONE))
        with pytest.raises(Unavailable):
            await signing.checkpointer.sign(ZONE)
        assert finding in (signing.integrity.check() or "")


@pytest.mark.parametrize("fault", Fault)
async def test_a_checkpoint_whose_storing_failed_is_signed_again_or_recognised(fault):
    store = FaultyEvidenceStore()
    async with _Signing(store, **SLOW) as signing:
        await signing.sequencer.append(entry("a"))
        await signing.checkpointer.sign(ZONE)
        await signing.sequencer.append(entry("b"))
        store.faults = [fault]
        with pytest.raises(Unavailable):
            await signing.checkpointer.sign(ZONE)
        await signing.sequencer.append(entry("c"))
        assert (await signing.checkpointer.sign(ZONE)).size == 3
        assert signing.integrity.check() is None


async def test_signing_goes_on_when_the_store_comes_back():
    store = FaultyEvidenceStore()
    async with _Signing(store, checkpoint_interval=timedelta(milliseconds=2)) as signing:
        await signing.sequencer.append(entry("a"))
        await until(lambda: 1 in signing.signed(), "the first is signed")
        await signing.sequencer.append(entry("b"))
        store.faults = [Fault.BEFORE] * 3
        await until(lambda: 2 in signing.signed(), "it is signed in the end")
        await until(lambda: signing.checkpointer.check() is None, "it says so")


async def test_many_askers_at_once_get_one_signature():
    async with _Signing(MemoryEvidenceStore(), **SLOW) as signing:
        await signing.sequencer.append(entry())
        found = await asyncio.gather(*(signing.checkpointer.sign(ZONE) for _ in range(20)))
        assert len({one.note for one in found}) == 1
