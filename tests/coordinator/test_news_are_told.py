"""Whoever follows is told everything in order, and that it is everything only where it is."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from starlette.requests import Request

from caracal.authority.graph import GraphChange
from caracal.authority.outcomes import Reason, Unavailable
from caracal.authority.sessions import Status
from caracal.wire.revocation_feed import Alive, EventReader, Told
from caracal_server.coordinator.news import PAGE, NewsDesk
from caracal_server.coordinator.news_http import NewsRoutes, Places
from caracal_server.web.problems import RequestRefused
from tests.contracts.test_graph_store import session_of
from tests.coordinator.world import NOON, ZONE, World, until


class Shelf:
    """A store that can be read, or can not."""

    def __init__(self, store):
        self.store = store
        self.fails = False
        self.reads = []

    async def news(self, after, limit):
        self.reads.append(after)
        if self.fails:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "made to fail")
        return await self.store.news(after, limit)


@pytest.fixture
def shelf(world: World):
    return Shelf(world.store)


def a_desk(world, shelf, **more):
    return NewsDesk(shelf, world.clock, world.coordinator.commitment.check, **more)


async def end(world, *sessions):
    for session in sessions:
        assert (await world.ask("DELETE", f"/agents/{session}")).status_code == 204


async def some(world, count):
    """Sessions that have ended, in order."""
    sessions = [await world.session() for _ in range(count)]
    await end(world, *sessions)
    return sessions


async def heard(desk, after=0, batches=1):
    found = []
    async with contextlib.aclosing(desk.follow(after)) as following:
        async for batch in following:
            found.append(batch)
            if len(found) == batches:
                break
    return found


async def test_a_kill_is_told_in_order_and_then_that_it_is_all(world, shelf):
    sessions = await some(world, 3)
    desk = a_desk(world, shelf)
    [nothing] = await heard(desk)
    assert (nothing.rows, nothing.alive) == ((), None)
    await desk.look()
    [batch] = await heard(desk)
    assert [row.news.anchor for row in batch.rows] == sessions
    assert batch.alive == Alive(
        world.clock.now_us(), batch.rows[0].position, batch.rows[-1].position
    )
    assert batch.place == batch.rows[-1].position
    [rest] = await heard(desk, after=batch.rows[0].position)
    assert rest.rows == batch.rows[1:]


async def test_what_is_not_in_memory_any_more_is_read_from_the_store(world, shelf):
    sessions = await some(world, 5)
    desk = a_desk(world, shelf, remembered=2)
    await desk.look()
    [whole] = await heard(desk)
    assert [row.news.anchor for row in whole.rows] == sessions
    reads = len(shelf.reads)
    [recent] = await heard(desk, after=whole.rows[2].position)
    assert [row.news.anchor for row in recent.rows] == sessions[3:]
    assert len(shelf.reads) == reads, "from memory"
    later = await some(world, 1)
    await desk.look()
    [new] = await heard(desk, after=whole.place)
    assert [row.news.anchor for row in new.rows] == later


async def test_nobody_is_told_that_it_is_all_while_a_change_waits_to_be_stored(world, shelf):
    session = await world.session()
    desk = a_desk(world, shelf)
    world.store.fails = "before"
    assert (await world.ask("DELETE", f"/agents/{session}")).status_code == 503
    await desk.look()
    [batch] = await heard(desk)
    assert (batch.rows, batch.alive) == ((), None)
    world.store.fails = ""
    await world.coordinator.commitment.settle()
    await desk.look()
    [batch] = await heard(desk)
    assert [row.news.anchor for row in batch.rows] == [session]
    assert batch.alive is not None


async def test_what_was_long_ago_does_not_matter_any_more(world, shelf):
    await some(world, 1)
    desk = a_desk(world, shelf)
    world.clock.move(hours=2)
    await desk.look()
    [batch] = await heard(desk)
    assert batch.alive.oldest == 0
    await some(world, 1)
    await desk.look()
    [batch] = await heard(desk)
    assert batch.rows[0].position < batch.alive.oldest <= batch.rows[1].position


async def test_more_than_a_page_is_told_page_by_page(world, shelf):
    changes = {"status": Status.TERMINATED, "ended_at": NOON, "version": 2}
    rows = tuple(session_of(ZONE, number, **changes) for number in range(PAGE + 3))
    await world.store.save(ZONE, GraphChange(rows))
    desk = a_desk(world, shelf)
    await desk.look()
    first, second = await heard(desk, batches=2)
    assert len(first.rows) == PAGE
    assert first.alive is None, "there is more"
    assert second.alive is not None
    assert [row.news.anchor for row in (*first.rows, *second.rows)] == [row.id for row in rows]


async def test_a_running_desk_tells_at_once_and_stops_saying_that_it_lives_without_its_store(
    world, shelf
):
    desk = world.coordinator.desk
    running = asyncio.create_task(desk.run())
    told = []

    async def follow():
        async for batch in desk.follow(0):
            told.append(batch)  # noqa: PERF401 (looked at meanwhile)

    following = asyncio.create_task(follow())
    await until(lambda: any(batch.alive for batch in told))
    [session] = await some(world, 1)
    await until(lambda: any(row.news.anchor == session for batch in told for row in batch.rows))
    running.cancel()
    desk.close()
    await asyncio.wait((following, running))
    assert following.exception() is None
    assert desk.closed

    broken = a_desk(world, shelf)
    shelf.fails = True
    running = asyncio.create_task(broken.run())
    await until(lambda: shelf.reads)
    [batch] = await heard(broken)
    assert batch.alive is None
    shelf.fails = False
    broken.stored()
    await until(lambda: broken._alive is not None)
    shelf.store = None  # A fault that nobody thought of.
    broken.stored()
    await until(lambda: broken._alive is None)
    running.cancel()
    await asyncio.wait((running,))


def a_request(world, token, last=""):
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if last:
        headers.append((b"last-event-id", last.encode()))
    return Request({"type": "http", "method": "GET", "headers": headers, "path": "/"})


@pytest.fixture
def routes(world: World, shelf):
    desk = a_desk(world, shelf)
    return NewsRoutes(desk, world.authentication(), world.clock, Places(2, 1), send_seconds=0.05)


async def test_a_listener_is_told_of_its_zone_until_its_mandate_ends(world, routes):
    [session] = await some(world, 1)
    await routes.desk.look()
    request = a_request(world, world.bearer())
    messages = routes.messages(request, ZONE, 0)
    reader = EventReader()
    told, alive = reader.feed(await anext(messages))
    assert isinstance(told, Told)
    assert told.numbered.news.anchor == session
    assert isinstance(alive, Alive)
    world.clock.move(seconds=10)
    await routes.desk.look()
    [alive] = reader.feed(await anext(messages))
    assert alive.position == told.position
    world.clock.instant += timedelta(minutes=20)
    await routes.desk.look()
    with pytest.raises(RequestRefused):
        await anext(messages)


async def test_a_listener_that_does_not_read_is_cut_and_its_place_is_free_again(world, routes):
    await routes.desk.look()
    answer = await routes.follow(a_request(world, world.bearer()), ZONE)
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            assert routes.places.count == 1
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await answer({}, receive, send)
    assert len(sent) == 2
    assert routes.places.count == 0


async def test_a_listener_that_goes_away_frees_its_place(world, routes):
    await routes.desk.look()
    answer = await routes.follow(a_request(world, world.bearer()), ZONE)
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body"):
            gone.set()

    await answer({}, receive, send)
    assert routes.places.count == 0


async def test_places_are_bounded_in_all_and_for_each_caller(world, routes):
    with routes.places.taken("one"):
        with pytest.raises(RequestRefused):
            routes.places.require("one")
        with routes.places.taken("two"), pytest.raises(RequestRefused):
            routes.places.require("three")
    assert routes.places.count == 0


async def test_a_desk_that_closed_takes_nobody_in(world, routes):
    routes.desk.close()
    with pytest.raises(Unavailable):
        await routes.follow(a_request(world, world.bearer()), ZONE)
    messages = routes.messages(a_request(world, world.bearer()), ZONE, 0)
    assert [message async for message in messages] == []
