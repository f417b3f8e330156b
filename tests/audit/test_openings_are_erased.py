"""Erasing is on record before it is done, is gone on with after a crash, and leaves every proof standing."""

from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from caracal.authority.events import Entry, Kind
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.subjects import User
from caracal.evidence.bundle import verify_bundle
from caracal.evidence.errors import BundleError
from caracal.evidence.openings import HeldOpenings
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.erasures import erasure_of, target_of
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.service import build_audit_service
from caracal_server.ports.evidence import Redact, ShredBefore, ShredPerson
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.audit.logbook import START, ZONE, TestClock, TwoZones, entry, log_key, settings, until
from tests.support.evidence_store import MemoryEvidenceStore

LOG = f"/v1/zones/{ZONE}/evidence"
ISSUER = "https://login.example"
ALICE = User(ISSUER, "alice@example.com")
BOB = User(ISSUER, "bob@example.com")
PERSON = {"person": {"issuer": ISSUER, "subject": ALICE.name}, "reason": "request 17"}


class _Store(MemoryEvidenceStore):
    """Erases only while it is told to; each erasure finds its entry on record."""

    erases = True

    async def erase(self, zone_id, recorded, erasure) -> None:
        stored = await self.entry(zone_id, recorded)
        assert erasure_of(msgspec.json.decode(stored.data, type=Entry)) == erasure
        if not self.erases:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the process died here")
        await super().erase(zone_id, recorded, erasure)


async def _authenticate(request, scope):
    match request.headers.get("authorization"):
        case "Bearer writer":
            return OperatorIdentity("t-1", "ann", frozenset(OperatorScope))
        case "Bearer reader" if scope is OperatorScope.READ:
            return OperatorIdentity("t-2", "rob", frozenset({scope}))
        case "Bearer reader":
            return Refused(Reason.OPERATOR_SCOPE_MISSING, "the scope write is missing")
        case _:
            return Refused(Reason.OPERATOR_UNKNOWN)


@asynccontextmanager
async def serving(store=None):
    store = store or _Store()
    service = build_audit_service(
        store,
        TwoZones(),
        LogKeys(log_key()),
        TestClock(),
        settings(own_logs=("system",)),
        entropy=SystemEntropy(),
    )
    await service.start()
    edge = Edge(
        service.routes(_authenticate), refuse=render_problem_details, entropy=SystemEntropy()
    )
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(edge),
        base_url="http://audit",
        headers={"authorization": "Bearer writer"},
    )
    try:
        yield service, store, client
    finally:
        await client.aclose()
        await service.close()


async def _record(service, *persons: User) -> None:
    for number, person in enumerate(persons):
        at = int((START + timedelta(seconds=number)).timestamp() * 1_000_000)
        named = {"subject": person.name, "subject_issuer": person.issuer}
        await service.sequencer.append(entry(f"r-{number}", at=at, **named))


async def _subjects(client) -> dict[int, str | None]:
    page = (await client.get(LOG, params={"kind": "call"})).json()
    return {
        one["index"]: (one["openings"] or {}).get("subject", {}).get("value")
        for one in page["items"]
    }


async def test_operators_see_who_it_was_and_find_it_by_person():
    async with serving() as (service, _, client):
        await _record(service, ALICE, BOB, ALICE)
        assert await _subjects(client) == {0: ALICE.name, 1: BOB.name, 2: ALICE.name}
        one = (await client.get(f"{LOG}/1")).json()
        assert one["openings"]["subject"]["value"] == BOB.name
        assert "subject" not in one["entry"]

        found = await client.get(LOG, params={"subject": ALICE.name, "subject_issuer": ISSUER})
        assert [item["index"] for item in found.json()["items"]] == [2, 0]
        half = await client.get(LOG, params={"subject": ALICE.name})
        assert half.status_code == 400


async def test_a_person_is_forgotten_and_everything_verifies_as_before():
    async with serving() as (service, store, client):
        await _record(service, ALICE, BOB, ALICE)
        before = (await client.get(f"{LOG}/export")).content
        kept = (await client.get(f"{LOG}/openings")).content
        pseudonym = await store.pseudonym(ZONE, ALICE)

        erased = (await client.post(f"{LOG}/shred", json=PERSON)).json()
        assert erased["count"] == 2
        assert await _subjects(client) == {0: None, 1: BOB.name, 2: None}
        said = (await client.get(f"{LOG}/{erased['index']}")).json()["entry"]
        assert (said["kind"], said["target"]) == ("evidence.shred", f"person {pseudonym}")
        assert said["actor"] == "ann (t-1)"
        assert said["detail"] == "what opened commitments of 2 entries: request 17"

        again = (await client.post(f"{LOG}/shred", json=PERSON)).json()
        assert again == {"count": 0, "index": None}
        after = (await client.get(f"{LOG}/export")).content
        assert ALICE.name.encode() not in before + after
        for bundle in (before, after):
            verify_bundle(bundle.splitlines(keepends=True), None)
        # Who kept the openings can still show what was erased: nobody can take that back.
        holding = HeldOpenings(kept.splitlines(keepends=True))
        for line in after.splitlines(keepends=True):
            holding.take(line)
        holding.finish()
        assert holding.count == 3
        assert ALICE.name.encode() in kept
        await service.sweep.verify(ZONE)
        assert service.sweep.check() is None


