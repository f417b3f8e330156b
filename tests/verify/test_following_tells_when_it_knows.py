"""A view counts as up to date exactly when nothing that matters can be missing from it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.news import Happened, News, Numbered, Why
from caracal.tokens.mandates import LEEWAY
from caracal.verify import FollowedRevocations, MemoryRevocations, Standing
from caracal.verify.following import Following
from caracal.wire.revocation_feed import Alive, Told
from tests.verify.examples import NOW, ZONE, Clocks, resource_mandate, ulid

NOW_US = int(NOW.timestamp() * 1_000_000)
MANDATE = resource_mandate(2)
SESSION = ulid(200)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def view(clocks):
    return a_view(clocks)


def a_view(clocks):
    return FollowedRevocations(MemoryRevocations(), seconds=lambda: clocks.seconds, max_age=30)


def told(position, what=Happened.SESSION_ENDED, anchor=SESSION, after=None, zone=ZONE):
    news = News(zone, what, anchor, Why.REQUESTED)
    return Told(Numbered(NOW_US + position, news), None if after is None else NOW_US + after)


def alive(position, *, oldest=None, at=0):
    """Positions and instants are counted from NOW, in microseconds."""
    oldest_us = 0 if oldest is None else NOW_US + oldest
    return Alive(NOW_US + at, oldest_us, NOW_US + position)


def take(following, *messages):
    return [following.take(one, now=NOW, seconds=Clocks().seconds) for one in messages][-1]


def test_nothing_counts_before_the_publisher_said_that_it_lives(view):
    following = Following(view, ZONE)
    assert not take(following, told(1))
    assert view.standing(MANDATE, NOW) is Standing.UNKNOWN
    assert take(following, alive(1, oldest=1))
    assert view.standing(MANDATE, NOW) is Standing.REVOKED


def test_a_suspension_is_lifted_and_an_end_is_not(view):
    following = Following(view)
    take(following, told(1, Happened.SESSION_SUSPENDED), alive(1, oldest=1))
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
    take(following, told(2, Happened.SESSION_RESUMED))
    assert view.standing(MANDATE, NOW) is Standing.LIVE
    take(following, told(3), told(4, Happened.SESSION_SUSPENDED))
    take(following, told(5, Happened.SESSION_RESUMED))
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
    view.view.lift(SESSION)
    assert view.standing(MANDATE, NOW) is Standing.LIVE


def test_what_is_told_again_changes_nothing(view):
    following = Following(view)
    told_once = (told(1, Happened.SESSION_SUSPENDED), told(2, Happened.SESSION_RESUMED))
    take(following, *told_once, told(3), alive(3, oldest=1))
    take(following, *told_once)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED


def test_delegations_applications_and_other_zones(view):
    following = Following(view, ZONE)
    take(following, told(1, zone="another"), alive(1, oldest=1))
    assert view.standing(MANDATE, NOW) is Standing.LIVE
    gone = told(2, Happened.APPLICATION_REMOVED, MANDATE.application_id)
    take(following, gone)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
    take(following, told(3, Happened.DELEGATION_REVOKED, MANDATE.delegation_path[0]))
    view.view.lift(MANDATE.application_id)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED


def test_the_age_is_that_of_what_the_publisher_said(view, clocks):
    following = Following(view)
    ten_ago = alive(0, at=-10_000_000)
    assert following.take(ten_ago, now=NOW, seconds=clocks.seconds)
    assert view.age == 10
    in_the_future = alive(0, at=int((LEEWAY + timedelta(seconds=1)).total_seconds() * 1e6))
    assert not following.take(in_the_future, now=NOW, seconds=clocks.seconds)
    assert following.take(alive(0, at=1_000_000), now=NOW, seconds=clocks.seconds)
    assert view.age == 0
    assert not following.take(Alive(2**63 - 1, 0, 0), now=NOW, seconds=clocks.seconds)


def test_a_position_in_the_far_future_keeps_no_place_for_longer(view):
    following = Following(view)
    take(following, Told(Numbered(2**63 - 1, told(1).numbered.news)))
    assert view.view._revoked == {SESSION: NOW}


def test_the_oldest_goes_first_whether_it_ended_or_pauses():
    view = MemoryRevocations(capacity=1)
    view.suspend("a", NOW)
    view.revoke("b", NOW + timedelta(seconds=1))
    view.resume("a")
    assert view._revoked.keys() == {"b"}
    assert not view._suspended


@given(total=st.integers(1, 12), lost=st.sets(st.integers(1, 12)), oldest=st.integers(1, 12))
def test_a_stream_counts_exactly_when_nothing_that_matters_is_gone(total, lost, oldest):
    """Whoever takes entries out, from the middle or from either end, gets a refusal for it."""
    following = Following(a_view(Clocks()))
    oldest = min(oldest, total)
    for number in range(1, total + 1):
        if number not in lost:
            take(following, told(number, anchor=f"s{number}", after=number - 1))
    missing = lost & set(range(oldest, total + 1))
    assert take(following, alive(total, oldest=oldest)) == (not missing)
