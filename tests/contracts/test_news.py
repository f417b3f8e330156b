"""What a `NewsStore` promises: in order, with the change, once, and kept while it matters."""

import asyncio
from datetime import timedelta

import pytest

from caracal.authority.delegation import DelegationStatus
from caracal.authority.graph import GraphChange
from caracal.authority.news import Happened, Why
from caracal.authority.revocation import RETENTION, AnchorKind, Revocation
from caracal.authority.sessions import Status
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.adapters.sql.instants import to_us
from tests.contracts.test_graph_store import AT, delegation_of, session_of


@pytest.fixture
def store(database):
    return SqlGraphStore(database)


@pytest.fixture
async def begun(store):
    """Where the news of other tests end."""
    return (await store.news(0, 1)).newest


def ended(zone_id, number, version=2, **changes):
    given = {"status": Status.TERMINATED, "ended_at": AT, "end_reason": "requested"} | changes
    return session_of(zone_id, number, version=version, **given)


def suspended(zone_id, number):
    row = session_of(zone_id, number, status=Status.SUSPENDED, end_reason="requested", version=2)
    anchor = Revocation(AnchorKind.SESSION, row.id, AT, "requested")
    return GraphChange((row,), revocations=(anchor,))


async def told(store, after, zone_id):
    page = await store.news(after, 1_000)
    return [one for one in page.rows if one.news.zone_id == zone_id]


async def test_news_come_with_what_they_tell_of_and_only_once(store, zone_id, begun):
    row = ended(zone_id, 0)
    fell = delegation_of(zone_id, 1, status=DelegationStatus.REVOKED, revoked_at=AT, version=2)
    change = GraphChange((row,), (fell,), epoch=7)
    await store.save(zone_id, change)
    await store.save(zone_id, change)

    first, second = await told(store, begun, zone_id)
    assert (first.news.what, first.news.anchor) == (Happened.SESSION_ENDED, row.id)
    assert first.position >= to_us(AT)
    assert (second.news.anchor, second.news.epoch) == (fell.id, 7)
    assert (second.news.source, second.news.target) == (fell.source, fell.target)
    assert first.position < second.position
    page = await store.news(first.position, 1)
    assert page.rows == (second,)
    assert (await store.news(second.position, 1)).newest == second.position


async def test_a_suspension_that_is_stored_after_the_resumption_is_no_news(store, zone_id, begun):
    resumed = session_of(zone_id, 0, version=3)
    lifted = GraphChange((resumed,), lifted=((AnchorKind.SESSION, resumed.id),))
    await store.save(zone_id, lifted)
    await store.save(zone_id, suspended(zone_id, 0))

    [one] = await told(store, begun, zone_id)
    assert one.news.what is Happened.SESSION_RESUMED


async def test_an_application_that_leaves_takes_its_live_sessions_along(store, zone_id, begun):
    done, live = ended(zone_id, 0), session_of(zone_id, 1)
    await store.save(zone_id, GraphChange((done, live)))
    gone = Revocation(AnchorKind.APPLICATION, live.application_id, AT, "application_removed")
    await store.save(zone_id, GraphChange(revocations=(gone,)))

    found = await told(store, begun, zone_id)
    assert [(one.news.what.value, one.news.anchor) for one in found[1:]] == [
        ("application_removed", live.application_id),
        ("session_ended", live.id),
    ]
    assert found[-1].news.why is Why.APPLICATION_REMOVED


async def test_whoever_reads_while_others_write_misses_nothing(store, zone_id, begun):
    async def end(number):
        await store.save(zone_id, GraphChange((ended(zone_id, number),)))

    writing = [asyncio.create_task(end(number)) for number in range(40)]
    seen, after = [], begun
    while not all(task.done() for task in writing) or (await store.news(after, 1)).rows:
        page = await store.news(after, 7)
        seen += [one.news.anchor for one in page.rows]
        after = page.rows[-1].position if page.rows else after
        await asyncio.sleep(0)
    await asyncio.gather(*writing)
    assert sorted(seen) == [ended(zone_id, number).id for number in range(40)]


async def test_what_no_mandate_outlived_is_dropped_but_never_the_newest(sqlite_database, zone_id):
    store = SqlGraphStore(sqlite_database)
    for number in range(3):
        await store.save(zone_id, GraphChange((ended(zone_id, number),)))
    now = AT + RETENTION
    assert await store.drop_expired(now=now - timedelta(seconds=1), limit=9) == 0
    late = now + timedelta(seconds=1)
    assert await store.drop_expired(now=late, limit=1) == 1
    assert await store.drop_expired(now=late, limit=9) == 1
    assert await store.drop_expired(now=late, limit=9) == 0
    page = await store.news(0, 9)
    assert page.oldest == page.newest == page.rows[0].position

    await store.save(zone_id, GraphChange((ended(zone_id, 5, ended_at=AT - timedelta(days=1)),)))
    assert (await store.news(0, 9)).newest > page.newest, "whatever the clock says"


async def test_an_empty_store_says_so(sqlite_database):
    store = SqlGraphStore(sqlite_database)
    page = await store.news(0, 9)
    assert (page.rows, page.oldest, page.newest) == ((), 0, 0)
    assert await store.drop_expired(now=AT, limit=9) == 0
