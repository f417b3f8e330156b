"""Many acts at once, the log and the store failing now and then: what is stored is what is live."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from caracal.authority.sessions import Status
from tests.coordinator.world import World, delegation_body, opened, rows

FAULTS = ("", "", "before", "after")


async def act(world: World, dice: random.Random) -> httpx.Response:
    """One act on whatever is there, by its owner."""
    sessions = list(world.graph._index.sessions)
    edges = list(world.graph._index.delegations)
    one, other = (dice.choice(sessions), dice.choice(sessions)) if sessions else ("no", "no")
    edge = dice.choice(edges) if edges else "no"
    start = {"application_id": "app-1"}
    kinds: list[tuple[str, str, Any]] = [
        ("POST", "/agents", start),
        ("POST", "/agents", start | {"parent_id": one}),
        ("POST", "/agents", start | {"lifecycle": "service"}),
        ("POST", "/delegations", delegation_body(one, other, constraints={"max_hops": 5})),
        ("PATCH", f"/agents/{one}/suspend", None),
        ("PATCH", f"/agents/{one}/resume", None),
        ("POST", f"/agents/{one}/lease", None),
        ("DELETE", f"/agents/{one}", {"lease_generation": 1}),
        ("PATCH", f"/delegations/{edge}/revoke", None),
    ]
    method, path, body = dice.choice(kinds)
    return await world.ask(method, path, body)


@pytest.mark.parametrize("seed", range(5))
async def test_memory_and_store_agree_once_the_faults_are_over(tmp_path, seed: int) -> None:
    dice = random.Random(seed)
    async with opened(tmp_path) as world:
        for _ in range(10):
            for _ in range(3):
                await world.client.post(
                    "/zones/zone-1/agents",
                    json={"application_id": "app-1"},
                    headers={"authorization": f"Bearer {world.bearer()}"},
                )
            world.log.fails, world.store.fails = dice.choice(FAULTS), dice.choice(FAULTS)
            crowd = [asyncio.create_task(act(world, dice)) for _ in range(8)]
            await asyncio.sleep(0)
            world.log.fails, world.store.fails = dice.choice(FAULTS), dice.choice(FAULTS)
            answers = await asyncio.gather(*crowd)
            assert {answer.status_code for answer in answers} <= {
                200, 201, 204, 400, 403, 404, 409, 503,
            }  # fmt: skip
            world.log.fails = world.store.fails = ""
            await world.coordinator.sweeper.sweep_once()
            live, stored = rows(world.graphs), rows(await world.stored())
            assert stored[0] == live[0]
            assert stored[1] == live[1]
            for row in stored[0].values():
                covered = ("session", row.id) in stored[2]
                assert not covered or row.status is Status.SUSPENDED
