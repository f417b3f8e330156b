"""The read API: a table of requests, proofs that verify, and an export that verifies offline."""

from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from structlog.testing import capture_logs

from caracal.authority.events import Kind, Verdict
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.bundle import verify_bundle
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.errors import BundleError
from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.proofs import (
    ConsistencyProof,
    InclusionProof,
    verify_consistency,
    verify_inclusion,
)
from caracal.evidence.tree import TreeState, leaf_hash
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.service import AuditService, build_audit_service
from caracal_server.audit.settings import AuditSettings
from caracal_server.ports.evidence import StoredEntry
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.health import Readiness, health_routes
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import AnswerCutShort, Edge
from tests.audit.logbook import OTHER, START, ZONE, TestClock, TwoZones, entry, log_key, settings
from tests.support.evidence_store import FaultyEvidenceStore

READER = {"authorization": "Bearer reader"}
LOG = f"/v1/zones/{ZONE}/evidence"


class _Entropy:
    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def new_id(self) -> str:
        return "fresh"


async def _authenticate(request: Request, scope: OperatorScope) -> OperatorIdentity | Refused:
    match request.headers.get("authorization"):
        case "Bearer reader":
            assert scope is OperatorScope.READ
            return OperatorIdentity("t-1", "auditor", frozenset({scope}))
        case "Bearer writer":
            return Refused(Reason.OPERATOR_SCOPE_MISSING, "the scope read is missing")
        case _:
            return Refused(Reason.OPERATOR_UNKNOWN)


class _Serving:
    def __init__(self, service: AuditService, store: FaultyEvidenceStore) -> None:
        self.service = service
        self.store = store
        routes = (
            *service.routes(_authenticate),
            *health_routes(Readiness(service.checks()), CollectorRegistry()),
        )
        edge = Edge(routes, refuse=render_problem_details, entropy=_Entropy())
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(edge), base_url="http://audit", headers=READER
        )

    async def record(self, count: int = 10) -> None:
        for number in range(count):
            await self.service.sequencer.append(
                entry(
                    f"r-{number}",
                    kind=Kind.EXCHANGE if number % 2 else Kind.CALL,
                    verdict=Verdict.REFUSE if number % 3 == 0 else Verdict.ALLOW,
                    session=f"s-{number // 5}",
                    application=f"app-{number // 5}",
                    at=int((START + timedelta(seconds=number)).timestamp() * 1_000_000),
                )
            )


@asynccontextmanager
async def _serving(**more):
    store = FaultyEvidenceStore()
    given = {"checkpoint_interval": timedelta(seconds=1)} | more
    service = build_audit_service(
        store,
        TwoZones(),
        LogKeys(log_key()),
        TestClock(),
        settings(**given),
        entropy=SystemEntropy(),
    )
    await service.start()
    serving = _Serving(service, store)
    try:
        yield serving
    finally:
        store.down = False
        await serving.client.aclose()
        await service.close()


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (LOG, 200, None),
        (f"{LOG}?limit=1000&verdict=refuse&kind=call&since=2026-01-01T00:00:00Z", 200, None),
        (f"{LOG}?limit=0", 400, "request_malformed"),
        (f"{LOG}?limit=1001", 400, "request_malformed"),
        (f"{LOG}?cursor=-1", 400, "request_malformed"),
        (f"{LOG}?cursor=x", 400, "request_malformed"),
        (f"{LOG}?verdict=maybe", 400, "request_malformed"),
        (f"{LOG}?kind=call&kind=call", 400, "request_malformed"),
        (f"{LOG}?since=2026-01-01T00:00:00", 400, "request_malformed"),
        (f"{LOG}?requset=r-1", 400, "request_malformed"),
        (f"{LOG}?session=", 400, "request_malformed"),
        (f"{LOG}/3", 200, None),
        (f"{LOG}/10", 404, "request_malformed"),
        (f"{LOG}/-1", 400, "request_malformed"),
        (f"{LOG}/x", 400, "request_malformed"),
        (f"{LOG}/%D9%A3", 400, "request_malformed"),
        (f"{LOG}/99999999999999999999999", 400, "request_malformed"),
        (f"{LOG}/3/proof", 200, None),
        (f"{LOG}/3/proof?size=4", 200, None),
        (f"{LOG}/3/proof?size=3", 404, "request_malformed"),
        (f"{LOG}/3/proof?size=11", 404, "request_malformed"),
        (f"{LOG}/3/proof?size=-1", 400, "request_malformed"),
        (f"{LOG}/10/proof", 404, "request_malformed"),
        (f"{LOG}/checkpoint", 200, None),
        (f"{LOG}/key", 200, None),
        (f"{LOG}/export", 200, None),
        ("/v1/evidence/key", 200, None),
        ("/v1/zones/nowhere/evidence", 404, "zone_unknown"),
        ("/v1/zones/nowhere/evidence/export", 404, "zone_unknown"),
        ("/v1/zones/a%20b/evidence", 400, "request_malformed"),
        (f"/v1/zones/{'z' * 129}/evidence/key", 400, "request_malformed"),
        (f"{LOG}/", 404, "request_malformed"),
        (f"{LOG}/3/proof/4", 404, "request_malformed"),
        ("/v1/zones", 404, "request_malformed"),
    ],
)
async def test_requests_and_their_answers(path, status, reason):
    async with _serving() as serving:
        await serving.record()
        await serving.service.checkpointer.sign(ZONE)
        response = await serving.client.get(path)
    assert response.status_code == status, response.text
    assert response.headers["x-request-id"] == "fresh"
    if reason is not None:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["reason"] == reason


