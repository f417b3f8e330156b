"""What an `EvidenceStore` promises, on both engines and for the memory store that other tests use."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from caracal.authority.events import Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.evidence.tree import NodeId, TreeState, peak_nodes
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.evidence_layout import SPAN, peaks_of, row_hashes
from caracal_server.ports.evidence import EvidenceQuery, LogPosition, StoredCheckpoint
from tests.contracts.conftest import ENGINES
from tests.contracts.logs import Log
from tests.contracts.searches import BEGIN, queries, records_of
from tests.support.evidence_store import MemoryEvidenceStore


@pytest.fixture(params=[*ENGINES, "memory"])
def store_url(request):
    if request.param == "memory":
        return None
    name = "sqlite_url" if request.param == "sqlite" else "migrated_postgres_url"
    return request.getfixturevalue(name)


@pytest.fixture
async def store(store_url):
    if store_url is None:
        yield MemoryEvidenceStore()
        return
    database = await open_database(store_url)
    yield SqlEvidenceStore(database)
    await database.close()


@pytest.fixture
def sql_store(database):
    return SqlEvidenceStore(database)


async def test_a_zone_without_entries_has_an_empty_log(store, zone_id):
    assert await store.position(zone_id) == LogPosition(0, ())
    assert await store.entry(zone_id, 0) is None
    assert await store.latest_checkpoint(zone_id) is None
    assert await store.search(zone_id, EvidenceQuery()) == ()
    assert await store.nodes(zone_id, [(0, 0)]) == {}
    assert [entry async for entry in store.scan(zone_id, 0, 10)] == []


async def test_a_log_comes_back_entry_for_entry_and_node_for_node(store, zone_id):
    log = Log(zone_id)
    batches = [log.grow(count) for count in (1, 2, 5, 1, 64, 7)]
    for batch in batches:
        await store.commit([batch])

    assert await store.position(zone_id) == log.position
    assert await Log.verify(store, zone_id) == 80
    nodes = {(n.level, n.index): n.hash for batch in batches for n in batch.nodes}
    assert await store.nodes(zone_id, list(nodes)) == nodes
    assert await store.nodes(zone_id, [(0, 80), (1, 40), (6, 1), (60, 0)]) == {}
    for entry in batches[2].entries:
        assert await store.entry(zone_id, entry.index) == entry


async def test_batches_of_several_zones_are_stored_together(store, zone_id, entropy):
    logs = [Log(zone_id), Log(ZoneId(entropy.new_id()))]
    await store.commit([log.grow(3) for log in logs])
    await store.commit([log.grow(2) for log in reversed(logs)])

    for log in logs:
        assert await Log.verify(store, log.zone_id) == 5


async def test_one_batch_that_comes_too_late_keeps_out_the_whole_commit(store, zone_id, entropy):
    log, other = Log(zone_id), Log(ZoneId(entropy.new_id()))
    late = Log(zone_id).grow(4)
    await store.commit([log.grow(3)])

    with pytest.raises(Unavailable):
        await store.commit([other.grow(2), late])

    assert await store.position(zone_id) == log.position
    assert await store.position(other.zone_id) == LogPosition(0, ())


async def test_a_batch_that_would_leave_a_gap_is_refused(store, zone_id):
    log = Log(zone_id)
    await store.commit([log.grow(2)])
    log.grow(3)

    with pytest.raises(Unavailable):
        await store.commit([log.grow(1)])

    assert (await store.position(zone_id)).size == 2


async def test_of_two_writers_at_the_same_position_exactly_one_succeeds(store, zone_id):
    for round_ in range(5):
        position = await store.position(zone_id)
        rivals = []
        for rival in range(6):
            log = Log(zone_id)
            log.back_to(position)
            rivals.append(log.grow(3, detail=f"{round_} {rival}"))

        outcomes = await asyncio.gather(
            *(store.commit([batch]) for batch in rivals), return_exceptions=True
        )

        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 5
        winner = rivals[outcomes.index(None)]
        assert await store.position(zone_id) == winner.after
        assert await store.entry(zone_id, position.size) == winner.entries[0]
    assert await Log.verify(store, zone_id) == 15


async def test_many_zones_are_written_at_once(sql_store, entropy):
    logs = [Log(ZoneId(entropy.new_id())) for _ in range(24)]

    async def write(log: Log) -> None:
        for _ in range(6):
            await sql_store.commit([log.grow(3)])

    await asyncio.gather(*(write(log) for log in logs))

    for log in logs:
        assert await sql_store.position(log.zone_id) == log.position


@pytest.mark.parametrize(
    "spoil",
    [
        lambda batch: replace(batch, nodes=batch.nodes[:-1]),
        lambda batch: replace(batch, nodes=(*batch.nodes, batch.nodes[-1])),
        lambda batch: replace(batch, entries=batch.entries[:-1]),
        lambda batch: replace(batch, records=batch.records[:-1]),
        lambda batch: replace(batch, entries=batch.entries[::-1]),
        lambda batch: replace(batch, after=batch.before),
    ],
)
async def test_a_batch_that_does_not_fit_together_is_not_stored(sql_store, zone_id, spoil):
    with pytest.raises(ValueError, match="batch"):
        await sql_store.commit([spoil(Log(zone_id).grow(8))])

    assert (await sql_store.position(zone_id)).size == 0


async def test_a_scan_reads_exactly_the_range_it_was_asked_for(store, zone_id):
    log = Log(zone_id)
    await store.commit([log.grow(1200)])

    for start, stop in ((0, 1200), (5, 6), (5, 5), (511, 514), (1199, 5000), (1300, 1400), (9, 3)):
        found = [entry.index async for entry in store.scan(zone_id, start, stop)]
        assert found == list(range(start, min(stop, 1200)))


async def test_the_latest_checkpoint_is_that_of_the_largest_size(store, zone_id):
    log = Log(zone_id)
    await store.commit([log.grow(9)])
    for size in (3, 9, 5):
        checkpoint = StoredCheckpoint(size, f"note of {size}", BEGIN + timedelta(seconds=size))
        await store.save_checkpoint(zone_id, checkpoint)

    assert await store.latest_checkpoint(zone_id) == StoredCheckpoint(
        9, "note of 9", BEGIN + timedelta(seconds=9)
    )


async def test_the_latest_checkpoints_of_all_logs_are_read_at_once(store, zone_id, entropy):
    another_zone_id = ZoneId(entropy.new_id())
    for zone, sizes in ((zone_id, (3, 9, 5)), (another_zone_id, (2,))):
        await store.commit([Log(zone).grow(9)])
        for size in sizes:
            note = StoredCheckpoint(size, f"{zone} {size}", BEGIN)
            await store.save_checkpoint(zone, note)

    latest = await store.latest_checkpoints()

    assert latest[zone_id] == StoredCheckpoint(9, f"{zone_id} 9", BEGIN)
    assert latest[another_zone_id] == StoredCheckpoint(2, f"{another_zone_id} 2", BEGIN)


async def test_checkpoints_are_read_newest_first_a_page_at_a_time(store, zone_id):
    assert await store.checkpoints(zone_id, below=None, limit=9) == ()
    await store.commit([Log(zone_id).grow(9)])
    for size in (3, 9, 5, 7):
        await store.save_checkpoint(zone_id, StoredCheckpoint(size, f"note of {size}", BEGIN))

    async def sizes(below, limit):
        return [one.size for one in await store.checkpoints(zone_id, below=below, limit=limit)]

    assert await sizes(None, 9) == [9, 7, 5, 3]
    assert await sizes(None, 2) == [9, 7]
    assert await sizes(7, 9) == [5, 3]


async def test_a_note_takes_the_place_of_the_one_of_its_size(store, zone_id):
    await store.commit([Log(zone_id).grow(2)])
    for note in ("as signed", "as signed, and cosigned"):
        await store.save_checkpoint(zone_id, StoredCheckpoint(2, note, BEGIN))
    found = await store.checkpoints(zone_id, below=None, limit=9)
    assert [one.note for one in found] == ["as signed, and cosigned"]


async def test_a_checkpoint_of_entries_that_are_not_stored_is_refused(store, zone_id):
    await store.commit([Log(zone_id).grow(2)])

    with pytest.raises(Unavailable):
        await store.save_checkpoint(zone_id, StoredCheckpoint(3, "note", BEGIN))


async def test_a_search_finds_what_a_look_at_every_entry_finds(
    database, sql_store, zone_id, entropy
):
    """The log is more than three spans long; another zone has the same entries, but no stretch is whole."""
    log, other, naive = Log(zone_id), Log(ZoneId(entropy.new_id())), MemoryEvidenceStore()
    narrow = SqlEvidenceStore(database, stretch=1)
    records = list(records_of(log, 2 * SPAN + 600))
    for start in range(0, len(records), 331):
        batch = log.append(records[start : start + 331])
        await narrow.commit([batch])
        await sql_store.commit([other.append(records[start : start + 331])])
        await naive.commit([batch])

    loop = asyncio.get_running_loop()

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(query=queries)
    def compare(query: EvidenceQuery) -> None:
        found, in_other, expected = (
            asyncio.run_coroutine_threadsafe(where.search(zone, query), loop).result(20)
            for where, zone in ((narrow, zone_id), (sql_store, other.zone_id), (naive, zone_id))
        )
        assert found == in_other == expected

    await asyncio.to_thread(compare)
    for one in (
        EvidenceQuery(request="request-5", ascending=True),
        EvidenceQuery(session="session-30"),
        EvidenceQuery(since=BEGIN + timedelta(milliseconds=1500), limit=7, ascending=True),
        EvidenceQuery(delegation="delegation-9", resource="a:1"),
        EvidenceQuery(operation="GET /é/3/" + "y" * 20, scope="write", limit=5),
        EvidenceQuery(deciding="rare"),
        EvidenceQuery(actor="ops", policy="digest-0", instance="instance-0"),
    ):
        assert await narrow.search(zone_id, one) == await naive.search(zone_id, one)
        assert len(await narrow.search(zone_id, one)) > 1


async def test_pages_of_a_search_join_without_gap_or_overlap(store, zone_id):
    log = Log(zone_id)
    await store.commit([log.append(list(records_of(log, SPAN + 100)))])
    everything = await store.search(zone_id, EvidenceQuery(verdict=Verdict.REFUSE, limit=10_000))

    paged: list = []
    cursor = None
    while True:
        query = EvidenceQuery(verdict=Verdict.REFUSE, after_index=cursor, limit=37)
        page = await store.search(zone_id, query)
        if not page:
            break
        paged += page
        cursor = page[-1].index
    assert tuple(paged) == everything
    assert len(paged) == len([n for n in range(SPAN + 100) if n % 7 == 0])


@given(st.integers(0, 2**40))
def test_the_layout_names_the_peaks_as_the_tree_does(size):
    assert tuple(NodeId(*peak) for peak in peaks_of(size)) == peak_nodes(size)


@given(st.integers(0, 200), st.integers(1, 70))
def test_a_row_holds_its_leaf_and_every_node_it_completes(before, count):
    log = Log(ZoneId("zone"))
    if before:
        log.grow(before)
    tree = TreeState(log.position.size, log.position.peaks)
    batch = log.grow(count)
    _, nodes = tree.grow([entry.leaf_hash for entry in batch.entries])

    hashes = b"".join(row_hashes(batch))

    assert len(hashes) == 32 * len(nodes)
    assert {hashes[at : at + 32] for at in range(0, len(hashes), 32)} == {n.hash for n in nodes}
