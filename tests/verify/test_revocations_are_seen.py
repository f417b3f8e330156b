from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.revocation import RETENTION
from caracal.tokens.mandates import LEEWAY
from caracal.verify import FollowedRevocations, MemoryRevocations, Standing
from caracal.verify.revocations import anchors
from tests.verify.examples import NOW, Clocks, resource_mandate, ulid

MANDATE = resource_mandate(2)


@pytest.mark.parametrize("anchor", sorted(set(anchors(MANDATE))))
def test_a_mandate_ends_with_anything_that_it_descends_from(anchor):
    view = MemoryRevocations()
    assert view.standing(MANDATE, NOW) is Standing.LIVE
    view.revoke(anchor, NOW)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
    view.lift(anchor)
    assert view.standing(MANDATE, NOW) is Standing.LIVE


def test_the_whole_ancestry_counts():
    assert {ulid(4), ulid(5), ulid(100), ulid(101), ulid(200), ulid(202), ulid(302)} <= set(
        anchors(MANDATE)
    )


def test_a_delegated_mandate_of_an_older_epoch_is_stale_and_epochs_never_go_back():
    view = MemoryRevocations()
    view.note_epoch(MANDATE.zone_id, 18)
    view.note_epoch(MANDATE.zone_id, 3)
    assert view.standing(MANDATE, NOW) is Standing.STALE
    assert view.standing(resource_mandate(2, graph_epoch=18), NOW) is Standing.LIVE
    assert view.standing(resource_mandate(2, graph_epoch=0), NOW) is Standing.STALE
    assert view.standing(resource_mandate(0, graph_epoch=0), NOW) is Standing.LIVE
    assert view.standing(resource_mandate(2, zone_id="another"), NOW) is Standing.LIVE


def test_a_revocation_is_kept_while_it_could_cover_a_mandate():
    view = MemoryRevocations()
    view.revoke(MANDATE.record, NOW)
    last = NOW + RETENTION - timedelta(microseconds=1)
    assert view.standing(MANDATE, last) is Standing.REVOKED
    assert view.standing(MANDATE, NOW + RETENTION) is Standing.LIVE
    with pytest.raises(ValueError, match="retention"):
        MemoryRevocations(retention=timedelta(minutes=1))
    with pytest.raises(ValueError, match="capacity"):
        MemoryRevocations(capacity=0)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 600)), max_size=30),
    st.integers(1, 4),
)
def test_a_full_view_never_lets_pass_what_was_revoked_and_stays_bounded(revoked, capacity):
    view = MemoryRevocations(capacity=capacity)
    for anchor, after in sorted(revoked, key=lambda each: each[1]):
        view.revoke(anchor, NOW + timedelta(seconds=after))
        assert len(view) <= capacity
    for anchor, after in revoked:
        # What was revoked got no mandate after that; the clocks may differ by the leeway.
        issued = NOW + timedelta(seconds=after) + LEEWAY
        mandate = resource_mandate(1, record=anchor, issued_at=issued)
        assert view.standing(mandate, issued) is Standing.REVOKED


def test_a_full_view_lets_fresh_mandates_pass():
    view = MemoryRevocations(capacity=1)
    view.revoke("a", NOW)
    view.revoke("b", NOW)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
    later = NOW + LEEWAY + timedelta(seconds=1)
    fresh = resource_mandate(1, issued_at=later, expires_at=later + timedelta(seconds=60))
    assert view.standing(fresh, later) is Standing.LIVE


def test_what_has_gone_by_itself_costs_nobody_anything():
    view = MemoryRevocations(capacity=1)
    view.revoke("a", NOW - RETENTION)
    view.revoke("b", NOW)
    assert view.standing(MANDATE, NOW) is Standing.LIVE


def test_a_view_that_is_too_old_refuses_and_one_that_never_was_up_to_date_too():
    clocks = Clocks()
    view = FollowedRevocations(MemoryRevocations(), seconds=lambda: clocks.seconds, max_age=30)
    assert view.standing(MANDATE, NOW) is Standing.UNKNOWN
    view.as_of(clocks.seconds)
    clocks.move(30)
    assert view.standing(MANDATE, NOW) is Standing.LIVE
    view.as_of(clocks.seconds - 100)
    assert view.age == 30
    clocks.move(0.1)
    assert view.standing(MANDATE, NOW) is Standing.UNKNOWN
    view.as_of(clocks.seconds)
    view.view.revoke(MANDATE.record, NOW)
    assert view.standing(MANDATE, NOW) is Standing.REVOKED