@pytest.mark.parametrize(
    "path",
    ["/v1/evidence/key", LOG, f"{LOG}/0", f"{LOG}/0/proof"]
    + [f"{LOG}/{name}" for name in ("checkpoint", "key", "export")]
    + ["/v1/zones/nowhere/evidence"],
)
async def test_only_operators_who_may_read_are_answered(path):
    async with _serving() as serving:
        await serving.record(1)
        unknown = await serving.client.get(path, headers={"authorization": "Bearer other"})
        writer = await serving.client.get(path, headers={"authorization": "Bearer writer"})
    assert (unknown.status_code, unknown.json()["reason"]) == (401, "operator_unknown")
    assert "www-authenticate" in unknown.headers
    assert (writer.status_code, writer.json()["reason"]) == (403, "operator_scope_missing")


async def test_a_method_that_would_change_evidence_does_not_exist():
    async with _serving() as serving:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await serving.client.request(method, f"{LOG}/0")).status_code == 405


async def test_pages_lead_through_everything_newest_first():
    async with _serving(page_limit=4) as serving:
        await serving.record()
        seen, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            query = {"limit": 100} | ({} if cursor is None else {"cursor": cursor})
            page = (await serving.client.get(LOG, params=query)).json()
            seen += [item["index"] for item in page["items"]]
            cursor, pages = page["next_cursor"], pages + 1
    assert seen == list(range(9, -1, -1))
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"request": "r-4"}, [4]),
        ({"session": "s-1"}, [9, 8, 7, 6, 5]),
        ({"application": "app-0", "kind": "exchange"}, [3, 1]),
        ({"verdict": "refuse"}, [9, 6, 3, 0]),
        ({"since": "2026-03-01T12:00:02Z", "until": "2026-03-01T13:00:05+01:00"}, [4, 3, 2]),
        ({"cursor": "3", "limit": "2"}, [2, 1]),
        ({"request": "r-4", "session": "s-1"}, []),
    ],
)
async def test_filters_all_have_to_hold(query, expected):
    async with _serving() as serving:
        await serving.record()
        page = (await serving.client.get(LOG, params=query)).json()
    assert [item["index"] for item in page["items"]] == expected
    for item in page["items"]:
        assert item["entry"]["zone"] == ZONE


async def test_an_entry_is_served_byte_for_byte_as_it_was_hashed():
    async with _serving() as serving:
        await serving.record(2)
        response = await serving.client.get(f"{LOG}/1")
    view = response.json()
    stored = serving.store.log(ZONE).entries[1]
    assert stored.data in response.content
    assert view["index"] == 1
    assert bytes.fromhex(view["leaf_hash"]) == leaf_hash(stored.data)


@pytest.mark.parametrize("size", [None, 4, 7, 10])
async def test_a_proof_leads_to_a_checkpoint_that_anyone_can_verify(size):
    async with _serving() as serving:
        await serving.record(10)
        await serving.service.checkpointer.sign(ZONE)
        query = {} if size is None else {"size": size}
        proof = (await serving.client.get(f"{LOG}/3/proof", params=query)).json()
        key = parse_verifier_key((await serving.client.get(f"{LOG}/key")).text.strip())
        stored = serving.store.log(ZONE).entries
    signed = verify_checkpoint(proof["checkpoint"], key)
    assert key.name == f"caracal.test/evidence/{ZONE}"
    leaf = bytes.fromhex(proof["leaf_hash"])
    inclusion = InclusionProof(3, proof["size"], tuple(map(bytes.fromhex, proof["hashes"])))
    if proof["consistency"] is None:
        assert proof["size"] == signed.size == 10
        verify_inclusion(leaf, inclusion, signed.root)
        return
    root = TreeState().extend([one.leaf_hash for one in stored[:size]]).root()
    verify_inclusion(leaf, inclusion, root)
    hashes = tuple(map(bytes.fromhex, proof["consistency"]["hashes"]))
    verify_consistency(ConsistencyProof(size, 10, hashes), root, signed.root)


