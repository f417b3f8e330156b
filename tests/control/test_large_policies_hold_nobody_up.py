"""A large policy is compiled beside the event loop, and there is a limit to it."""

import asyncio
from dataclasses import replace

import pytest

from caracal_server.control.acts import Act
from caracal_server.control.document_rules import parse_document
from caracal_server.control.publication import Publication
from tests.control.world import document

MANY_TURNS = 1_000


def _rules(count):
    return "\n".join(
        f'@id("rule-{n}")\npermit (principal == Application::"orders-agent", action, resource);'
        for n in range(count)
    )


@pytest.mark.parametrize("query", ["?plan=true", ""])
async def test_the_event_loop_goes_on_while_a_large_policy_compiles(world, query):
    asked = asyncio.create_task(world.put(document(policy=_rules(2000)), query))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert asked.result().status_code == 200, asked.result().text
    # Without a compilation a request takes a few dozen turns of the loop, and while one lasts thousands.
    assert turns > MANY_TURNS


async def test_what_was_compiled_is_put_into_effect_without_being_read_again(world):
    class Unreadable:
        """Puts into effect only what needs no compiling any more."""

        def install(self, record):
            world.directory.install(
                replace(record, policy=replace(record.policy, text="no policy at all"))
            )

    publication = Publication(world.zones, world.directory, (Unreadable(),))
    apply = replace(world.control.apply, publication=publication)
    applied = await apply(parse_document(document()), Act("someone", "r-1"))
    assert world.directory.zone(applied.zone_id).policy.policy_ids == ("reads",)


@pytest.mark.parametrize("query", ["?plan=true", ""])
async def test_too_many_policies_are_refused(world, query):
    answer = await world.put(document(policy=_rules(2001)), query)
    assert (answer.status_code, answer.json()["reason"]) == (422, "zone_file_invalid")
    (issue,) = answer.json()["issues"]
    assert issue["path"] == ["policy"]
    assert issue["message"].startswith("has 2001 policies; at most 2000 are allowed")
    assert await world.zones.load_all() == ()


async def test_a_plan_that_nobody_waits_for_any_more_does_not_block_the_next(world):
    given_up = asyncio.create_task(world.put(document(policy=_rules(500)), "?plan=true"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await world.put(document(), "?plan=true")).status_code == 200
