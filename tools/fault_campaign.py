"""Fail a real server's store at random, for as long as told, and hold all to account after each fault.

Usage: python -m tools.fault_campaign --minutes N --store sqlite|postgresql [--seed S]

Each round starts a new deployment, puts it through every fault in random order with kills in between,
and ends with power cuts at random moments of the round (SQLite). The seed of a failure repeats its faults,
not its timing. The short form of it runs in `tests/adversarial/test_stores_that_fail.py`.
"""

import argparse
import random
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults.campaign import (
    Campaign,
    PostgresStore,
    SqliteStore,
    Store,
    database_entries,
)
from tests.support.faults.faulty_disk import NoFaultyDisk, compiled, faulty_disk
from tests.support.faults.faulty_wire import faulty_wire
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.upstream import RecordingUpstream, recording_upstream

CUTS = 60
KILLS = 3


def cut_power(campaign: Campaign, store: SqliteStore, into: Path) -> int:
    """Cut the power at many moments; return at how many."""
    into.mkdir()
    assert campaign.zone is not None
    for _ in range(CUTS):
        moment = store.dice.randrange(campaign.began, store.moment())
        database = store.disk.cut_power(moment, store.dice, into)
        missing = campaign.ledger.missing(database_entries(database, campaign.zone.id), moment)
        if missing:
            raise SystemExit(f"power cut at {moment}: {missing}")
    return CUTS


def round_of(
    directory: Path, upstream: RecordingUpstream, store: Store, dice: random.Random
) -> str:
    """One deployment through every fault; what it came to."""
    with Campaign(directory / "data", upstream, store) as campaign:
        trials = [*store.trials(), *[None] * KILLS]
        dice.shuffle(trials)
        for make in trials:
            if make is None:
                campaign.kill()
                continue
            trial = make()
            print(f"  {trial.name}", flush=True)
            campaign.run(trial)
        campaign.finish()
        cuts = 0
        if isinstance(store, SqliteStore):
            cuts = cut_power(campaign, store, directory / "cut")
        ledger = campaign.ledger
    return (
        f"{len(trials)} faults, {cuts} power cuts, {len(ledger.known)} known decisions and arrivals, "
        f"{ledger.unavailable} answers 503; nothing missing"
    )


@contextmanager
def store_of(
    kind: str, directory: Path, dice: random.Random, server: PostgresServer | None
) -> Iterator[Store]:
    if server is None:
        disk = faulty_disk(directory.parent, directory / "data" / "caracal.db")
        yield SqliteStore(disk, dice)
        return
    name = f"{kind}_{directory.name}"
    server.create_database(name)
    with faulty_wire(server.port) as wire:
        yield PostgresStore(server, wire, name)


def run(kind: str, minutes: float, seed: int) -> None:
    dice, deadline = random.Random(seed), time.monotonic() + minutes * 60
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="caracal-faults-") as name:
        if kind == "sqlite":
            compiled(Path(name))
            rounds(kind, Path(name), dice, deadline, None)
        else:
            with running_postgres() as server:
                rounds(kind, Path(name), dice, deadline, server)


def rounds(
    kind: str, root: Path, dice: random.Random, deadline: float, server: PostgresServer | None
) -> None:
    number = 0
    while not number or time.monotonic() < deadline:
        number += 1
        directory = root / f"round{number}"
        directory.mkdir()
        with recording_upstream() as upstream, store_of(kind, directory, dice, server) as store:
            print(f"round {number}: {round_of(directory, upstream, store, dice)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    try:
        run(options.store, options.minutes, seed)
    except NoFaultyDisk as missing:
        print(f"not run: {missing}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
