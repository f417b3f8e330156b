"""Idempotency: the same key and request, the same answer, one session."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from caracal.authority.graph import GraphChange, GraphLimits
from caracal.tokens.secret import Secret
from caracal_server.coordinator.idempotency import (
    Answered,
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


def receipts(world: World, *keys: str) -> IdempotencyReceipts:
    return IdempotencyReceipts(
        store=world.store,
        keys=tuple(Secret(key) for key in keys),
        retention=timedelta(days=7),
        generated_retention=timedelta(days=1),
        max_receipts=10,
    )


async def test_a_key_made_with_the_digest_key_before_is_still_found(world: World) -> None:
    async def once(*keys: str) -> bool:
        async def make(draft: Draft | None) -> Answered:
            answer = Answered(201, b"{}")
            if draft is not None:
                await world.store.save(ZONE, GraphChange(), draft.receipt(answer, "s"))
            return answer

        outcome = await receipts(world, *keys).once(
            Operation(ZONE, "session.start.v2", "app-1"),
            IdempotencyKey(b"k"),
            dict,
            now=world.clock.now(),
            live=lambda _: True,
            make=make,
        )
        assert isinstance(outcome, Answered)
        return outcome.replayed

    assert await once("old") is False
    assert await once("new", "old") is True
    assert await once("new") is False


async def test_digests_need_a_key_and_a_key_is_not_shown(world: World) -> None:
    with pytest.raises(ValueError, match="digest key"):
        receipts(world)
    assert "telling" not in repr(IdempotencyKey(b"telling"))


async def test_a_key_is_free_again_when_its_receipt_has_expired(world: World) -> None:
    first = await keyed(world, "k")
    world.clock.move(days=7, seconds=-1)
    assert (await keyed(world, "k")).json()["error"] == "idempotency_result_inactive"
    world.clock.move(seconds=1)
    again = await keyed(world, "k")
    assert again.status_code == 201
    assert again.content != first.content


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["y"]},
        {"ttl_seconds": 60},
        {"lifecycle": "service"},
        {"parent_id": "p"},
        {"parent_authority": "none"},
        {"inherit_parent_edge_id": "e"},
        {"metadata": {"task": "other"}},
    ],
)
async def test_another_body_is_another_request(world: World, changes: dict[str, Any]) -> None:
    await keyed(world, "k")
    other = await keyed(world, "k", BODY | changes)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_conflict")


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
