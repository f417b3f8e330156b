"""Faults of a store, one after the other, under a server that agents work with; then the reckoning.

After each fault that leaves the server alive: callers were told 503 in time, readiness said so, nothing went
upstream without its decision, and the server went on by itself once the fault was over. After each that
kills it, and at the end: whatever anybody was answered, or saw, is in the log, which verifies from its first
entry, and every call has a result, if only one that says that nobody knows.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from caracal.evidence.tree import TreeState, leaf_hash
from tests.support.deployment import Authority, Deployment, Zone, deployed, eventually, unique
from tests.support.faults.faulty_disk import HANGING, KILLING, REFUSING, Fault, FaultyDisk
from tests.support.faults.faulty_wire import FaultyWire, Trouble
from tests.support.faults.ledger import Ledger, at_work, unanswered
from tests.support.postgres import PostgresServer
from tests.support.running import Running, start_caracal
from tests.support.upstream import RecordingUpstream

COMMIT_TIMEOUT_S = 10.0
"""How long a commit may take before its callers are refused: `AuditSettings.commit_timeout`."""
ANSWER_SECONDS = COMMIT_TIMEOUT_S * 1.25 + 5
"""The watchdog looks four times in a timeout; the rest is for a busy machine."""
RECOVERY_SECONDS = 45.0


class Store(Protocol):
    """A store that fails on demand."""

    @property
    def options(self) -> dict[str, Any]:
        """What `start_caracal` is given."""
        ...

    def trials(self) -> list[Callable[[], "Trial"]]:
        """Every fault it knows."""
        ...

    def moment(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault: begun under load, ended when its effect was seen.

    Attributes:
        kills: whether the server dies of it.
        struck: whether it has had any effect yet.
    """

    name: str
    kills: bool
    begin: Callable[[], None]
    end: Callable[[], None]
    struck: Callable[[], bool]


@dataclass(slots=True)
class SqliteStore:
    disk: FaultyDisk
    dice: random.Random

    @property
    def options(self) -> dict[str, Any]:
        return {"environment": self.disk.environment}

    def moment(self) -> int:
        return self.disk.moment

    def trials(self) -> list[Callable[[], Trial]]:
        return [lambda fault=fault: self.trial(fault) for fault in (*REFUSING, *HANGING, *KILLING)]

    def trial(self, fault: Fault) -> Trial:
        after = self.dice.randint(0, 12)
        return Trial(
            f"{fault.name.lower()} after {after}",
            fault in KILLING,
            lambda: self.disk.fail(fault, after),
            self.disk.heal,
            lambda: self.disk.fired > 0,
        )


@dataclass(slots=True)
class PostgresStore:
    server: PostgresServer
    wire: FaultyWire
    database: str

    @property
    def options(self) -> dict[str, Any]:
        url = self.server.url(self.database)
        return {"database": url.replace(f":{self.server.port}/", f":{self.wire.port}/")}

    def moment(self) -> int:
        return 0

    def trials(self) -> list[Callable[[], Trial]]:
        wires = [one for one in Trouble if one is not Trouble.NONE]
        return [*(lambda one=one: self.trial(one) for one in wires), self.death]

    def trial(self, trouble: Trouble) -> Trial:
        return Trial(
            trouble.name.lower(),
            False,
            lambda: self.wire.fail(trouble),
            self.wire.heal,
            lambda: self.wire.fired > 0,
        )

    def death(self) -> Trial:
        """kill -9 of the database server, and its recovery."""
        name = "database server killed"
        return Trial(name, False, self.server.kill, self.server.start_again, lambda: True)


