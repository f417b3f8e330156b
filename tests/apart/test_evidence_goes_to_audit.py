"""Entries on their way to Audit: durable or refused, in order, and results once, whatever gets lost."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.outcomes import Reason, Unavailable
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.peers.evidence import MAX_WAITING, RemoteEvidence
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.peer_api import AuditPeerApi, StoredLogs
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.evidence import EvidenceQuery
from caracal_server.web.peers.services import Service
from tests.apart.wire import wire
from tests.support.evidence_store import MemoryEvidenceStore

ZONE = "zone"


def entry(number: int, kind: Kind = Kind.CALL) -> Entry:
    return Entry(format=ENTRY_FORMAT, kind=kind, zone=ZONE, at=number, request=f"r{number}")


class Site:
    def __init__(self, store, sequencer, evidence, line, logs) -> None:
        self.store, self.sequencer, self.evidence = store, sequencer, evidence
        self.line, self.logs = line, logs

    async def requests(self) -> list[str]:
        found = await self.store.search(ZONE, EvidenceQuery(limit=1000, ascending=True))
        return [one.data.decode().split('"request":"')[1].split('"')[0] for one in found]

    async def until(self, requests: list[str]) -> None:
        async with asyncio.timeout(10):
            while await self.requests() != requests:
                await asyncio.sleep(0.005)


class Choosy:
    """A log that refuses the entries of some requests, as one whose witnesses are gone does."""

    def __init__(self, sequencer: Sequencer, refused: set[str]) -> None:
        self._sequencer, self._refused = sequencer, refused

    async def append(self, entry: Entry):
        if entry.request in self._refused:
            raise Unavailable(Reason.EVIDENCE_UNWITNESSED, "not this one")
        return await self._sequencer.append(entry)

    def enqueue(self, entry: Entry) -> None:
        self._sequencer.enqueue(entry)


@asynccontextmanager
async def running(caller: Service = Service.GATEWAY, refused: set[str] | None = None):
    store = MemoryEvidenceStore()
    sequencer = Sequencer(store, AuditSettings("log.example"), Integrity(), SystemClock())
    await sequencer.start()
    logs = StoredLogs(())
    log = Choosy(sequencer, set() if refused is None else refused)
    api = AuditPeerApi(log, store, logs, lambda: None)
    channel, line = wire(caller, Service.AUDIT, api.answers())
    channel.reason = Reason.EVIDENCE_UNAVAILABLE
    evidence = RemoteEvidence(channel, "instance-1")
    evidence.start()
    try:
        yield Site(store, sequencer, evidence, line, logs)
    finally:
        line.cut = False
        await evidence.close()
        await sequencer.close()


async def test_an_append_returns_where_the_entry_stands():
    async with running() as site:
        receipts = await asyncio.gather(*(site.evidence.append(entry(n)) for n in range(50)))
        assert [receipt.index for receipt in receipts] == list(range(50))
        assert await site.requests() == [f"r{n}" for n in range(50)]
        assert [zone.id for zone in site.logs.zones()] == [ZONE]


async def test_a_log_that_no_zone_can_have_is_not_begun():
    """`zone/west` would be called as a shard's log is."""
    async with running() as site:
        made_up = msgspec.structs.replace(entry(0), zone=f"{ZONE}/west")
        with pytest.raises(Unavailable):
            await site.evidence.append(made_up)
        assert site.store.logs == {}


async def test_many_entries_share_few_questions():
    async with running() as site:
        before = len(site.line.asked)
        await asyncio.gather(*(site.evidence.append(entry(n)) for n in range(300)))
        assert len(site.line.asked) - before < 10


async def test_what_audit_did_not_confirm_is_refused_and_never_sent_twice():
    async with running() as site:
        await site.evidence.append(entry(0))
        site.line.lose = 1
        with pytest.raises(Unavailable) as refused:
            await site.evidence.append(entry(1))
        assert refused.value.reason is Reason.EVIDENCE_UNAVAILABLE
        await site.evidence.append(entry(2))
        assert await site.requests() == ["r0", "r1", "r2"]


async def test_a_result_whose_answer_was_lost_is_recorded_once():
    async with running() as site:
        site.line.lose = 2
        site.evidence.enqueue(entry(1, Kind.CALL_RESULT))
        await site.until(["r1"])
        async with asyncio.timeout(10):
            while site.line.lose:
                await asyncio.sleep(0.005)
        await site.evidence.append(entry(2))
        assert await site.requests() == ["r1", "r2"]


async def test_results_wait_for_an_audit_that_is_gone():
    async with running() as site:
        site.line.cut = True
        for number in range(5):
            site.evidence.enqueue(entry(number, Kind.CALL_RESULT))
        with pytest.raises(Unavailable):
            await site.evidence.append(entry(9))
        site.line.cut = False
        await site.until([f"r{number}" for number in range(5)])


async def test_no_more_than_so_many_wait():
    async with running() as site:
        site.line.cut = True
        for number in range(MAX_WAITING):
            site.evidence.enqueue(entry(number, Kind.CALL_RESULT))
        with pytest.raises(Unavailable) as refused:
            await site.evidence.append(entry(0))
        assert refused.value.reason is Reason.OVERLOADED


async def test_what_waits_when_the_process_drains_is_sent_first():
    async with running() as site:
        site.evidence.enqueue(entry(1, Kind.CALL_RESULT))
        await site.evidence.close()
        assert await site.requests() == ["r1"]
        with pytest.raises(Unavailable) as refused:
            await site.evidence.append(entry(2))
        assert refused.value.reason is Reason.DRAINING


async def test_one_entry_that_is_not_the_callers_refuses_the_whole_batch():
    async with running() as site:
        outcomes = await asyncio.gather(
            site.evidence.append(entry(1)),
            site.evidence.append(entry(2, Kind.ZONE_APPLY)),
            return_exceptions=True,
        )
        assert all(isinstance(one, Unavailable) for one in outcomes)
        assert await site.requests() == []


async def test_one_entry_that_is_refused_by_itself_takes_none_with_it():
    async with running(refused={"r2"}) as site:
        outcomes = await asyncio.gather(
            *(site.evidence.append(entry(number)) for number in (1, 2, 3)), return_exceptions=True
        )
        assert [getattr(one, "index", None) for one in outcomes] == [0, None, 1]
        assert outcomes[1].reason is Reason.EVIDENCE_UNWITNESSED
        assert await site.requests() == ["r1", "r3"]


async def test_a_result_that_is_refused_by_itself_is_sent_again():
    refused = {"r2"}
    async with running(refused=refused) as site:
        site.evidence.enqueue(entry(1, Kind.CALL_RESULT))
        site.evidence.enqueue(entry(2, Kind.CALL_RESULT))
        await site.until(["r1"])
        refused.clear()
        await site.until(["r1", "r2"])
