"""Who may call: session mandates of the zone, and operators where the contract lets them."""

from datetime import timedelta
from typing import Any

import pytest

from caracal.authority.mandates import MandateClass
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.scopes import ScopeSet
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal_server.coordinator.proofs import MandateProofs
from tests.coordinator.world import ISSUER, OTHER_KEY, OTHER_ZONE, ZONE, World

WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("gateway class", {"mandate_class": MandateClass.GATEWAY}, 401, "invalid_token"),
    ("resource class", {"mandate_class": MandateClass.RESOURCE}, 401, "invalid_token"),
    ("another issuer", {"issuer": "https://other.example"}, 401, "invalid_token"),
    ("another audience", {"audience": ("https://other.example",)}, 401, "invalid_token"),
    ("another zone's key", {"key": OTHER_KEY}, 401, "invalid_token"),
    ("no scope", {"scopes": ScopeSet.of("read")}, 403, "missing_scope"),
    (
        "another zone",
        {"zone_id": OTHER_ZONE, "key": OTHER_KEY, "application_id": "app-3"},
        403,
        "zone_mismatch",
    ),
    ("a zone that there is not", {"zone_id": "zone-9"}, 401, "invalid_token"),
    ("an unknown application", {"application_id": "app-9"}, 401, "identity_revoked"),
    ("a disabled application", {"application_id": "app-off"}, 401, "identity_revoked"),
]


async def test_a_mandate_that_will_not_do_is_refused(world: World) -> None:
    for why, changes, status, code in WRONG:
        answer = await world.ask("GET", "/agents", token=world.bearer(**changes))
        assert (answer.status_code, answer.json()["error"]) == (status, code), why
    assert await world.entries() == []


async def test_what_was_proven_before_is_not_believed_any_longer_than_it_holds(
    world: World,
) -> None:
    bearer = world.bearer()
    assert [(await world.ask("GET", "/agents", token=bearer)).status_code for _ in range(2)] == [
        200,
        200,
    ]
    elsewhere = await world.ask("GET", "/agents", token=bearer, zone=OTHER_ZONE)
    assert elsewhere.json()["error"] == "zone_mismatch"
    forged = await world.ask("GET", "/agents", token=bearer[:-4] + "AAAA")
    assert forged.json()["error"] == "invalid_token"
    kept = world.keys.sets[ZONE]
    world.keys.sets[ZONE] = kept.rotated(OTHER_KEY.public)
    assert (await world.ask("GET", "/agents", token=bearer)).status_code == 200
    world.keys.sets[ZONE] = KeySet(OTHER_KEY.public)
    retired = await world.ask("GET", "/agents", token=bearer)
    assert (retired.status_code, retired.json()["error"]) == (401, "invalid_token")
    world.keys.sets[ZONE] = kept
    assert (await world.ask("GET", "/agents", token=bearer)).status_code == 200
    world.graph.revocations.add(
        Revocation(AnchorKind.RECORD, "record-1", world.clock.now(), "compromised")
    )
    assert (await world.ask("GET", "/agents", token=bearer)).json()["error"] == "identity_revoked"
    world.graph.revocations.lift(AnchorKind.RECORD, "record-1")
    world.clock.move(minutes=16)
    assert (await world.ask("GET", "/agents", token=bearer)).status_code == 401


async def test_only_so_many_proofs_are_remembered(world: World) -> None:
    proofs = MandateProofs(world.keys, ISSUER, remembered=2)
    for number in (1, 2, 3, 1, 3):
        raw = RawToken(world.bearer(id=f"mandate-{number}").encode())
        assert proofs.prove(raw, world.clock.now()).id == f"mandate-{number}"
        assert len(proofs._proofs) <= 2


async def test_an_expired_mandate_is_refused(world: World) -> None:
    bearer = world.bearer()
    world.clock.move(minutes=16)
    answer = await world.ask("GET", "/agents", token=bearer)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


NO_MANDATE = [
    (None, "missing_token"),
    ("Basic YQ==", "missing_token"),
    ("Bearer", "invalid_token"),
    ("Bearer a.b.c", "invalid_token"),
    ("Bearer " + "a" * 9000, "invalid_token"),
]


