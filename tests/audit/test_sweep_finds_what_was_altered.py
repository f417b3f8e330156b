"""The sweep reads everything again: one altered byte anywhere turns readiness red, by index."""

import asyncio
import sqlite3
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.tables import metadata
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.service import AuditService, build_audit_service
from caracal_server.audit.sweep import Sweep
from caracal_server.ports.evidence import EvidenceStore, LogPosition, StoredEntry
from caracal_server.web.health import Readiness
from tests.audit.logbook import (
    OTHER,
    ZONE,
    TestClock,
    TwoZones,
    entry,
    log_key,
    logs,
    require_whole,
    settings,
    started,
    until,
)
from tests.support.evidence_store import FaultyEvidenceStore, MemoryEvidenceStore

COUNT = 23


async def _filled(store: EvidenceStore) -> AuditService:
    service = _service(store)
    await service.start()
    for number in range(COUNT):
        await service.sequencer.append(entry(f"r-{number}"))
    await service.close()
    return service


def _service(store: EvidenceStore, **more: object) -> AuditService:
    return build_audit_service(
        store,
        TwoZones(),
        LogKeys(log_key()),
        TestClock(),
        settings(**more),
        entropy=SystemEntropy(),
    )


async def _finding(store: EvidenceStore, **more: object) -> str | None:
    integrity = Integrity()
    with capture_logs():
        await Sweep(store, logs(**({"sweep_batch": 4} | more)), integrity).verify(ZONE)
    return integrity.check()


@pytest.mark.parametrize("batch", [1, 4, 5, COUNT, 500])
async def test_a_whole_log_passes(batch):
    store = MemoryEvidenceStore()
    await _filled(store)
    assert await _finding(store, sweep_batch=batch) is None
    del store.log(ZONE).checkpoints[COUNT]
    assert await _finding(store, sweep_batch=batch) is None
    store.log(ZONE).checkpoints.clear()
    assert await _finding(store, sweep_batch=batch) is None


def _alter_data(store, index):
    old = store.log(ZONE).entries[index]
    store.log(ZONE).entries[index] = StoredEntry(
        index, old.data.replace(b"r-", b"x-"), old.leaf_hash
    )
    return f"zone {ZONE}: entry {index} does not have the leaf hash recorded for it"


def _alter_leaf(store, index):
    old = store.log(ZONE).entries[index]
    store.log(ZONE).entries[index] = StoredEntry(index, old.data, bytes(32))
    return f"zone {ZONE}: entry {index} does not have the leaf hash recorded for it"


def _alter_node(store, index):
    store.log(ZONE).nodes[0, index] = bytes(32)
    return f"zone {ZONE}: entry {index} does not lead to the node of level 0"


def _drop_entry(store, index):
    del store.log(ZONE).entries[index]
    return f"zone {ZONE}: entry {index} is missing"


@pytest.mark.parametrize("tamper", [_alter_data, _alter_leaf, _alter_node, _drop_entry])
@pytest.mark.parametrize("index", range(COUNT))
async def test_the_first_altered_entry_is_named(tamper, index):
    store = MemoryEvidenceStore()
    await _filled(store)
    expected = tamper(store, index)
    if index + 1 < COUNT:
        tamper(store, index + 1 if tamper is not _drop_entry else index)
    assert (await _finding(store) or "").startswith(expected)


async def test_an_inner_node_is_held_to_its_entries():
    store = MemoryEvidenceStore()
    await _filled(store)
    store.log(ZONE).nodes[2, 3] = bytes(32)
    assert "entry 12 does not lead to the node of level 2" in (await _finding(store) or "")


async def test_a_log_that_was_rewritten_throughout_does_not_have_the_root_that_was_signed():
    store, forged = MemoryEvidenceStore(), MemoryEvidenceStore()
    await _filled(store)
    sequencer = await started(forged)
    for number in range(COUNT):
        await sequencer.append(entry("forged" if number == 7 else f"r-{number}"))
    await sequencer.close()
    await require_whole(forged)
    forged.log(ZONE).checkpoints = store.log(ZONE).checkpoints
    assert f"the entries before entry {COUNT} do not have the root" in (
        await _finding(forged) or ""
    )


async def test_a_log_that_was_cut_off_lacks_an_entry_that_was_signed_for():
    store = MemoryEvidenceStore()
    await _filled(store)
    log = store.log(ZONE)
    del log.entries[20:]
    log.position = LogPosition(20, (log.nodes[4, 0], log.nodes[2, 4]))
    assert f"entry 20 is missing: {COUNT} were signed for" in (await _finding(store) or "")


