"""The sweeper, restarts, and kills as every other service sees them."""

import asyncio

import pytest

from caracal.authority.revocation import RETENTION
from tests.coordinator.world import ZONE, CountingIds, World, opened, rows, until


async def test_a_task_whose_ttl_has_passed_ends_with_all_below_it(world: World) -> None:
    task = await world.session(ttl_seconds=60)
    child = await world.session(parent_id=task)
    other = await world.session()
    world.clock.move(seconds=59)
    assert await world.coordinator.sweeper.sweep_once() == 0
    world.clock.move(seconds=1)
    assert await world.coordinator.sweeper.sweep_once() == 2
    assert set(world.graph._index.sessions) == {other}
    items = (await world.ask("GET", "/agents")).json()["items"]
    ended = {
        item["agent_session_id"]: (item["status"], item["termination_reason"]) for item in items
    }
    assert ended[task] == ("expired", "ttl")
    assert ended[child][0] in {"terminated", "expired"}
    acts = await world.acts(session=task)
    assert acts[-1] == ("session.end", "allow", "ttl")
    entry = (await world.entries(session=task))[-1]
    assert (entry.application, entry.subject, entry.actor) == ("app-1", "", "")
    assert entry.request
    assert rows(await world.stored()) == rows(world.graphs)


async def test_a_service_whose_lease_has_lapsed_is_suspended_and_can_resume(world: World) -> None:
    service = await world.session(lifecycle="service")
    world.clock.move(seconds=120)
    assert await world.coordinator.sweeper.sweep_once() == 1
    item = (await world.ask("GET", f"/agents/{service}")).json()
    assert (item["status"], item["termination_reason"]) == ("suspended", "service_heartbeat_lost")
    assert (await world.acts(session=service))[-1] == (
        "session.suspend",
        "allow",
        "service_heartbeat_lost",
    )
    resumed = await world.ask("PATCH", f"/agents/{service}/resume")
    assert resumed.json() == {"resumed": 1}
    beat = await world.ask("POST", f"/agents/{service}/heartbeat", {"lease_generation": 1})
    assert beat.status_code == 200


async def test_revocations_and_receipts_are_forgotten_in_time(world: World) -> None:
    session = await world.session()
    await world.ask(
        "POST", "/agents", {"application_id": "app-1"}, headers={"idempotency-key": "k"}
    )
    await world.ask("DELETE", f"/agents/{session}")
    world.clock.move(seconds=RETENTION.total_seconds() + 1)
    await world.coordinator.sweeper.sweep_once()
    assert len(world.graph.revocations) <= 1  # the other session has just expired
    world.clock.move(days=8)
    await world.coordinator.sweeper.sweep_once()
    assert len(world.graph.revocations) == 0
    assert await world.store.receipt_count(ZONE, "app-1", now=world.clock.now()) == 0
    counts = await world.store._store._database.read(
        lambda connection: [
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("idempotency_receipt", "revocation")
        ]
    )
    assert counts == [0, 0]


async def test_the_sweeper_goes_on_after_a_sweep_that_failed(world: World) -> None:
    sweeping = asyncio.create_task(world.coordinator.sweeper.run())
    task = await world.session(ttl_seconds=1)
    world.log.fails = "before"
    world.clock.move(seconds=1)
    await until(lambda: world.coordinator.commitment.check() is not None)
    assert world.graph.session(task) is None
    world.log.fails = ""
    await until(lambda: world.coordinator.commitment.check() is None)
    assert not sweeping.done()
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


async def test_the_sweeper_survives_what_nobody_foresaw(world: World) -> None:
    pruned: list[None] = []

    async def drop_expired(**_: object) -> int:
        pruned.append(None)
        raise LookupError("nobody foresaw this")

    world.store.drop_expired = drop_expired  # type: ignore[attr-defined]  # a store that is broken
    sweeping = asyncio.create_task(world.coordinator.sweeper.run())
    await until(lambda: len(pruned) > 1)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


async def test_a_kill_reaches_every_holder_at_once(world: World) -> None:
    woken: list[None] = []
    world.graphs.subscribe(ZONE, lambda: woken.append(None))
    a, b, c = [await world.session() for _ in range(3)]
    child = await world.session(parent_id=a)
    await world.delegation(a, b, constraints={"max_hops": 2})
    await world.delegation(b, c)
    held = {
        row: world.graph.authority(
            application_id="app-1",
            session_id=row,
            delegation_id=next((d.id for d in world.graph.inbound(row, world.clock.now())), None),
            now=world.clock.now(),
        )
        for row in (a, b, c, child)
    }
    assert not woken
    await world.ask("DELETE", f"/agents/{a}")
    assert woken
    for row in (a, b, c, child):
        authority = held[row]
        mandate = world.mandate(
            session_path=authority.session_path,
            delegation_path=authority.delegation.path if authority.delegation else (),
            chain=authority.chain,
        )
        assert world.graphs.revocation(mandate) is not None, row
    assert world.graphs.session(ZONE, a) is None
    assert world.graphs.session(ZONE, b) is not None


async def test_a_restart_finds_what_was_live(tmp_path) -> None:
    ids = CountingIds()
    async with opened(tmp_path, ids=ids) as world:
        roots = [await world.session() for _ in range(4)]
        service = await world.session(lifecycle="service")
        child = await world.session(parent_id=roots[1])
        edge = await world.delegation(roots[0], roots[1], constraints={"max_hops": 4})
        await world.delegation(roots[1], roots[2])
        await world.session(parent_id=roots[1])
        await world.ask("PATCH", f"/agents/{child}/suspend")
        await world.ask("POST", f"/agents/{service}/lease")
        await world.ask("DELETE", f"/agents/{roots[3]}")
        dropped = await world.delegation(roots[0], service)
        await world.ask("PATCH", f"/delegations/{dropped}/revoke")
        before, epoch = rows(world.graphs), world.graph.epoch
    async with opened(tmp_path, ids=ids) as again:
        assert rows(again.graphs)[0] == before[0]
        assert rows(again.graphs)[1] == before[1]
        assert rows(again.graphs)[2] == before[2]
        assert again.graph.epoch == epoch
        revoked = await again.ask("PATCH", f"/delegations/{edge}/revoke")
        assert revoked.json()["terminated_sessions"] == 4


async def test_other_zones_live_their_own_lives(world: World) -> None:
    await world.session()
    assert world.graphs.graph("zone-2")._index.sessions == {}
    world.clock.move(hours=2)
    assert await world.coordinator.sweeper.sweep_once() == 1