async def test_without_a_mandate_there_is_no_answer(world: World) -> None:
    for value, code in NO_MANDATE:
        headers = {} if value is None else {"authorization": value}
        answer = await world.client.get("/zones/zone-1/agents", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, code), value
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("kind", "anchor"),
    [
        (AnchorKind.APPLICATION, "app-1"),
        (AnchorKind.SUBJECT, "app-1"),
        (AnchorKind.RECORD, "record-1"),
        (AnchorKind.ZONE, "zone-1"),
    ],
)
async def test_a_revoked_identity_is_told_so(world: World, kind: AnchorKind, anchor: str) -> None:
    world.graph.revocations.add(Revocation(kind, anchor, world.clock.now(), "compromised"))
    answer = await world.ask("GET", "/agents")
    assert (answer.status_code, answer.json()["error"]) == (401, "identity_revoked")


OPERATOR_MAY = [
    ("GET", "/agents", 200),
    ("GET", "/agents/{session}", 200),
    ("GET", "/agents/{session}/children", 200),
    ("GET", "/agents/{session}/effective-authority", 200),
    ("PATCH", "/agents/{session}/suspend", 200),
    ("PATCH", "/agents/{session}/resume", 409),
    ("GET", "/delegations/active", 200),
    ("GET", "/delegations/inbound/{session}", 200),
    ("GET", "/delegations/outbound/{session}", 200),
    ("GET", "/delegations/nothing/traverse", 404),
    ("GET", "/delegations/nothing/impact", 404),
    ("PATCH", "/delegations/nothing/revoke", 404),
    ("DELETE", "/agents/{session}", 204),
]
OPERATOR_MAY_NOT = [
    ("POST", "/agents"),
    ("POST", "/agents/{session}/lease"),
    ("POST", "/agents/{session}/heartbeat"),
]


@pytest.mark.parametrize(("method", "path", "status"), OPERATOR_MAY)
async def test_operators_reach_what_the_contract_lets_them(
    world: World, method: str, path: str, status: int
) -> None:
    session = await world.session()
    target = path.format(session=session)
    answer = await world.ask(method, target, token="operator-write")
    assert answer.status_code == status
    reading = await world.ask(method, target, token="operator-read")
    if method == "GET":
        assert reading.status_code == status
    else:
        assert (reading.status_code, reading.json()["error"]) == (403, "missing_scope")
    unknown = await world.ask(method, target, token="operator-who")
    assert unknown.status_code == 401


async def test_operators_start_nothing_and_hold_no_lease(world: World) -> None:
    session = await world.session(lifecycle="service")
    for method, path in OPERATOR_MAY_NOT:
        answer = await world.ask(method, path.format(session=session), {}, token="operator-write")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), path
    assert set(world.graph._index.sessions) == {session}


async def test_an_operator_kills_services_without_their_lease(world: World) -> None:
    service = await world.session(lifecycle="service")
    answer = await world.ask("DELETE", f"/agents/{service}?reason=drill", token="operator-write")
    assert answer.status_code == 204
    entry = (await world.entries(session=service))[-1]
    assert (entry.kind, entry.actor, entry.subject, entry.application, entry.reason) == (
        "session.end",
        "ada (op-1)",
        "caracal-operator",
        "app-1",
        "drill",
    )


async def test_an_operator_asks_for_a_zone_that_there_is(world: World) -> None:
    answer = await world.ask("GET", "/agents", token="operator-read", zone="zone-9")
    assert (answer.status_code, answer.json()["error"]) == (404, "zone_not_found")


async def test_a_zone_that_is_not_loaded_is_not_served(world: World) -> None:
    world.graphs._graphs.clear()
    for token in (None, "operator-read"):
        answer = await world.ask("GET", "/agents/x", token=token)
        assert answer.status_code == 503


async def test_a_body_over_the_limit_is_not_read(world: World) -> None:
    body = {"application_id": "app-1", "metadata": {"x": "y" * 262_144}}
    answer = await world.ask("POST", "/agents", body)
    assert answer.status_code == 413
    assert await world.entries() == []


async def test_the_request_id_comes_back(world: World) -> None:
    for answer in (
        await world.ask("GET", "/agents", headers={"x-request-id": "mine"}),
        await world.ask("GET", "/agents/no", headers={"x-request-id": "mine"}),
        await world.ask("GET", "/nowhere", headers={"x-request-id": "mine"}),
    ):
        assert answer.headers["x-request-id"] == "mine"
    assert (await world.ask("GET", "/agents")).headers["x-request-id"]


async def test_clocks_may_differ_by_a_minute(world: World) -> None:
    ahead = world.bearer(
        issued_at=world.clock.now() + timedelta(seconds=59),
        expires_at=world.clock.now() + timedelta(minutes=10),
    )
    assert (await world.ask("GET", "/agents", token=ahead)).status_code == 200
