"""Publishing to a real Valkey: from where the streams end, in order, and never ahead of what is there."""

import asyncio
import os

import pytest
from redis import Redis

from caracal.authority.news import Happened, News, Numbered, Why
from caracal.tokens.secret import Secret
from caracal.wire.revocation_feed import Alive, Told, alive_fields
from caracal.wire.revocation_streams import EVERYTHING, SESSIONS, entries_of, signed
from caracal_server.adapters.valkey import ValkeyStreams
from caracal_server.coordinator.publishing import LATE_SECONDS, StreamPublisher
from caracal_server.ports.streams import StreamsCut, StreamsUnavailable
from tests.coordinator.test_news_are_told import a_desk, some
from tests.coordinator.world import World, until
from tests.support.valkey import running_valkey

KEY = os.urandom(32)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def valkey(server):
    with Redis(port=server.port, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
async def streams(server, valkey):
    found = ValkeyStreams.connect(Secret(server.url), KEY, ca_file=None)
    yield found
    await found.close()


def entries(position, after=0):
    news = News("zone", Happened.SESSION_ENDED, f"s{position}", Why.REQUESTED)
    return list(entries_of(Told(Numbered(position, news), after), KEY))


async def test_the_place_is_that_of_the_last_entry_of_ours(streams, valkey):
    assert await streams.position() == 0
    last = await streams.add(entries(7), last=None, matters_from=0)
    await streams.add(entries(9, 7), last=last, matters_from=0)
    assert await streams.position() == 9
    valkey.xadd(EVERYTHING, {"event": "alive", "position": "99"})
    valkey.xadd(EVERYTHING, signed(EVERYTHING, {"event": "alive"}, KEY).fields)
    valkey.xadd(EVERYTHING, signed(EVERYTHING, {"event": "later"}, KEY).fields)
    valkey.xadd(EVERYTHING, signed(EVERYTHING, alive_fields(Alive(1, 1, 12)), KEY[::-1]).fields)
    assert await streams.position() == 9, "others may write there, but not sign"
    valkey.xadd(EVERYTHING, entries(7)[-1].fields)
    assert await streams.position() == 9, "an old entry that is added again sets nothing back"


async def test_what_was_there_and_is_gone_is_noticed(streams, valkey):
    last = await streams.add(entries(7), last=None, matters_from=0)
    valkey.delete(EVERYTHING)
    with pytest.raises(StreamsCut):
        await streams.add(entries(8), last=last, matters_from=0)
    valkey.set(SESSIONS, "no stream")
    with pytest.raises(StreamsUnavailable, match="ResponseError"):
        await streams.add(entries(8), last=None, matters_from=0)


async def test_what_does_not_matter_any_more_is_dropped(streams, valkey):
    for number in range(1_000):
        valkey.xadd(EVERYTHING, {"n": "1"}, id=f"{number + 1}-0")
    await streams.add(entries(7), last=None, matters_from=10**18)
    assert valkey.xlen(EVERYTHING) < 1_000


@pytest.fixture
async def publisher(world: World, streams):
    desk = a_desk(world, world.store)
    await desk.look()
    yield StreamPublisher(desk, streams, world.clock, KEY)
    desk.close()


async def test_it_says_how_far_behind_it_is(world, publisher, valkey):
    assert publisher.check() is None
    world.clock.move(seconds=LATE_SECONDS + 1)
    assert publisher.check() == "11 s behind: nothing was published yet"
    running = asyncio.create_task(publisher.run())
    await publisher._desk.look()
    await until(lambda: publisher.check() is None)
    running.cancel()
    await asyncio.wait((running,))


async def test_it_goes_on_from_where_the_streams_end_and_from_the_start_where_they_were_cut(
    world, publisher, valkey
):
    sessions = await some(world, 3)
    desk = publisher._desk
    await desk.look()
    running = asyncio.create_task(publisher.run())

    def named():
        return [fields["agent_session_id"] for _, fields in valkey.xrange(SESSIONS)]

    await until(lambda: named() == sessions)
    running.cancel()
    await asyncio.wait((running,))
    again = StreamPublisher(desk, publisher._streams, world.clock, KEY)
    running = asyncio.create_task(again.run())
    later = await some(world, 1)
    await desk.look()
    await until(lambda: named() == sessions + later)
    await until(lambda: again.published == 1)
    valkey.delete(EVERYTHING)
    await desk.look()
    await until(lambda: len(named()) > 4, seconds=10)
    await until(lambda: again.check() is None and not again._anew)
    told = [fields["id"] for _, fields in valkey.xrange(EVERYTHING) if "id" in fields]
    assert told == sessions + later
    running.cancel()
    await asyncio.wait((running,))
