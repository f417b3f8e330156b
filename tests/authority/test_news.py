"""News name everything that a change ended, paused or let go on, and nothing that gave authority."""

from datetime import datetime, timedelta

import pytest

from caracal.authority.graph import GraphChange
from caracal.authority.news import Happened, News, Why, news_of, why
from caracal.authority.revocation import AnchorKind, Revocation
from tests.authority.worlds import NOW, World

AT = int(NOW.timestamp() * 1_000_000)


@pytest.fixture
def world():
    return World()


def told(change):
    return [(one.what.value, one.anchor, one.why.value) for one in news_of("zone", change)]


def test_every_session_and_delegation_that_fell_is_named_where_one_anchor_covers_them_all(world):
    top, stranger = world.start(), world.start("beta")
    leaf = world.start(parent=top)
    handed = world.delegate(leaf, stranger)
    change = world.end(top, reason="Ada was let go")
    assert len(change.revocations) < 3
    assert told(change) == [
        ("session_ended", top.id, "requested"),
        ("session_ended", leaf.id, "parent_terminated"),
        ("delegation_revoked", handed.id, "delegation_revoked"),
    ]
    assert news_of("zone", change)[-1] == News(
        "zone",
        Happened.DELEGATION_REVOKED,
        handed.id,
        Why.DELEGATION_REVOKED,
        source=leaf.id,
        target=stranger.id,
        epoch=world.graph.epoch,
        at=AT,
    )
    assert {one.at for one in news_of("zone", change)} == {AT}


def test_what_somebody_wrote_as_a_reason_is_not_told():
    assert why("Ada was let go") is why("") is why("requested") is Why.REQUESTED
    assert {why(one.value) for one in Why} == set(Why)


def test_a_session_that_is_suspended_and_resumed_is_told_twice(world):
    top = world.start(service=True)
    below = world.start(parent=top)
    change = world.suspend(top)
    assert told(change) == [
        ("session_suspended", top.id, "requested"),
        ("session_suspended", below.id, "parent_suspended"),
    ]
    assert news_of("zone", change)[0].at == AT
    resumed = world.resume(top)
    assert told(resumed) == [
        ("session_resumed", top.id, "requested"),
        ("session_resumed", below.id, "requested"),
    ]
    assert {one.at for one in news_of("zone", resumed)} == {0}


def test_starting_delegating_and_heartbeats_are_no_news(world):
    top, other = world.start(service=True), world.start("beta")
    assert told(GraphChange((top,), (world.delegate(top, other),), epoch=3)) == []


def test_an_application_that_was_removed_is_told_and_other_anchors_add_nothing():
    rows = tuple(
        Revocation(kind, kind.value, NOW + timedelta(seconds=1), "x") for kind in AnchorKind
    )
    [one] = news_of("zone", GraphChange(revocations=rows))
    assert one == News(
        "zone",
        Happened.APPLICATION_REMOVED,
        "application",
        Why.APPLICATION_REMOVED,
        at=AT + 1_000_000,
    )
    assert datetime.fromtimestamp(one.at / 1e6, NOW.tzinfo) == rows[0].at