@dataclass(slots=True)
class Campaign:
    """One server on one store, through any number of trials.

    Attributes:
        began: the moment of the disk's history at which the zone was there.
    """

    data: Path
    upstream: RecordingUpstream
    store: Store
    ledger: Ledger = field(default_factory=Ledger)
    path: str = field(default_factory=lambda: f"/json?{unique('campaign')}")
    zone: Zone | None = None
    began: int = 0
    _running: Running | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.ledger.moment = self.store.moment
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, trial: Trial) -> None:
        """Put the store through one trial, and hold everything to account."""
        authority = self._authority()
        with at_work(authority, self.ledger, self.path):
            self._answers(8)
            before, self.ledger.slowest = self.ledger.unavailable, 0.0
            trial.begin()
            if trial.kills:
                self._running.process.wait(ANSWER_SECONDS)
            else:
                self._outlive(trial, before)
        if trial.kills:
            trial.end()
            self._restart()
        self.reckon()

    def kill(self) -> None:
        """kill -9 the server while agents work."""
        process = self._running.process
        self.run(Trial("killed", True, process.kill, lambda: None, lambda: True))

    def reckon(self) -> None:
        """Everything that anybody knows is on record, and the record proves itself."""
        self.zone.verify_evidence()
        entries = self._entries()
        assert self.ledger.missing(entries) == []

    def finish(self) -> None:
        """Start once more: then every call has a result, and nothing else has changed."""
        self._restart()
        eventually(lambda: not unanswered(self._entries().values()), seconds=30)
        self.reckon()
        assert self._authority().call(self.path).status_code == 200

    def _outlive(self, trial: Trial, before: int) -> None:
        deployment = self.zone.deployment
        try:
            eventually(trial.struck, seconds=ANSWER_SECONDS)
            eventually(lambda: self.ledger.unavailable > before, seconds=ANSWER_SECONDS)
            eventually(lambda: not deployment.ready()["ready"], seconds=ANSWER_SECONDS)
        finally:
            trial.end()
        eventually(lambda: deployment.ready()["ready"], seconds=RECOVERY_SECONDS)
        self._answers(8)
        assert self.ledger.slowest < ANSWER_SECONDS

    def _answers(self, more: int) -> None:
        wanted = self.ledger.answered + more
        ledger = self.ledger
        eventually(lambda: ledger.answered >= wanted or ledger.faults, seconds=RECOVERY_SECONDS)

    def _authority(self) -> Authority:
        return self.zone.agent().authority()

    def _start(self) -> None:
        running, deployment = self._stack.enter_context(self._server())
        self._running = running
        if self.zone is None:
            self.zone = deployment.zone("campaign")
            self.began = self.store.moment()
        self.zone.deployment = deployment

    def _restart(self) -> None:
        self._stack.close()
        self._start()

    @contextmanager
    def _server(self) -> Iterator[tuple[Running, Deployment]]:
        options = self.store.options
        options["environment"] = options.get("environment", {}) | {
            "CARACAL_PRIVATE_EGRESS_HOSTS": self.upstream.authority,
            "CARACAL_ISSUER": "https://caracal.test",
        }
        running = start_caracal(self.data, **options)
        try:
            with deployed(running, self.upstream) as deployment:
                yield running, deployment
            if running.process.poll() is None:
                assert running.stop() == 0, running.log.read_text()
        finally:
            running.process.kill()
            running.process.wait(10)
            running.process.stdout.close()

    def _entries(self) -> Mapping[int, Mapping[str, Any]]:
        deployment = self.zone.deployment
        url = f"{deployment.running.control}/v1/zones/{self.zone.id}/evidence"
        bundle = deployment.http.get(f"{url}/export", headers=deployment.operator).content
        lines = (msgspec.json.decode(line) for line in bundle.splitlines()[1:-1])
        return {line["index"]: line["entry"] for line in lines}


def database_entries(database: Path, zone_id: str) -> Mapping[int, Mapping[str, Any]]:
    """The entries of one zone as they lie in a SQLite file, once every hash of its tree is recomputed."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = connection.execute("SELECT id FROM evidence_log WHERE zone_id = ?", (zone_id,))
        log = found.fetchone()
        if log is None:
            return {}
        rows = connection.execute(
            "SELECT place, hashes, data FROM evidence_entry WHERE place >= ? AND place < ? ORDER BY place",
            (log[0] << 40, log[0] + 1 << 40),
        ).fetchall()
    tree = TreeState()
    for index, (place, hashes, data) in enumerate(rows):
        assert place == (log[0] << 40) + index
        tree, nodes = tree.grow([leaf_hash(data)])
        own = sorted((node.level, node.hash) for node in nodes)
        assert hashes == b"".join(hash_ for _, hash_ in own)
    return {index: msgspec.json.decode(row[2]) for index, row in enumerate(rows)}