async def test_a_proof_of_a_new_entry_makes_a_checkpoint_that_covers_it():
    async with _serving() as serving:
        await serving.record(1)
        await serving.service.checkpointer.sign(ZONE)
        await serving.record(1)
        proof = (await serving.client.get(f"{LOG}/1/proof")).json()
    assert proof["size"] == 2


async def test_the_checkpoint_is_a_note_in_plain_text():
    async with _serving() as serving:
        absent = await serving.client.get(f"/v1/zones/{OTHER}/evidence/checkpoint")
        await serving.record(1)
        await serving.service.checkpointer.sign(ZONE)
        response = await serving.client.get(f"{LOG}/checkpoint")
    assert absent.status_code == 404
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    key = parse_verifier_key(serving.service.logs.verifier(ZONE).render())
    assert verify_checkpoint(response.text, key).size == 1


async def test_the_key_of_all_logs_is_published():
    async with _serving() as serving:
        view = (await serving.client.get("/v1/evidence/key")).json()
    assert view == {
        "public_key": log_key().public_key.hex(),
        "origin_prefix": "caracal.test/evidence/",
    }


@pytest.mark.parametrize("count", [0, 1, 700])
async def test_an_export_verifies_offline_and_one_altered_byte_names_its_entry(count):
    async with _serving() as serving:
        await serving.record(count)
        response = await serving.client.get(f"{LOG}/export")
        key = serving.service.logs.verifier(ZONE)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jsonl"
    assert response.headers["cache-control"] == "no-store"
    lines = response.content.splitlines(keepends=True)
    report = verify_bundle(lines, key)
    assert (report.entries, report.contents) == (count, Contents.WHOLE)
    assert report.checkpoint.size == count
    if count:
        altered = [line.replace(b'"r-0"', b'"r-O"') for line in lines]
        with pytest.raises(BundleError, match="entry 0"):
            verify_bundle(altered, key)


async def test_an_export_of_a_falsified_store_is_made_and_does_not_verify():
    async with _serving() as serving:
        await serving.record(5)
        log = serving.store.log(ZONE)
        old = log.entries[2]
        log.entries[2] = StoredEntry(2, old.data.replace(b"r-2", b"r-x"), old.leaf_hash)
        response = await serving.client.get(f"{LOG}/export")
    with pytest.raises(BundleError) as caught:
        verify_bundle(response.content.splitlines(keepends=True), None)
    assert caught.value.index == 2


async def test_an_export_is_streamed_in_pieces_and_breaks_off_rather_than_lie():
    async with _serving() as serving:
        await serving.record(600)
        pieces = [piece async for piece in await serving.service.reader.export(ZONE)]
        assert len(pieces) > 1
        assert max(map(len, pieces)) < 80_000
        for index in (599, 100):
            del serving.store.log(ZONE).entries[index]
            with capture_logs(), pytest.raises(AnswerCutShort):
                await serving.client.get(f"{LOG}/export")


async def test_a_store_that_is_down_is_told_by_a_503():
    async with _serving() as serving:
        await serving.record(1)
        serving.store.down = True
        with pytest.raises(Unavailable):
            await serving.service.sequencer.append(entry())
        with capture_logs():
            response = await serving.client.get(f"{LOG}/export")
            ready = await serving.client.get("/ready")
    assert (response.status_code, response.json()["reason"]) == (503, "store_unavailable")
    assert response.headers["retry-after"] == "1"
    assert ready.status_code == 503
    assert "evidence_log" in [one["check"] for one in ready.json()["failing"]]


async def test_the_services_own_log_is_served_like_any_other():
    async with _serving(own_logs=("system",)) as serving:
        await serving.service.sequencer.append(entry("boot", "system", kind=Kind.SERVICE_START))
        page = (await serving.client.get("/v1/zones/system/evidence")).json()
    assert page["items"][0]["entry"] == msgspec.json.decode(
        serving.store.log("system").entries[0].data
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin_host": ""},
        {"origin_host": "https://a"},
        {"origin_host": "a b"},
        {"origin_host": "a+b"},
        {"max_waiting": 0},
        {"max_batch": 1_000_000},
        {"sweep_batch": 0},
        {"sweep_rate": 0},
        {"page_limit": 1_001},
        {"commit_timeout": timedelta()},
        {"retry_interval": timedelta(minutes=2)},
        {"checkpoint_interval": timedelta(seconds=2)},
        {"sweep_interval": timedelta(days=8)},
    ],
)
def test_settings_out_of_bounds_are_refused_at_start(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditSettings(**({"origin_host": "caracal.test"} | wrong))
