"""What falls with a session or a delegation: rules K1 to K6 of docs/delegation.md."""

import pytest

from caracal.authority.delegation import DelegationStatus
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.revocation import AnchorKind
from tests.authority.worlds import NOW, World


@pytest.fixture
def world():
    return World()


def anchors(change) -> set[tuple[str, str]]:
    return {(entry.kind.value, entry.anchor) for entry in change.revocations}


class TestKillingASession:
    def test_everything_below_it_ends_and_nothing_else(self, world):
        top, other = world.start(service=True), world.start(service=True)
        child, cousin = world.start(parent=top), world.start(parent=other)
        leaf = world.start(parent=child)
        minted = {row.id: world.mint(row) for row in (top, child, leaf, other, cousin)}
        change = world.end(child, reason="compromised")
        assert [(row.id, row.end_reason) for row in change.sessions] == [
            (child.id, "compromised"),
            (leaf.id, "parent_terminated"),
        ]
        assert anchors(change) == {("session", child.id)}, "one anchor covers all below"
        assert {name for name, each in minted.items() if world.revoked(each)} == {
            child.id,
            leaf.id,
        }
        assert [world.status(row) for row in (top, other, cousin)] == ["active"] * 3
        assert world.graph.children(top.id) == ()

    def test_delegations_that_led_out_of_it_are_revoked_with_all_narrowed_from_them(self, world):
        top = world.start()
        maker = world.start(parent=top)
        two, three, stranger = world.start("beta"), world.start("gamma"), world.start("delta")
        first = world.delegate(maker, two, hops=2)
        second = world.delegate(two, three, ttl=60)
        elsewhere = world.delegate(stranger, three)
        minted = [world.mint(two, first), world.mint(three, second), world.mint(three, elsewhere)]
        before = world.graph.epoch
        change = world.end(top)
        assert [row.id for row in change.delegations] == [first.id, second.id]
        assert all(row.status is DelegationStatus.REVOKED for row in change.delegations)
        assert all(row.revoked_at == NOW and row.version == 2 for row in change.delegations)
        assert anchors(change) == {("session", top.id), ("delegation", first.id)}
        assert [world.revoked(each) for each in minted] == [True, True, False]
        assert change.epoch == before + 1, "once for all of them"
        assert world.status(two) == world.status(three) == "active"
        assert world.hold(three, elsewhere).delegation == elsewhere

    def test_a_delegation_made_by_the_killed_session_itself_needs_no_anchor(self, world):
        maker, two = world.start(), world.start("beta")
        minted = world.mint(two, world.delegate(maker, two))
        change = world.end(maker)
        assert anchors(change) == {("session", maker.id)}
        assert world.revoked(minted)

    def test_a_delegation_into_it_is_revoked_and_so_is_what_it_was_narrowed_to(self, world):
        maker, middle, receiver = world.start(), world.start("beta"), world.start("gamma")
        first = world.delegate(maker, middle, hops=2)
        second = world.delegate(middle, receiver, ttl=60)
        minted = world.mint(receiver, second)
        change = world.end(middle)
        assert {row.id for row in change.delegations} == {first.id, second.id}
        assert world.revoked(minted)
        assert world.status(maker) == world.status(receiver) == "active"

    def test_what_would_fall_can_be_seen_before(self, world):
        top, two = world.start(), world.start("beta")
        child = world.start(parent=top)
        made = world.delegate(child, two)
        impact = world.graph.impact_of_session(top.id)
        assert [row.id for row in impact.sessions] == [top.id, child.id]
        assert impact.delegations == (made,)
        assert world.graph.impact_of_session("nobody").sessions == ()
        assert world.status(top) == "active"

    def test_a_suspended_one_is_killed_too_and_stays_revoked(self, world):
        top = world.start(service=True)
        child = world.start(parent=top)
        minted = world.mint(child)
        world.suspend(top)
        world.end(child)
        world.resume(top)
        assert world.status(child) == "ended"
        assert world.revoked(minted)


