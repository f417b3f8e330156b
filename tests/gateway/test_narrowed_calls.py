"""Calls by chains that holders closed: how long they run, and what they leave behind once they are over."""

import asyncio
from datetime import timedelta
from itertools import count

from caracal.authority.mandates import Bound
from caracal.authority.narrowing import Link
from caracal.authority.scopes import ScopeSet
from caracal.tokens.holders import HolderKey
from caracal.tokens.links import sign_link
from caracal_server.web.refusals import PER_SECOND
from tests.adapters_http.raw_upstream import answering, ok
from tests.gateway.raw_client import caller_of, request
from tests.gateway.test_streams import Told
from tests.gateway.world import World, gateway
from tests.support.zone import ORDERS

PARENT, CHILD = HolderKey.generate(), HolderKey.generate()
NUMBERS = count()
AT_ONCE = {"minimum_remaining": timedelta()}


def closed(world: World, root: str, **changes) -> str:
    """A chain for one more call: the root, handed on to the child, and closed by it."""
    now = world.zone.clock.now()
    values = {
        "scopes": ScopeSet.of("read"),
        "resources": (ORDERS,),
        "issued_at": now,
        "expires_at": now + timedelta(seconds=100),
    } | changes
    parts = [root.encode()]
    steps = ((Bound(CHILD.holder, 0), PARENT), (None, CHILD))
    for bound, key in steps:
        link = Link(f"a{next(NUMBERS)}", bound=bound, **values)
        parts.append(sign_link(parts[-1], link, key))
    return b"~".join(parts).decode()


def root_of(world: World) -> str:
    return world.token(bound=Bound(PARENT.holder, 1))


def ending_in(world: World, milliseconds: int) -> str:
    """A chain that ends so soon, by a clock that stands still."""
    clock = world.zone.clock
    clock.instant = clock.instant.replace(microsecond=1_000_000 - milliseconds * 1_000)
    end = clock.now().replace(microsecond=0) + timedelta(seconds=1)
    return closed(world, root_of(world), expires_at=end)


async def test_a_stream_ends_with_what_holders_left_of_the_mandate():
    told = Told()
    async with gateway(told, settings=AT_ONCE) as world, caller_of(world) as caller:
        await caller.say(request(world, token=ending_in(world, 800)))
        assert (await caller.head())[0] == 200
        await caller.cut()
        await asyncio.wait_for(told.left.wait(), 5)
        _, result = world.pair()
        assert (result.reason, result.error) == ("mandate_expired", "given_up")


async def test_so_does_a_call_whose_upstream_has_not_answered():
    told = Told(head=b"")
    async with gateway(told, settings=AT_ONCE) as world, caller_of(world) as caller:
        await caller.say(request(world, token=ending_in(world, 50)))
        status, _, body = await caller.response()
        assert status == 401
        assert b"mandate_expired" in body
        await asyncio.wait_for(told.left.wait(), 5)


async def test_what_was_narrowed_from_an_ended_session_fills_neither_memory_nor_the_log():
    """A chain costs its holder one signature, and asks nobody."""
    async with gateway(answering(ok(b""))) as world:
        root = root_of(world)
        assert (await world.call(headers=world.headers(closed(world, root)))).status == 200
        spent = len(world.app.enforcement.single_use)
        world.zone.end(world.session)
        recorded = len(world.decisions)
        for _ in range(PER_SECOND + 5):
            answer = await world.call(headers=world.headers(closed(world, root)))
            assert answer.error == (401, "invalid_token", "mandate_revoked")
        assert len(world.app.enforcement.single_use) == spent
        assert len(world.decisions) == recorded + PER_SECOND
