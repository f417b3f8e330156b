"""Idempotency: the same key and request, the same answer, one session."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from caracal.authority.graph import GraphLimits
from caracal.tokens.secret import Secret
from caracal_server.coordinator.idempotency import (
    Draft,
    IdempotencyKey,
    IdempotencyReceipts,
    Operation,
)
from caracal_server.coordinator.settings import CoordinatorSettings
from tests.coordinator.world import ISSUER, ZONE, World, delegation_body, opened

BODY = {"application_id": "app-1", "labels": ["x"]}


async def keyed(world: World, key: str, body: Any = None, **more: str) -> httpx.Response:
    headers = {"idempotency-key": key} | more
    return await world.ask("POST", "/agents", BODY if body is None else body, headers=headers)


def live(world: World) -> int:
    return len(world.graph._index.sessions)


async def test_a_repeated_start_is_answered_as_the_first_time(world: World) -> None:
    first, again = await keyed(world, "k"), await keyed(world, "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert live(world) == 1
    assert len(await world.entries()) == 1


async def test_a_renewed_mandate_does_not_make_it_another_request(world: World) -> None:
    first = await keyed(world, "k")
    world.clock.move(minutes=5)
    renewed = world.bearer(record="record-2", id="mandate-2")
    again = await world.ask(
        "POST", "/agents", BODY, token=renewed, headers={"idempotency-key": "k"}
    )
    assert again.content == first.content


async def test_fifty_at_once_make_one_session(world: World) -> None:
    answers = await asyncio.gather(*(keyed(world, "k") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 49
    assert live(world) == 1


async def test_a_key_belongs_to_one_request_of_one_application(world: World) -> None:
    await keyed(world, "k")
    other = await keyed(world, "k", BODY | {"ttl_seconds": 60})
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_conflict")
    theirs = await world.ask(
        "POST",
        "/agents",
        BODY | {"application_id": "app-2"},
        token=world.bearer("app-2"),
        headers={"idempotency-key": "k"},
    )
    assert theirs.status_code == 201
    assert live(world) == 2
    assert ("session.start", "refuse", "idempotency_conflict") in await world.acts()


async def test_an_answer_whose_session_ended_is_not_repeated(world: World) -> None:
    started = (await keyed(world, "k")).json()["agent_session_id"]
    await world.ask("PATCH", f"/agents/{started}/suspend")
    paused = await keyed(world, "k")
    assert (paused.status_code, paused.json()["error"]) == (409, "idempotency_result_inactive")
    await world.ask("DELETE", f"/agents/{started}")
    ended = await keyed(world, "k")
    assert (ended.status_code, ended.json()["error"]) == (409, "idempotency_result_inactive")
    assert live(world) == 0


async def test_a_refused_start_leaves_the_key_free(world: World) -> None:
    parent = BODY | {"parent_id": "nobody"}
    assert (await keyed(world, "k", parent)).status_code == 404
    assert (await keyed(world, "k")).status_code == 201


NO_KEYS = [
    ([("idempotency-key", b"")], "idempotency_key_invalid"),
    ([("idempotency-key", b" k")], "idempotency_key_invalid"),
    ([("idempotency-key", b"\xc2\xa0k")], "idempotency_key_invalid"),
    ([("idempotency-key", b"k\x01")], "idempotency_key_invalid"),
    ([("idempotency-key", b"\xff")], "idempotency_key_invalid"),
    ([("idempotency-key", b"k" * 256)], "idempotency_key_invalid"),
    (
        [("idempotency-key", b"k"), ("idempotency-key", b"l")],
        "idempotency_key_multiple",
    ),
]


async def test_a_key_that_is_none_is_refused(world: World) -> None:
    for headers, code in NO_KEYS:
        answer = await world.client.post(
            "/zones/zone-1/agents",
            json=BODY,
            headers=[("authorization", f"Bearer {world.bearer()}"), *headers],
        )
        assert (answer.status_code, answer.json()["error"]) == (400, code), headers


async def test_a_key_of_255_bytes_of_any_language_will_do(world: World) -> None:
    key = "é" * 127 + "k"
    headers = [
        (b"authorization", f"Bearer {world.bearer()}".encode()),
        (b"idempotency-key", key.encode()),
    ]
    answer = await world.client.post("/zones/zone-1/agents", json=BODY, headers=headers)
    assert answer.status_code == 201


async def test_a_generated_key_is_remembered_for_less_long(world: World) -> None:
    await keyed(world, "own")
    await keyed(world, "made up", **{"idempotency-key-kind": "generated"})
    kept = world.store._store._database
    rows = await kept.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT expires_at FROM idempotency_receipt ORDER BY expires_at"
        ).all()
    )
    day, now = 86_400_000_000, world.clock.now_us()
    assert [row[0] - now for row in rows] == [day, 7 * day]


async def test_receipts_do_not_hold_the_key(world: World, tmp_path) -> None:
    await keyed(world, "a-telling-key")
    files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert not any(b"a-telling-key" in content for content in files)


async def test_there_are_so_many_receipts_and_no_more(tmp_path) -> None:
    settings = CoordinatorSettings(ISSUER, max_receipts=2)
    async with opened(tmp_path, settings) as world:
        for key in ("1", "2"):
            assert (await keyed(world, key)).status_code == 201
        over = await keyed(world, "3")
        assert (over.status_code, over.json()["error"]) == (
            429,
            "idempotency_receipt_limit_exceeded",
        )
        assert (await keyed(world, "2")).headers["idempotency-replayed"] == "true"
        assert (await world.ask("POST", "/agents", BODY)).status_code == 201
        world.clock.move(days=8)
        assert (await keyed(world, "3")).status_code == 201


async def test_delegations_are_answered_once_too(world: World) -> None:
    source, target = await world.session(), await world.session()
    body = delegation_body(source, target)

    async def ask(**changes: Any) -> httpx.Response:
        return await world.ask(
            "POST", "/delegations", body | changes, headers={"idempotency-key": "k"}
        )

    answers = await asyncio.gather(*(ask() for _ in range(20)))
    assert len({answer.content for answer in answers}) == 1
    assert len(world.graph._index.delegations) == 1
    assert (await ask(scopes=["write"])).json()["error"] == "idempotency_key_conflict"
    edge = answers[0].json()["delegation_edge_id"]
    await world.ask("PATCH", f"/delegations/{edge}/revoke")
    assert (await ask()).json()["error"] == "idempotency_result_inactive"


async def test_a_key_made_with_the_digest_key_before_is_still_found(world: World) -> None:
    operation = Operation(ZONE, "session.start.v2", "app-1")

    def receipts(*keys: str) -> IdempotencyReceipts:
        return IdempotencyReceipts(
            store=world.store,
            keys=tuple(Secret(key) for key in keys),
            retention=timedelta(days=7),
            generated_retention=timedelta(days=1),
            max_receipts=10,
        )

    with pytest.raises(ValueError, match="digest key"):
        receipts()
    key = IdempotencyKey(b"k")
    now = world.clock.now()
    drafts = [
        await one._find(operation, key, {}, now=now)
        for one in (receipts("new", "old"), receipts("old"))
    ]
    digests = [draft.key_digest for draft in drafts if isinstance(draft, Draft)]
    assert len(set(digests)) == 2
    assert "k" not in repr(key)


async def test_a_limit_is_never_passed_however_many_start_at_once(tmp_path) -> None:
    settings = CoordinatorSettings(ISSUER, GraphLimits(sessions_per_application=10))
    async with opened(tmp_path, settings) as world:
        answers = await asyncio.gather(*(world.ask("POST", "/agents", BODY) for _ in range(50)))
        codes = [answer.status_code for answer in answers]
        assert (codes.count(201), codes.count(429)) == (10, 40)
        assert len((await world.stored()).graph(ZONE)._index.sessions) == 10


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "k"}])
async def test_text_that_is_no_unicode_is_refused(world: World, headers: dict[str, str]) -> None:
    body = b'{"application_id":"app-1","labels":["\\ud800"]}'
    answer = await world.client.post(
        "/zones/zone-1/agents",
        content=body,
        headers={"authorization": f"Bearer {world.bearer()}"} | headers,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_body")
    assert live(world) == 0
