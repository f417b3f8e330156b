"""Faults: what could not be recorded or stored gives nothing, and what was taken stays taken."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from caracal.authority.events import Entry, Kind
from caracal.authority.graph import GraphChange
from caracal.authority.outcomes import Unavailable
from caracal.authority.revocation import AnchorKind, Revocation
from caracal_server.coordinator.settings import CoordinatorSettings
from tests.coordinator.world import ISSUER, ZONE, World, delegation_body, opened, rows, until

FAULTS = [("log", "before"), ("log", "after"), ("store", "before"), ("store", "after")]


def break_(world: World, part: str, when: str) -> None:
    target: Any = world.log if part == "log" else world.store
    target.fails = when


def mend(world: World) -> None:
    world.log.fails = world.store.fails = ""


async def heal(world: World) -> None:
    """What a sweep does once the fault is gone."""
    mend(world)
    await world.coordinator.sweeper.sweep_once()
    assert world.coordinator.commitment.check() is None


@pytest.mark.parametrize(("part", "when"), FAULTS)
async def test_a_start_that_fails_leaves_no_session(world: World, part: str, when: str) -> None:
    break_(world, part, when)
    answer = await world.ask("POST", "/agents", {"application_id": "app-1"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert world.graph._index.sessions == {}
    await heal(world)
    assert rows(await world.stored())[0] == {}
    assert await world.session()


@pytest.mark.parametrize(("part", "when"), FAULTS)
async def test_a_failed_start_is_repeated_under_its_key(world: World, part: str, when: str) -> None:
    async def ask() -> httpx.Response:
        headers = {"idempotency-key": "k"}
        return await world.ask("POST", "/agents", {"application_id": "app-1"}, headers=headers)

    break_(world, part, when)
    assert (await ask()).status_code == 503
    await heal(world)
    again = await ask()
    # Where it was stored after all, the key belongs to a session that was ended at once.
    assert again.status_code == (409 if (part, when) == ("store", "after") else 201)
    assert len(world.graph._index.sessions) == (0 if again.status_code == 409 else 1)


@pytest.mark.parametrize(("part", "when"), FAULTS)
async def test_a_delegation_that_fails_is_not_there_and_harms_nobody(
    world: World, part: str, when: str
) -> None:
    source, target = await world.session(), await world.session()
    break_(world, part, when)
    answer = await world.ask("POST", "/delegations", delegation_body(source, target))
    assert answer.status_code == 503
    assert world.graph._index.delegations == {}
    assert set(world.graph._index.sessions) == {source, target}
    await heal(world)
    restarted = rows(await world.stored())
    assert set(restarted[0]) == {source, target}
    assert all(row.status == "revoked" for row in restarted[1].values())


@pytest.mark.parametrize(("part", "when"), FAULTS)
async def test_a_resumption_that_fails_leaves_the_session_suspended(
    world: World, part: str, when: str
) -> None:
    session = await world.session()
    await world.ask("PATCH", f"/agents/{session}/suspend")
    break_(world, part, when)
    assert (await world.ask("PATCH", f"/agents/{session}/resume")).status_code == 503
    assert world.graph.session(session).status == "suspended"
    assert world.graphs.revocation(world.mandate(session_path=(session,))) is not None
    await heal(world)
    stored = (await world.stored()).graph(ZONE)
    assert stored.session(session).status == "suspended"
    assert stored.revocations.covering(world.mandate(session_path=(session,))) is not None
    assert (await world.ask("PATCH", f"/agents/{session}/resume")).status_code == 200


Kill = Callable[[World, str, str], Awaitable[httpx.Response]]


async def end(world: World, session: str, _edge: str) -> httpx.Response:
    return await world.ask("DELETE", f"/agents/{session}")


async def suspend(world: World, session: str, _edge: str) -> httpx.Response:
    return await world.ask("PATCH", f"/agents/{session}/suspend")


async def revoke(world: World, _session: str, edge: str) -> httpx.Response:
    return await world.ask("PATCH", f"/delegations/{edge}/revoke")


KILLS = [(end, 204), (suspend, 200), (revoke, 200)]


@pytest.mark.parametrize(("part", "when"), FAULTS)
@pytest.mark.parametrize(("kill", "status"), KILLS)
async def test_a_kill_that_fails_is_in_force_and_is_completed_when_repeated(
    world: World, kill: Kill, status: int, part: str, when: str
) -> None:
    giver, session = await world.session(), await world.session()
    edge = await world.delegation(giver, session)
    break_(world, part, when)
    assert (await kill(world, session, edge)).status_code == 503
    mandate = world.mandate(session_path=(session,))
    assert world.graphs.revocation(mandate) is not None
    assert world.coordinator.commitment.check() == "1 changes wait to be stored"
    assert (await kill(world, session, edge)).status_code == 503
    shown = (await world.ask("GET", f"/agents/{session}")).json()
    assert shown["status"] != "active"
    mend(world)
    assert (await kill(world, session, edge)).status_code == status
    assert world.coordinator.commitment.check() is None
    assert (await world.stored()).graph(ZONE).revocations.covering(mandate) is not None
    assert (await kill(world, session, edge)).status_code in {404, 409}


@pytest.mark.parametrize(("kill", "_status"), KILLS)
async def test_what_a_kill_owes_is_completed_by_the_next_sweep(
    world: World, kill: Kill, _status: int
) -> None:
    giver, session = await world.session(), await world.session()
    edge = await world.delegation(giver, session)
    world.store.fails = "before"
    await kill(world, session, edge)
    with pytest.raises(Unavailable):
        await world.coordinator.sweeper.sweep_once()
    await heal(world)
    assert rows(await world.stored()) == rows(world.graphs)
    kinds = [kind for kind, *_ in await world.acts()]
    assert len([kind for kind in kinds if not kind.endswith(("start", "create"))]) == 1


async def test_what_was_recorded_is_not_recorded_again(world: World) -> None:
    session = await world.session()
    world.log.fails = world.store.fails = "before"
    assert (await end(world, session, "")).status_code == 503
    world.log.fails = ""
    assert (await end(world, session, "")).status_code == 503
    mend(world)
    assert (await end(world, session, "")).status_code == 204
    assert [kind for kind, *_ in await world.acts(session=session)] == [
        "session.start",
        "session.end",
    ]


async def test_a_suspension_stored_late_does_not_revoke_what_has_resumed(world: World) -> None:
    session = await world.session()
    world.log.gate = asyncio.Event()
    suspending = asyncio.create_task(suspend(world, session, ""))
    await until(lambda: world.graph.session(session).status == "suspended")
    resuming = asyncio.create_task(world.ask("PATCH", f"/agents/{session}/resume"))
    await until(lambda: world.graph.session(session).status == "active")
    world.store.fails_next = 1
    world.log.gate.set()
    assert [(await one).status_code for one in (suspending, resuming)] == [503, 200]
    await heal(world)
    assert rows(await world.stored()) == rows(world.graphs)
    assert rows(world.graphs)[2] == set()


async def test_a_resumption_taken_back_keeps_why_it_was_suspended(world: World) -> None:
    service = await world.session(lifecycle="service")
    world.clock.move(seconds=120)
    await world.coordinator.sweeper.sweep_once()
    world.log.fails = "before"
    await world.ask("PATCH", f"/agents/{service}/resume")
    assert world.graph.session(service).end_reason == "service_heartbeat_lost"


async def test_a_revocation_of_an_application_is_owed_like_any_kill(world: World) -> None:
    gone = Revocation(AnchorKind.APPLICATION, "app-1", world.clock.now(), "removed")
    entry = Entry(format=1, kind=Kind.SESSION_END, zone=ZONE, at=0, request="r", target="app-1")
    world.store.fails = "before"
    with pytest.raises(Unavailable):
        await world.coordinator.commitment.take(ZONE, GraphChange(revocations=(gone,)), entry)
    assert (await world.ask("GET", "/agents")).json()["error"] == "identity_revoked"
    await heal(world)
    assert (await world.stored()).revocation(world.mandate()) == gone


async def test_lists_show_a_kill_that_is_not_stored_yet(world: World) -> None:
    giver, session = await world.session(), await world.session()
    await world.delegation(giver, session)
    world.store.fails = "before"
    await world.ask("DELETE", f"/agents/{session}")
    page = (await world.ask("GET", "/agents")).json()["items"]
    states = {item["agent_session_id"]: item["status"] for item in page}
    assert states == {giver: "active", session: "terminated"}
    active = (await world.ask("GET", "/agents?status=active")).json()["items"]
    assert [item["agent_session_id"] for item in active] == [giver]
    assert (await world.ask("GET", "/delegations/active")).json()["items"] == []


async def test_another_application_does_not_complete_a_kill(world: World) -> None:
    session = await world.session()
    world.store.fails = "before"
    await world.ask("DELETE", f"/agents/{session}")
    mend(world)
    theirs = await world.ask("DELETE", f"/agents/{session}", token=world.bearer("app-2"))
    assert theirs.status_code == 404
    assert world.coordinator.commitment.check() is not None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/agents", {"application_id": "app-1"}),
        ("POST", "/delegations", None),
        ("PATCH", "/agents/{suspended}/resume", None),
        ("POST", "/agents/{service}/lease", None),
    ],
)
async def test_while_a_kill_waits_to_be_stored_no_authority_is_given(
    world: World, method: str, path: str, body: Any
) -> None:
    suspended, other = await world.session(), await world.session()
    service = await world.session(lifecycle="service")
    await world.ask("PATCH", f"/agents/{suspended}/suspend")
    world.store.fails = "before"
    await world.ask("DELETE", f"/agents/{other}")
    mend(world)
    before = rows(world.graphs)
    target = path.format(suspended=suspended, service=service)
    answer = await world.ask(
        method, target, delegation_body(service, other) if path == "/delegations" else body
    )
    assert answer.status_code == 503
    assert rows(world.graphs) == before
    assert (
        await world.ask("DELETE", f"/agents/{service}", {"lease_generation": 1})
    ).status_code == 204


async def test_a_kill_while_others_wait_is_recorded_and_stored(world: World) -> None:
    first, second = await world.session(), await world.session()
    world.store.fails = "before"
    assert (await world.ask("DELETE", f"/agents/{first}")).status_code == 503
    assert (await world.ask("DELETE", f"/agents/{second}")).status_code == 503
    assert world.coordinator.commitment.check() == "2 changes wait to be stored"
    await heal(world)
    assert rows(await world.stored()) == rows(world.graphs)


@pytest.mark.parametrize("step", ["lease", "heartbeat"])
async def test_a_lease_that_could_not_be_stored_keeps_its_old_holder_out(
    world: World, step: str
) -> None:
    service = await world.session(lifecycle="service")
    world.store.fails = "before"
    body = {"lease_generation": 1} if step == "heartbeat" else None
    assert (await world.ask("POST", f"/agents/{service}/{step}", body)).status_code == 503
    await heal(world)
    answer = await world.ask("POST", f"/agents/{service}/heartbeat", {"lease_generation": 1})
    assert answer.status_code == (409 if step == "lease" else 200)
    assert rows(await world.stored()) == rows(world.graphs)


async def test_a_refusal_that_can_not_be_recorded_is_no_answer(world: World) -> None:
    world.log.fails = "before"
    answer = await world.ask("DELETE", "/agents/nobody")
    assert (answer.status_code, answer.json()["error"]) == (503, "audit_unavailable")


async def test_a_kill_is_in_force_before_it_is_recorded(world: World) -> None:
    session = await world.session()
    world.log.gate = asyncio.Event()
    killing = asyncio.create_task(world.ask("DELETE", f"/agents/{session}"))
    await until(lambda: world.graph.session(session) is None)
    assert world.graphs.revocation(world.mandate(session_path=(session,))) is not None
    assert not killing.done()
    world.log.gate.set()
    assert (await killing).status_code == 204


async def test_a_request_that_takes_too_long_is_still_finished(tmp_path) -> None:
    settings = CoordinatorSettings(ISSUER)
    object.__setattr__(settings, "request_timeout", settings.sweep_interval / 50)
    async with opened(tmp_path, settings) as world:
        world.log.gate = asyncio.Event()
        body = {"application_id": "app-1"}
        headers = {"idempotency-key": "k"}
        late = await world.ask("POST", "/agents", body, headers=headers)
        assert late.status_code == 503
        again = asyncio.create_task(world.ask("POST", "/agents", body, headers=headers))
        world.log.gate.set()
        await world.coordinator.acts.drain()
        await again
        assert len(world.graph._index.sessions) == 1


async def test_an_act_that_nobody_waits_for_fails_quietly(world: World) -> None:
    world.log.gate = asyncio.Event()
    starting = asyncio.create_task(world.ask("POST", "/agents", {"application_id": "app-1"}))
    await until(lambda: bool(world.coordinator.acts._running))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    world.log.fails = "before"
    world.log.gate.set()
    await world.coordinator.acts.drain()
    assert world.graph._index.sessions == {}


async def test_a_child_started_while_its_parent_is_killed_is_dead(world: World) -> None:
    parent = await world.session()
    world.log.gate = asyncio.Event()
    body = {"application_id": "app-1", "parent_id": parent}
    starting = asyncio.create_task(world.ask("POST", "/agents", body))
    await until(lambda: bool(world.graph.children(parent)))
    killing = asyncio.create_task(world.ask("DELETE", f"/agents/{parent}"))
    await until(lambda: world.graph.session(parent) is None)
    world.log.gate.set()
    await asyncio.gather(starting, killing)
    assert rows(world.graphs)[0] == rows(await world.stored())[0] == {}


async def test_closing_waits_for_what_was_begun(world: World) -> None:
    world.log.gate = asyncio.Event()
    starting = asyncio.create_task(world.ask("POST", "/agents", {"application_id": "app-1"}))
    await until(lambda: bool(world.coordinator.acts._running))
    closing = asyncio.create_task(world.coordinator.close())
    starting.cancel()
    world.log.gate.set()
    await closing
    assert len(rows(await world.stored())[0]) == 1


async def test_a_change_that_can_never_be_stored_lets_the_others_pass(world: World) -> None:
    first, second = await world.session(), await world.session()
    world.store.fails = "before"
    for session in (first, second):
        await world.ask("DELETE", f"/agents/{session}")
    mend(world)
    owed = world.coordinator.commitment._owed
    owed[0].zone_id = "zone-of-nobody"
    with pytest.raises(Unavailable):
        await world.coordinator.commitment.settle()
    assert [one.row for one in owed] == [first]