class TestRevokingADelegation:
    def test_the_sessions_that_received_it_end_with_everything_below_them(self, world):
        maker, two, three = world.start(), world.start(), world.start()
        first = world.delegate(maker, two, hops=3)
        below = world.start(parent=two)
        second = world.delegate(two, three, ttl=60, hops=1)
        minted = [world.mint(two), world.mint(below), world.mint(three, second)]
        change = world.revoke(first, reason="mistake")
        assert {(row.id, row.end_reason) for row in change.sessions} == {
            (two.id, "delegation_revoked"),
            (below.id, "delegation_revoked"),
            (three.id, "delegation_revoked"),
        }, "the child had inherited it, and received it too"
        assert len(change.delegations) == 3
        assert anchors(change) == {
            ("delegation", first.id),
            ("session", two.id),
            ("session", three.id),
        }
        assert all(entry.reason == "mistake" for entry in change.revocations)
        assert all(world.revoked(each) for each in minted)
        assert world.status(maker) == "active"

    def test_a_child_that_had_not_inherited_ends_because_of_its_parent(self, world):
        maker, two = world.start(), world.start()
        below = world.start(parent=two)
        change = world.revoke(world.delegate(maker, two))
        assert {row.id: row.end_reason for row in change.sessions} == {
            two.id: "delegation_revoked",
            below.id: "parent_terminated",
        }

    def test_a_session_of_another_application_lives_on_without_it(self, world):
        maker, stranger = world.start(), world.start("beta")
        below = world.start("beta", stranger)
        unasked = world.delegate(maker, stranger, hops=2)
        child = world.start("beta", stranger)
        own, through = world.mint(stranger), world.mint(stranger, unasked)
        change = world.revoke(unasked)
        assert change.sessions == ()
        assert [world.status(each) for each in (stranger, below, child)] == ["active"] * 3
        assert world.revoked(through)
        assert not world.revoked(own)

    def test_one_further_down_leaves_those_before_it(self, world):
        maker, two, three = world.start(), world.start(), world.start()
        first = world.delegate(maker, two, hops=3)
        second = world.delegate(two, three, ttl=60)
        kept = world.mint(two, first)
        world.revoke(second)
        assert world.status(two) == "active"
        assert world.status(three) == "ended"
        assert not world.revoked(kept)
        assert world.hold(two, first).delegation == first

    def test_what_the_ended_sessions_had_made_for_others_falls_but_not_those_others(self, world):
        maker, other, two = world.start(), world.start(), world.start()
        three = world.start("gamma")
        first, second = world.delegate(maker, two, hops=2), world.delegate(other, two, hops=2)
        onward = world.delegate(two, three, ttl=60, parent_id=second.id)
        minted = world.mint(three, onward)
        change = world.revoke(first)
        assert {row.id for row in change.delegations} == {first.id, second.id, onward.id}
        assert world.revoked(minted)
        assert world.status(three) == "active"

    def test_what_would_fall_can_be_seen_before(self, world):
        maker, two = world.start(), world.start()
        made = world.delegate(maker, two)
        impact = world.graph.impact_of_delegation(made.id)
        assert (impact.sessions, impact.delegations) == ((two,), (made,))
        assert world.graph.impact_of_delegation("nothing").delegations == ()

    def test_one_that_is_unknown_or_expired_is_not_revoked(self, world):
        maker, two = world.start(), world.start("beta")
        made = world.delegate(maker, two, ttl=10)
        world.later(10)
        outcome = world.graph.plan_revoke(made.id, reason="late", now=world.now)
        assert isinstance(outcome, Refused)
        assert outcome.reason is Reason.DELEGATION_NOT_LIVE
        world.sweep()
        outcome = world.graph.plan_revoke(made.id, reason="late", now=world.now)
        assert isinstance(outcome, Refused)
        assert outcome.reason is Reason.DELEGATION_UNKNOWN
        assert world.status(two) == "active", "an expired delegation takes nobody along"


class TestSuspending:
    def test_authority_that_left_the_suspended_tree_stands_still_with_it(self, world):
        top = world.start(service=True)
        maker, quiet = world.start(parent=top), world.start(parent=top)
        two = world.start("beta")
        made = world.delegate(maker, two)
        minted = world.mint(two, made)
        change = world.suspend(top)
        assert anchors(change) == {("session", top.id), ("session", maker.id)}
        assert world.revoked(minted)
        assert world.status(quiet) == "suspended"
        change = world.resume(top)
        assert (AnchorKind.SESSION, maker.id) in change.lifted
        assert not world.revoked(minted)
        assert world.hold(two, made).delegation == made

    def test_delegations_and_their_epoch_stay_as_they_are(self, world):
        maker, two = world.start(service=True), world.start("beta")
        made = world.delegate(maker, two)
        assert world.suspend(maker).delegations == ()
        assert world.graph.epoch == 1
        assert world.graph.delegation(made.id) == made
