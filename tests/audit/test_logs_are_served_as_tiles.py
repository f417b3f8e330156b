"""The logs as tiles: what was signed for, byte by byte, to whoever may read it."""

from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request

from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.notes import VerifierKey
from caracal.evidence.tile_reading import VerifiedTiles
from caracal.evidence.tiles import (
    MAX_ENTRY_BYTES,
    EntryBundle,
    Tile,
    leaves_of,
    new_bundles,
    new_tiles,
    parse_bundle,
)
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.logs import LogKeys
from caracal_server.audit.service import build_audit_service
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.audit.logbook import ZONE, TestClock, TwoZones, entry, log_key, settings
from tests.support.evidence_store import FaultyEvidenceStore

READER = {"authorization": "Bearer reader"}
LOG = f"/evidence/{ZONE}"
SIZE = 600


class _Entropy:
    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def new_id(self) -> str:
        return "fresh"


async def _authenticate(request: Request, scope: OperatorScope) -> OperatorIdentity | Refused:
    assert scope is OperatorScope.READ
    if request.headers.get("authorization") == "Bearer reader":
        return OperatorIdentity("t-1", "auditor", frozenset({scope}))
    return Refused(Reason.OPERATOR_UNKNOWN)


@asynccontextmanager
async def _serving(size: int = SIZE, **more):
    store = FaultyEvidenceStore()
    service = build_audit_service(
        store,
        TwoZones(),
        LogKeys(log_key()),
        TestClock(),
        settings(**more),
        entropy=SystemEntropy(),
    )
    await service.start()
    edge = Edge(service.routes(_authenticate), refuse=render_problem_details, entropy=_Entropy())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://audit")
    try:
        for number in range(size):
            service.sequencer.enqueue(entry(f"r-{number}"))
        if size:
            await service.sequencer.append(entry("last"))
            await service.checkpointer.sign(ZONE)
        yield client, store, service
    finally:
        await client.aclose()
        await service.close()


async def test_everything_a_verifier_asks_for_is_there_and_leads_to_the_checkpoint():
    async with _serving() as (client, _, _):
        client.headers = READER
        signed = await client.get(f"{LOG}/checkpoint")
        assert signed.headers["content-type"] == "text/plain; charset=utf-8"
        key = VerifierKey(f"caracal.test/evidence/{ZONE}", log_key().public_key)
        checkpoint = verify_checkpoint(signed.text, key)
        assert checkpoint.size == SIZE + 1
        found = {}
        for place in [*new_tiles(0, SIZE + 1), *new_bundles(0, SIZE + 1)]:
            answer = await client.get(f"{LOG}/{place.path}")
            assert (answer.status_code, answer.headers["content-type"]) == (
                200,
                "application/octet-stream",
            )
            found[place] = answer.content
        tiles = VerifiedTiles(SIZE + 1, checkpoint.root, found.__getitem__)
        for bundle in new_bundles(0, SIZE + 1):
            entries = parse_bundle(found[bundle], bundle.width)
            assert leaves_of(entries) == tiles.hashes(Tile(0, bundle.index, bundle.width))


async def test_full_tiles_are_kept_for_ever_and_partial_ones_for_a_moment():
    async with _serving() as (client, _, _):
        client.headers = READER
        kept = {
            Tile(0, 0): "private, max-age=31536000, immutable",
            EntryBundle(1): "private, max-age=31536000, immutable",
            Tile(0, 2, 89): "private, max-age=60",
            Tile(1, 0, 1): "private, max-age=60",
        }
        for place, cache in kept.items():
            answer = await client.get(f"{LOG}/{place.path}")
            assert answer.headers["cache-control"] == cache
            assert (await client.head(f"{LOG}/{place.path}")).status_code == 200
        assert (await client.get(f"{LOG}/checkpoint")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tile/0/003", 404),
        ("tile/0/002", 404),
        ("tile/0/002.p/90", 404),
        ("tile/0/001.p/7", 200),
        ("tile/1/000", 404),
        ("tile/2/000.p/1", 404),
        ("tile/0/2", 404),
        ("tile/0/000.p/256", 404),
        ("tile/entries/002.p/90", 404),
        ("tile/", 404),
    ],
)
async def test_what_no_checkpoint_reaches_is_not_there(path, status):
    async with _serving() as (client, _, _):
        answer = await client.get(f"{LOG}/{path}", headers=READER)
        assert answer.status_code == status


async def test_only_operators_read_and_of_a_public_log_everybody_reads_hashes_and_no_entries():
    places = {"checkpoint": False, "tile/0/000": False, "tile/entries/000": False}
    for public in (False, True):
        async with _serving(public_log=public) as (client, _, _):
            for path in places:
                answer = await client.get(f"{LOG}/{path}")
                readable = public and "entries" not in path
                assert answer.status_code == (200 if readable else 401), path
                assert (await client.get(f"{LOG}/{path}", headers=READER)).status_code == 200
            answer = await client.get(f"{LOG}/tile/0/000", headers=READER)
            assert answer.headers["cache-control"].startswith("public" if public else "private")
            entries = await client.get(f"{LOG}/tile/entries/000", headers=READER)
            assert entries.headers["cache-control"].startswith("private")


async def test_a_log_that_is_not_there_or_signed_nothing_has_no_tiles():
    async with _serving(0) as (client, _, _):
        client.headers = READER
        for path, status in {
            "/evidence/nobody/checkpoint": 404,
            "/evidence/no%20body/checkpoint": 400,
            f"{LOG}/checkpoint": 404,
            f"{LOG}/tile/0/000.p/1": 404,
        }.items():
            assert (await client.get(path)).status_code == status


async def test_what_is_durable_and_not_signed_yet_is_not_shown():
    async with _serving() as (client, store, _):
        signed = store.log(ZONE).checkpoints
        signed[10] = signed.pop(SIZE + 1)
        signed[10] = type(signed[10])(10, signed[10].note, signed[10].at)
        answer = await client.get(f"{LOG}/tile/0/000", headers=READER)
        assert answer.status_code == 404
        signed[SIZE + 1] = type(signed[10])(SIZE + 1, signed.pop(10).note, TestClock().now())


async def test_a_log_with_holes_answers_nothing_instead_of_less():
    async with _serving() as (client, store, _):
        client.headers = READER
        log = store.log(ZONE)
        taken, hashed = log.entries.pop(300), log.nodes.pop((0, 3))
        for path in ("tile/entries/001", "tile/0/000"):
            answer = await client.get(f"{LOG}/{path}")
            assert (answer.status_code, answer.json()["reason"]) == (503, "evidence_unavailable")
        log.entries.insert(300, taken)
        log.nodes[0, 3] = hashed


async def test_an_entry_that_no_bundle_can_hold_is_said_to_be_one():
    async with _serving() as (client, store, _):
        log = store.log(ZONE)
        before = log.entries[5]
        log.entries[5] = type(before)(5, b"x" * (MAX_ENTRY_BYTES + 1), before.leaf_hash)
        answer = await client.get(f"{LOG}/tile/entries/000", headers=READER)
        assert answer.status_code == 404
        assert "65535 bytes" in answer.json()["detail"]
        log.entries[5] = before