async def test_what_is_old_is_forgotten_up_to_an_instant():
    async with serving() as (service, _, client):
        await _record(service, ALICE, BOB, ALICE)
        instant = (START + timedelta(seconds=2)).isoformat()
        body = {"before": instant, "reason": "a year is over"}
        erased = (await client.post(f"{LOG}/shred", json=body)).json()
        assert erased["count"] == 2
        assert await _subjects(client) == {0: None, 1: None, 2: ALICE.name}
        said = (await client.get(f"{LOG}/{erased['index']}")).json()["entry"]
        assert said["target"] == f"before {instant}"


async def test_one_value_is_redacted_and_what_an_entry_says_itself_is_not():
    async with serving() as (service, store, client):
        await _record(service, ALICE)
        body = {"index": 0, "field": "subject", "reason": "a mistake"}
        erased = (await client.post(f"{LOG}/redact", json=body)).json()
        assert erased["count"] == 1
        assert await _subjects(client) == {0: None}
        assert set((await store.openings(ZONE, [0]))[0]) == {"subject_issuer"}
        said = (await client.get(f"{LOG}/{erased['index']}")).json()["entry"]
        assert (said["kind"], said["target"]) == ("evidence.redact", "entry 0 subject")
        again = (await client.post(f"{LOG}/redact", json=body)).json()
        assert again == {"count": 0, "index": None}

        for wrong in ({"field": "operation"}, {"index": 99}):
            refused = await client.post(f"{LOG}/redact", json=body | wrong)
            assert refused.status_code == 400
        refusals = (await client.get("/v1/zones/system/evidence")).json()["items"]
        assert {item["entry"]["target"] for item in refusals} == {"evidence erasure"}
        assert "commits to no operation" in refusals[-1]["entry"]["detail"]


@pytest.mark.parametrize("body", [PERSON, {"before": "2100-01-01T00:00:00Z", "reason": "old"}])
async def test_what_was_on_record_and_not_done_is_done_by_the_next_process(body):
    store = _Store()
    async with serving(store) as (service, _, client):
        await _record(service, ALICE, ALICE)
        store.erases = False
        assert (await client.post(f"{LOG}/shred", json=body)).status_code == 503
        assert len(await store.openings(ZONE, [0, 1])) == 2
    store.erases = True
    async with serving(store):
        await until(lambda: not store.log(ZONE).erasures, "resumed")
        assert await store.openings(ZONE, [0, 1]) == {}


async def test_an_erasure_that_was_refused_is_gone_on_with_before_the_next():
    async with serving() as (service, store, client):
        await _record(service, ALICE, BOB)
        store.erases = False
        assert (await client.post(f"{LOG}/shred", json=PERSON)).status_code == 503
        store.erases = True
        again = (await client.post(f"{LOG}/shred", json=PERSON)).json()
        assert again == {"count": 0, "index": None}
        assert await _subjects(client) == {0: None, 1: BOB.name}


async def test_only_operators_who_may_write_erase_and_a_refused_one_goes_on_record():
    async with serving() as (service, _, client):
        await _record(service, ALICE)
        for path, body in (
            ("shred", PERSON),
            ("redact", {"index": 0, "field": "subject", "reason": "x"}),
        ):
            for token, status in (("reader", 403), ("nobody", 401)):
                headers = {"authorization": f"Bearer {token}"}
                answer = await client.post(f"{LOG}/{path}", json=body, headers=headers)
                assert answer.status_code == status
        assert await _subjects(client) == {0: ALICE.name}
        refusals = (await client.get("/v1/zones/system/evidence")).json()["items"]
        assert [item["entry"]["actor"] for item in refusals] == ["rob (t-2)"] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "neither"},
        PERSON | {"before": "2026-01-01T00:00:00Z"},
        PERSON | {"reason": f"{ALICE.name} asked"},
        PERSON | {"reason": ""},
        {"before": "2026-01-01T00:00:00", "reason": "no zone"},
    ],
)
async def test_what_is_not_clearly_asked_erases_nothing(body):
    async with serving() as (service, _, client):
        await _record(service, ALICE)
        assert (await client.post(f"{LOG}/shred", json=body)).status_code == 400
        assert await _subjects(client) == {0: ALICE.name}


async def test_an_opening_that_was_altered_is_not_shown_and_turns_readiness_red():
    async with serving() as (service, store, client):
        await _record(service, ALICE)
        held = store.log(ZONE).openings
        forged = {"subject": replace(held[0].openings["subject"], value="mallory")}
        held[0] = replace(held[0], openings=forged)
        assert await _subjects(client) == {0: None}
        assert "does not open" in service.sweep.check()


async def test_openings_are_handed_out_up_to_the_size_asked_for():
    async with serving() as (service, _, client):
        await _record(service, ALICE, BOB)
        some = await client.get(f"{LOG}/openings", params={"size": 1})
        assert [b'"index":0' in line for line in some.content.splitlines()] == [False, True, False]
        with pytest.raises(BundleError, match="entry 0"):
            HeldOpenings(some.content.splitlines(keepends=True)).finish()


@pytest.mark.parametrize(
    "erasure", [ShredPerson("ab12"), ShredBefore(1_800_000_000_000_001), Redact(7, "subject")]
)
def test_an_entry_says_all_there_is_to_know_about_what_to_erase(erasure):
    kind = Kind.EVIDENCE_REDACT if isinstance(erasure, Redact) else Kind.EVIDENCE_SHRED
    assert erasure_of(entry(kind=kind, target=target_of(erasure))) == erasure
    for spoiled in ("", "person ", "before now", "before", "entry x subject", "entry 1", "else"):
        assert erasure_of(entry(kind=kind, target=spoiled)) is None
    assert erasure_of(entry(target=target_of(erasure))) is None
