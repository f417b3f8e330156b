"""What the tests of the Audit service share: entries, a clock, a key, and a check of a whole log."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.zones import Zone
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.audit.batches import canonical_entry
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.logs import LogKey, LogKeys, Logs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.evidence import EvidenceStore

ZONE = ZoneId("zone-a")
OTHER = ZoneId("zone-b")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class TestClock:
    """Stands until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def now_us(self) -> int:
        return int(self.at.timestamp() * 1_000_000)

    def monotonic(self) -> float:
        return self.at.timestamp()


class TwoZones:
    """A `ZoneDirectory` of `ZONE` and `OTHER`."""

    def __init__(self) -> None:
        self._zones = {id_: Zone(id_, id_, 1) for id_ in (ZONE, OTHER)}

    def zone(self, zone_id: ZoneId) -> Zone | None:
        return self._zones.get(zone_id)

    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def application_zone(self, application_id: str) -> ZoneId | None:
        return None


def settings(**more: object) -> AuditSettings:
    given = {
        "origin_host": "caracal.test",
        "own_logs": (),
        "retry_interval": timedelta(milliseconds=5),
    }
    return AuditSettings(**(given | more))


def log_key() -> LogKey:
    key = Ed25519PrivateKey.from_private_bytes(b"audit-log-key-of-the-test-suite!")
    return LogKey(
        key.public_key().public_bytes_raw(), key.sign, b"reference key of the test suite!"
    )


def logs(**more: object) -> Logs:
    return Logs(TwoZones(), LogKeys(log_key()), settings(**more))


def entry(request: str = "r-1", zone: ZoneId = ZONE, **more: object) -> Entry:
    given = {
        "format": 1,
        "kind": Kind.CALL,
        "zone": zone,
        "at": int(START.timestamp() * 1_000_000),
        "request": request,
        "verdict": Verdict.ALLOW,
        "application": "app-1",
        "session": "s-1",
    }
    return Entry(**(given | more))


async def started(store: EvidenceStore, **more: object) -> Sequencer:
    sequencer = Sequencer(store, settings(**more), Integrity(), TestClock())
    await sequencer.start([ZONE])
    return sequencer


async def require_whole(store: EvidenceStore, zone_id: ZoneId = ZONE) -> list[Entry]:
    """Recompute a stored log from nothing but its entries, and return them."""
    position = await store.position(zone_id)
    stored = [one async for one in store.scan(zone_id, 0, position.size + 10)]
    assert [one.index for one in stored] == list(range(position.size))
    assert all(leaf_hash(one.data) == one.leaf_hash for one in stored)
    tree, nodes = TreeState().grow([one.leaf_hash for one in stored])
    assert tree == TreeState(position.size, position.peaks)
    wanted = [(node.level, node.index) for node in nodes]
    assert await store.nodes(zone_id, wanted) == {(n.level, n.index): n.hash for n in nodes}
    entries = [msgspec.json.decode(one.data, type=Entry) for one in stored]
    instants = [one.sequenced_at for one in entries]
    assert instants == sorted(instants)
    return [replace(one, sequenced_at=0) for one in entries]


def recorded_as(one: Entry, sequenced_at: int) -> bytes:
    """The leaf hash of an entry that got its place then."""
    return leaf_hash(canonical_entry(replace(one, sequenced_at=sequenced_at)))


async def until(condition: Callable[[], bool], what: str) -> None:
    """Let other tasks run until a condition holds; fail after five seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
    assert condition(), what
