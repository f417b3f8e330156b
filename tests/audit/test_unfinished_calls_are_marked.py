"""What a process left open when it ended is marked: once, whatever happens, and nothing else is."""

import contextlib
from dataclasses import dataclass

import pytest

from caracal.authority.events import CallError, Entry, Kind, Verdict
from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.service import AuditService, build_audit_service
from caracal_server.ports.evidence import SYSTEM_LOG, StoredEntry
from tests.audit.logbook import (
    OTHER,
    ZONE,
    TestClock,
    TwoZones,
    entry,
    log_key,
    require_whole,
    settings,
    until,
)
from tests.support.evidence_store import Fault, FaultyEvidenceStore

PAGE = 4


def service(store, **more) -> AuditService:
    given = {"own_logs": (SYSTEM_LOG,), "sweep_batch": PAGE, "sweep_rate": 10_000_000}
    return build_audit_service(
        store,
        TwoZones(),
        LogKeys(log_key()),
        TestClock(),
        settings(**(given | more)),
        entropy=SystemEntropy(),
    )


@contextlib.asynccontextmanager
async def running(store):
    """An Audit that takes entries and is told nothing."""
    audit = service(store)
    await audit.sequencer.start()
    try:
        yield audit
    finally:
        await audit.unfinished.close()
        await audit.sequencer.close()


@dataclass(frozen=True)
class Process:
    """One that admits calls, and what it records."""

    audit: AuditService
    name: str
    target: str = "caracal gateway"

    async def start(self) -> None:
        start = entry(self.name, SYSTEM_LOG, kind=Kind.SERVICE_START, target=self.target)
        await self.audit.sequencer.append(start)

    async def call(self, request: str, zone=ZONE, **more) -> None:
        given = {"mandate": f"mandate-{request}", "instance": self.name}
        await self.audit.sequencer.append(entry(request, zone, **(given | more)))

    async def result(self, request: str, zone=ZONE) -> None:
        kind = {"kind": Kind.CALL_RESULT, "verdict": Verdict.NONE, "answers": request}
        await self.call(request, zone, **kind)

    async def work(self, finished: int, unfinished: int, zone=ZONE) -> set[str]:
        """Call; return what was left without a result."""
        left = {f"{self.name}-left-{number}" for number in range(unfinished)}
        for request in left:
            await self.call(request, zone)
        await self.call(f"{self.name}-refused", zone, verdict=Verdict.REFUSE)
        for number in range(finished):
            await self.call(f"{self.name}-{number}", zone)
            await self.result(f"{self.name}-{number}", zone)
        return left


async def marks(store, zone=ZONE) -> list[Entry]:
    entries = await require_whole(store, zone)
    return [one for one in entries if one.error is CallError.OUTCOME_UNKNOWN]


async def marked(store, zone=ZONE) -> list[str]:
    return sorted(one.answers for one in await marks(store, zone))


async def test_every_call_of_a_process_that_is_over_has_one_result_and_a_second_look_adds_none():
    store = FaultyEvidenceStore()
    async with running(store) as audit:
        first, second = Process(audit, "first"), Process(audit, "second")
        await first.start()
        left = await first.work(finished=9, unfinished=6)
        elsewhere = await first.work(finished=2, unfinished=1, zone=OTHER)
        await second.start()
        await second.work(finished=1, unfinished=3)
        await audit.unfinished.settle()
        assert await marked(store) == sorted(left)
        assert await marked(store, OTHER) == sorted(elsewhere)
        [one] = await marks(store, OTHER)
        assert (one.kind, one.mandate) == (Kind.CALL_RESULT, "mandate-first-left-0")
        assert one.instance == "first"
        sizes = [(await store.position(zone)).size for zone in (ZONE, OTHER, SYSTEM_LOG)]
        await audit.unfinished.settle()
        assert [(await store.position(z)).size for z in (ZONE, OTHER, SYSTEM_LOG)] == sizes


async def test_processes_that_ended_one_after_the_other_are_all_settled_and_others_are_not_asked():
    store = FaultyEvidenceStore()
    async with running(store) as audit:
        left = set()
        for name in ("one", "two", "three"):
            process = Process(audit, name, "caracal")
            await process.start()
            left |= await process.work(finished=1, unfinished=2)
            await Process(audit, f"sts-{name}", "caracal sts").start()
        last = Process(audit, "last")
        await last.start()
        await audit.unfinished.settle()
    assert await marked(store) == sorted(left)
    system = await require_whole(store, SYSTEM_LOG)
    settled = [one.target for one in system if one.kind is Kind.EVIDENCE_SETTLE]
    assert settled == ["one", "two", "three"]


async def test_a_process_that_still_runs_is_left_alone_though_audit_begins_anew():
    store = FaultyEvidenceStore()
    async with running(store) as audit:
        gateway = Process(audit, "gateway")
        await gateway.start()
        await gateway.work(finished=1, unfinished=2)
    async with running(store) as audit:
        await audit.unfinished.settle()
    assert await marked(store) == []


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("commit", range(4))
async def test_a_store_that_fails_in_between_leaves_each_marked_exactly_once(fault, commit):
    store = FaultyEvidenceStore()
    async with running(store) as audit:
        first = Process(audit, "first")
        await first.start()
        left = await first.work(finished=1, unfinished=3)
        elsewhere = await first.work(finished=1, unfinished=2, zone=OTHER)
        await Process(audit, "second").start()
        store.faults = [None] * commit + [fault]
        if commit < 3:
            with pytest.raises(Unavailable):
                await audit.unfinished.settle()
        await audit.unfinished.settle()
    assert await marked(store) == sorted(left)
    assert await marked(store, OTHER) == sorted(elsewhere)


async def test_whoever_is_told_of_a_start_goes_on_until_it_is_done():
    store = FaultyEvidenceStore()
    async with running(store) as audit:
        first = Process(audit, "first")
        await first.start()
        left = await first.work(finished=1, unfinished=3)
        await Process(audit, "second").start()
        store.faults = [Fault.BEFORE, Fault.AFTER]
        audit.unfinished.look()
        system = store.log(SYSTEM_LOG).entries
        await until(lambda: b"evidence.settle" in system[-1].data, "settled")
    assert await marked(store) == sorted(left)


class SpoiltStore(FaultyEvidenceStore):
    """Somebody wrote over the first entry of the zone."""

    async def search(self, zone_id, query):
        found = await super().search(zone_id, query)
        return tuple(
            StoredEntry(0, b"\xff", one.leaf_hash) if (zone_id, one.index) == (ZONE, 0) else one
            for one in found
        )


async def test_an_entry_that_somebody_made_unreadable_keeps_no_other_call_from_being_marked():
    store = SpoiltStore()
    async with running(store) as audit:
        first = Process(audit, "first")
        await first.start()
        await first.work(finished=1, unfinished=2)
        await Process(audit, "second").start()
        await audit.unfinished.settle()
    assert len(await marked(store)) == 1
