"""Retention: whole bundles, only what was exported, on record first; every hash and proof stays."""

from datetime import timedelta

import pytest

from caracal.authority.events import Kind
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.notes import VerifierKey
from caracal.evidence.proofs import verify_inclusion
from caracal.evidence.tiles import EntryBundle, Tile
from caracal.wire.dropped_entries import verify_log
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.tables import evidence_entry
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.retention import Dropped, Retention, covered_from
from caracal_server.audit.service import build_audit_service
from caracal_server.audit.tiles import TileView
from tests.audit.logbook import START, ZONE, TestClock, TwoZones, entry, log_key, settings

SIZE = 900
KEY = VerifierKey(f"caracal.test/evidence/{ZONE}", log_key().public_key)


@pytest.fixture
async def service(database):
    store = SqlEvidenceStore(database)
    built = build_audit_service(
        store, TwoZones(), LogKeys(log_key()), TestClock(), settings(), entropy=SystemEntropy()
    )
    await built.start()
    for number in range(SIZE):
        at = int((START + timedelta(seconds=number)).timestamp() * 1_000_000)
        built.sequencer.enqueue(entry(f"r-{number}", at=at))
    yield built
    await built.close()


async def _export(service, first: int, end: int) -> None:
    await service.sequencer.append(
        entry("export", kind=Kind.EVIDENCE_EXPORT, first_index=first, end_index=end)
    )


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_no_export_covers_stays(service):
    await _export(service, 0, 300)
    await _export(service, 400, 900)

    for before in (512, START + timedelta(seconds=600)):
        refused = await service.retention.drop(ZONE, before, "op", "r")
        assert refused == Refused(
            Reason.EVIDENCE_NOT_EXPORTED, "the entries from entry 300 on have not been exported"
        )
    refused = await service.retention.drop(ZONE, 255, "op", "r")
    assert (refused.reason, await service.retention._store.first_kept(ZONE)) == (
        Reason.REQUEST_MALFORMED,
        0,
    )
    assert (await service.retention.drop(ZONE, 299, "op", "r")).end == 256


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_an_export_that_can_not_be_read_covers_nothing(service, database):
    await _export(service, 0, 300)
    table = evidence_entry
    spoil = table.update().where(table.c.kind == Kind.EVIDENCE_EXPORT).values(data=b"\xff")
    await database.transact(lambda connection: connection.execute(spoil))
    refused = await service.retention.drop(ZONE, 299, "op", "r")
    assert refused.reason is Reason.EVIDENCE_NOT_EXPORTED


class DroppingMeanwhile(SqlEvidenceStore):
    """A store whose log is dropped from after a bundle was looked for."""

    retention: Retention

    async def scan(self, zone_id, start, stop):
        await self.retention.drop(zone_id, 299, "op", "r")
        async for one in super().scan(zone_id, start, stop):
            yield one


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_is_dropped_while_it_is_read_is_called_dropped_not_missing(service, database):
    await _export(service, 0, 300)
    await service.checkpointer.sign(ZONE)
    store = DroppingMeanwhile(database)
    store.retention = service.retention
    answer = await TileView(store).read(ZONE, EntryBundle(0))
    assert answer.reason is Reason.EVIDENCE_DROPPED


async def test_a_log_goes_on_without_its_beginning(service):
    store, reader = service.retention._store, service.reader
    await _export(service, 0, SIZE)
    signed = await service.checkpointer.sign(ZONE)
    root = verify_checkpoint(signed.note, KEY).root
    before = {index: (await reader.prove(ZONE, index, signed.size)) for index in (0, 7, 600)}

    dropped = await service.retention.drop(ZONE, START + timedelta(seconds=600), "op", "r")

    assert dropped == Dropped(0, 512, SIZE + 1)
    told = await store.entry(ZONE, SIZE + 1)
    assert b'"end_index":512' in told.data
    for index, proof in before.items():
        after = await reader.prove(ZONE, index, signed.size)
        assert (after.leaf_hash, after.inclusion) == (proof.leaf_hash, proof.inclusion)
        verify_inclusion(after.leaf_hash, after.inclusion, root)
    await service.sweep.verify(ZONE)
    assert service.sweep.check() is None
    assert (await reader.entry(ZONE, 511)).reason is Reason.EVIDENCE_DROPPED
    assert (await reader.entry(ZONE, 512)).index == 512
    pieces = b"".join([piece async for piece in await reader.export(ZONE)])
    report = verify_log(
        pieces.splitlines(keepends=True), KEY, [verify_checkpoint(signed.note, KEY)]
    )
    assert (report.first, report.entries) == (512, SIZE + 2 - 512)
    await service.checkpointer.sign(ZONE)
    assert (await service.tiles.read(ZONE, EntryBundle(1))).reason is Reason.EVIDENCE_DROPPED
    assert len(await service.tiles.read(ZONE, Tile(0, 1))) == 8192
    assert await service.tiles.read(ZONE, EntryBundle(2))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_beginning_that_went_without_a_word_is_found(service):
    await _export(service, 0, SIZE)
    await service.retention._store.drop(ZONE, 256)

    await service.sweep.verify(ZONE)

    assert "no entry says they were dropped" in service.sweep.check()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_nothing_is_dropped_that_could_not_be_recorded(service):
    await _export(service, 0, SIZE)
    await service.sequencer.close()

    with pytest.raises(Unavailable):
        await service.retention.drop(ZONE, 512, "op", "r")
    assert await service.retention._store.first_kept(ZONE) == 0


def test_exports_cover_what_they_reach_without_a_gap():
    assert covered_from(0, []) == 0
    assert covered_from(5, [(0, 5), (9, 20)]) == 5
    assert covered_from(0, [(10, 20), (0, 12), (3, 4), (20, 21)]) == 21
