"""T11 and T15: the store fails at any of its writes while agents work. No evidence, no effect, no silence."""

import random
import shutil

import pytest

from tests.support.deployment import deployed
from tests.support.faults.campaign import Campaign, PostgresStore, SqliteStore, database_entries
from tests.support.faults.faulty_disk import REFUSING, Fault, NoFaultyDisk, faulty_disk
from tests.support.faults.faulty_wire import Trouble, faulty_wire
from tests.support.postgres import running_postgres
from tests.support.running import running_caracal

pytestmark = pytest.mark.timeout(400)  # hangs are waited for, on a machine that may be busy

SEED = 20_261_125
CUTS = 12
FAULTS = (*REFUSING, Fault.SYNC_HANGS, Fault.KILL_TORN_WRITE, Fault.KILL_AFTER_SYNC)
"""`python -m tools.fault_campaign` has the rest, at random, for as long as it is let."""


@pytest.fixture
def dice():
    return random.Random(SEED)


@pytest.fixture
def disk(tmp_path, tmp_path_factory):
    try:
        return faulty_disk(tmp_path_factory.getbasetemp(), tmp_path / "data" / "caracal.db")
    except NoFaultyDisk as missing:
        pytest.skip(str(missing))


def test_a_disk_that_fails_in_any_way_ends_in_503_and_loses_nothing(tmp_path, upstream, disk, dice):
    store = SqliteStore(disk, dice)
    with Campaign(tmp_path / "data", upstream, store) as campaign:
        for fault in FAULTS:
            campaign.run(store.trial(fault))
        campaign.finish()
        require_every_power_cut_survived(campaign, disk, dice, tmp_path)
        last = disk.cut_power(disk.moment, dice, fresh(tmp_path / "cut"))
    shutil.copytree(tmp_path / "data", tmp_path / "again")
    for suffix in ("", "-wal"):
        shutil.copy(f"{last}{suffix}", tmp_path / "again" / f"caracal.db{suffix}")
    environment = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    with (
        running_caracal(tmp_path / "again", environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        campaign.zone.deployment = it
        campaign.reckon()
        assert campaign.zone.agent().authority().call("/json").status_code == 200


def require_every_power_cut_survived(campaign, disk, dice, tmp_path):
    """At moments all over its history, whatever the disk kept of what nobody had waited for."""
    moments = sorted(dice.randrange(campaign.began, disk.moment) for _ in range(CUTS))
    entries = {}
    for moment in moments:
        database = disk.cut_power(moment, dice, fresh(tmp_path / "cut"))
        entries = database_entries(database, campaign.zone.id)
        assert campaign.ledger.missing(entries, moment) == []
    last = max(
        (one for one in campaign.ledger.known if one.moment <= moments[-1]),
        key=lambda one: one.moment,
    )
    forgotten = {at: entry for at, entry in entries.items() if entry["request"] != last.request}
    assert last in campaign.ledger.missing(forgotten, moments[-1])


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def test_a_database_server_that_dies_hangs_or_loses_answers_ends_in_503_and_loses_nothing(
    tmp_path, upstream
):
    with running_postgres() as server, faulty_wire(server.port) as wire:
        server.create_database("campaign")
        store = PostgresStore(server, wire, "campaign")
        with Campaign(tmp_path / "data", upstream, store) as campaign:
            for trouble in Trouble:
                if trouble is not Trouble.NONE:
                    campaign.run(store.trial(trouble))
            campaign.run(store.death())
            campaign.kill()
            campaign.finish()