async def test_a_position_with_other_peaks_is_found():
    store = MemoryEvidenceStore()
    await _filled(store)
    log = store.log(ZONE)
    log.position = LogPosition(COUNT, (*log.position.peaks[:-1], bytes(32)))
    assert "do not lead to the log's position" in (await _finding(store) or "")


async def test_a_checkpoint_that_was_altered_is_found():
    store = MemoryEvidenceStore()
    await _filled(store)
    latest = store.log(ZONE).checkpoints[COUNT]
    store.log(ZONE).checkpoints[COUNT] = type(latest)(COUNT, latest.note[:-5] + "AAA=\n", latest.at)
    assert f"the checkpoint of size {COUNT}: " in (await _finding(store) or "")


async def test_an_interrupted_sweep_goes_on_where_it_stopped():
    class Counting(FaultyEvidenceStore):
        read = 0

        async def scan(self, zone_id, start, stop):
            async for one in super().scan(zone_id, start, stop):
                self.read += 1
                self.down = self.read == 10
                yield one

    store = Counting()
    await _filled(store)
    store.read = 0
    integrity = Integrity()
    sweep = Sweep(store, logs(sweep_batch=4), integrity)
    with pytest.raises(Unavailable):
        await sweep.verify(ZONE)
    assert store.read == 10
    store.down = False
    await sweep.verify(ZONE)
    assert integrity.check() is None
    assert store.read - 10 == COUNT - 8, "what was read whole is not read again"


async def test_a_sweep_keeps_to_its_rate():
    store = MemoryEvidenceStore()
    await _filled(store)
    sweep = Sweep(store, logs(sweep_batch=1, sweep_rate=1), Integrity())
    sweep.start()
    await until(lambda: sweep._pass is not None and sweep._pass.tree.size == 1, "it began")
    for _ in range(50):
        await asyncio.sleep(0)
    assert sweep._pass is not None
    assert sweep._pass.tree.size == 1
    await sweep.close()
    assert sweep.completed <= 1


async def test_sweeps_repeat_and_survive_a_store_that_goes_away():
    store = FaultyEvidenceStore()
    await _filled(store)
    service = _service(store, sweep_interval=timedelta(milliseconds=1))
    await service.start()
    await until(lambda: service.sweep.completed > 1, "it repeats")
    store.down = True
    with capture_logs() as captured:
        await until(lambda: bool(captured), "it notices")
    store.down = False
    done = service.sweep.completed
    await until(lambda: service.sweep.completed > done, "it goes on")
    _alter_data(store, 3)
    await until(lambda: service.sweep.check() is not None, "it finds what was altered")
    await service.close()


@pytest.fixture
async def database(tmp_path):
    opened = await open_database(f"sqlite:///{tmp_path}/evidence.db")
    await opened.transact(metadata.create_all)
    yield opened
    await opened.close()


async def test_one_byte_altered_in_sqlite_turns_readiness_red(database, tmp_path):
    store = SqlEvidenceStore(database)
    await _filled(store)
    service = _service(store)
    readiness = Readiness(service.checks())
    await service.start()
    await until(lambda: service.sweep.completed == 1, "a first sweep passed")
    assert readiness.report().ok
    await service.close()
    with sqlite3.connect(f"{tmp_path}/evidence.db") as connection:
        (place, data) = connection.execute(
            "SELECT place, data FROM evidence_entry ORDER BY place LIMIT 1 OFFSET 11"
        ).fetchone()
        altered = bytearray(data)
        altered[altered.index(b"r-11") + 2] ^= 1
        connection.execute(
            "UPDATE evidence_entry SET data = ? WHERE place = ?", (bytes(altered), place)
        )
    connection.close()
    service = _service(store)
    readiness = Readiness(service.checks())
    await service.start()
    await until(lambda: service.sweep.completed == 1, "a sweep ended")
    report = readiness.report()
    assert not report.ready
    assert [(one.check, one.detail) for one in report.failing] == [
        (
            "evidence_integrity",
            f"zone {ZONE}: entry 11 does not have the leaf hash recorded for it",
        )
    ]
    assert readiness.reply().status == 503
    await service.close()


async def test_the_log_is_whole_on_sqlite_and_other_zones_pass_unharmed(database):
    store = SqlEvidenceStore(database)
    sequencer = await started(store)
    entries = [entry(f"r-{n}", (ZONE, OTHER)[n % 2]) for n in range(300)]
    receipts = await asyncio.gather(*(sequencer.append(one) for one in entries))
    await sequencer.close()
    assert len({(r.zone_id, r.index) for r in receipts}) == 300
    for zone_id in (ZONE, OTHER):
        assert len(await require_whole(store, zone_id)) == 150
