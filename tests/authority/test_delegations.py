"""Who may hand on what, and what a mandate may rest on: rules D1 to D11 of docs/delegation.md."""

from datetime import timedelta
from itertools import pairwise

import pytest

from caracal.authority.graph import ParentAuthority
from caracal.authority.mandates import MAX_LIFETIME, Hop
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import ScopeSet
from tests.authority.worlds import NOW, ORDERS, STOCK, World, agreed


@pytest.fixture
def world():
    return World()


def refused(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


class TestMakingOne:
    def test_it_is_what_was_asked_for(self, world):
        one, other = world.start("alpha"), world.start("beta")
        change = world.apply(world.ask_delegate(one, other, "read write", hops=3, ttl=300))
        (made,) = change.delegations
        assert (made.issuer, made.receiver) == ("alpha", "beta")
        assert (made.path, made.parent_id, made.zone_id) == ((made.id,), None, "zone")
        assert made.grant.scopes == ScopeSet.of("read", "write")
        assert made.grant.expires_at == NOW + timedelta(seconds=300)
        assert made.grant.constraints.max_ttl == timedelta(seconds=300)
        assert made.hops() == (Hop("alpha", one.id, made.id), Hop("beta", other.id, None))
        assert (change.epoch, world.graph.epoch) == (1, 1)
        assert world.graph.inbound(other.id, NOW) == (made,)
        assert world.graph.outbound(one.id, NOW) == (made,)
        assert world.graph.delegation(made.id) == made

    def test_the_earlier_end_counts_and_the_bound_on_mandates_is_its_own(self, world):
        one, other = world.start(), world.start()
        sooner = NOW + timedelta(seconds=30)
        made = world.delegate(one, other, expires_at=sooner, ttl=60, max_ttl=10)
        assert made.grant.expires_at == sooner
        assert made.grant.constraints.max_ttl == timedelta(seconds=10)
        third = world.start()
        made = world.delegate(one, third, expires_at=sooner)
        assert made.grant.constraints.max_ttl is None

    @pytest.mark.parametrize(
        ("wanted", "reason"),
        [
            ({"expires_at": None}, Reason.DELEGATION_EXPIRY_MISSING),
            ({"expires_at": NOW}, Reason.DELEGATION_EXPIRED),
            ({"ttl": 0}, Reason.REQUEST_MALFORMED),
            ({"ttl": 86_401}, Reason.REQUEST_MALFORMED),
            ({"max_ttl": 86_401}, Reason.REQUEST_MALFORMED),
            ({"hops": 0}, Reason.REQUEST_MALFORMED),
            ({"hops": 11}, Reason.REQUEST_MALFORMED),
            ({"budget": 0}, Reason.REQUEST_MALFORMED),
            ({"budget": 65}, Reason.REQUEST_MALFORMED),
            ({"resources": frozenset()}, Reason.REQUEST_MALFORMED),
            ({"resources": frozenset(f"u:{n}" for n in range(65))}, Reason.REQUEST_MALFORMED),
            ({"reason": "x" * 257}, Reason.REQUEST_MALFORMED),
            ({"resources": None}, Reason.DELEGATION_BROAD),
            ({"declared": ScopeSet.of("write")}, Reason.DELEGATION_SCOPES_EXCEED_RESOURCE),
            ({"issuer": "beta"}, Reason.DELEGATION_APPLICATION_MISMATCH),
            ({"receiver": "alpha"}, Reason.DELEGATION_APPLICATION_MISMATCH),
            ({"parent_id": "nothing"}, Reason.DELEGATION_PARENT_INACTIVE),
        ],
    )
    def test_each_wrong_request_has_its_reason(self, world, wanted, reason):
        one, other = world.start("alpha"), world.start("beta")
        assert refused(world.ask_delegate(one, other, **wanted)) is reason
        assert world.graph.inbound(other.id, NOW) == ()

    def test_the_bounds_themselves_are_allowed(self, world):
        one, other = world.start(), world.start()
        assert world.delegate(
            one,
            other,
            ttl=86_400,
            max_ttl=1,
            hops=10,
            budget=64,
            reason="x" * 256,
            resources=frozenset(f"u:{n}" for n in range(64)),
        )

    def test_a_broad_one_needs_the_permission(self, world):
        one, other = world.start(), world.start()
        made = world.delegate(one, other, resources=None, may_be_broad=True, reason="migration")
        assert made.grant.constraints.broad
        assert made.grant.constraints.reason == "migration"

    @pytest.mark.parametrize(
        "wanted",
        [
            {"declared": ScopeSet.of("read", "agent:lifecycle")},
            {"resources": None, "may_be_broad": True},
        ],
        ids=["declared", "broad"],
    )
    def test_the_scope_for_own_sessions_is_never_handed_on(self, world, wanted):
        one, other = world.start("alpha"), world.start("beta")
        outcome = world.ask_delegate(one, other, "read agent:lifecycle", **wanted)
        assert refused(outcome) is Reason.DELEGATION_SCOPES_EXCEED_RESOURCE
        assert "agent:lifecycle" in outcome.detail
        assert world.graph.inbound(other.id, NOW) == ()

    def test_both_sessions_are_live(self, world):
        one, other = world.start(service=True), world.start(service=True)
        for session in (one, other):
            world.suspend(session)
            outcome = world.ask_delegate(one, other)
            assert refused(outcome) is Reason.DELEGATION_ENDPOINT_UNKNOWN
            world.resume(session)
        world.end(other)
        assert refused(world.ask_delegate(one, other)) is Reason.DELEGATION_ENDPOINT_UNKNOWN
        assert refused(world.ask_delegate(other, one)) is Reason.DELEGATION_ENDPOINT_UNKNOWN

    def test_not_to_itself(self, world):
        one = world.start()
        assert refused(world.ask_delegate(one, one)) is Reason.DELEGATION_TO_ITSELF

    def test_not_in_a_circle(self, world):
        one, two, three = world.start(), world.start(), world.start()
        world.delegate(one, two, hops=5)
        world.delegate(two, three, hops=4)
        world.delegate(one, three, hops=5, ttl=60)
        held = world.graph.inbound(three.id, NOW)
        assert len(held) == 2
        for parent in held:
            outcome = world.ask_delegate(three, one, hops=1, ttl=30, parent_id=parent.id)
            assert refused(outcome) is Reason.DELEGATION_CYCLE

    def test_a_circle_of_what_expired_is_none(self, world):
        one, two = world.start(), world.start()
        world.delegate(one, two, ttl=10)
        assert refused(world.ask_delegate(two, one, ttl=5)) is Reason.DELEGATION_HOPS_EXCEEDED
        world.later(10)
        assert world.delegate(two, one)


class TestHandingOn:
    def test_what_was_received_is_narrowed(self, world):
        one, two, three = world.start("alpha"), world.start("beta"), world.start("gamma")
        first = world.delegate(one, two, "read write", hops=2)
        second = world.delegate(two, three, "read", ttl=60)
        assert second.path == (first.id, second.id)
        assert second.parent_id == first.id
        assert [hop.application_id for hop in second.hops()] == ["alpha", "beta", "gamma"]
        outcome = world.ask_delegate(two, three, "delete", ttl=60)
        assert refused(outcome) is Reason.DELEGATION_SCOPE_EXCEEDED

    def test_of_several_received_the_one_to_narrow_is_named(self, world):
        one, two, three = world.start(), world.start(), world.start()
        read = world.delegate(one, two, "read", hops=2)
        write = world.delegate(one, two, "write", hops=2)
        outcome = world.ask_delegate(two, three, "read")
        assert refused(outcome) is Reason.DELEGATION_PARENT_AMBIGUOUS
        outcome = world.ask_delegate(two, three, "read", parent_id=write.id)
        assert refused(outcome) is Reason.DELEGATION_SCOPE_EXCEEDED
        assert world.delegate(two, three, "read", parent_id=read.id).parent_id == read.id

    def test_a_chain_has_as_many_hops_as_its_root_allows(self, world):
        sessions = [world.start() for _ in range(5)]
        for hops, (source, target) in zip((3, 2, 1), pairwise(sessions), strict=False):
            leaf = world.delegate(source, target, hops=hops)
        assert len(leaf.path) == 3
        assert world.hold(sessions[3], leaf).delegation == leaf
        outcome = world.ask_delegate(sessions[3], sessions[4])
        assert refused(outcome) is Reason.DELEGATION_HOPS_EXCEEDED

    def test_a_budget_that_is_not_stated_is_the_number_of_scopes(self, world):
        one, two, three, four = (world.start() for _ in range(4))
        world.delegate(one, two, "read write delete", hops=5, budget=2)
        outcome = world.ask_delegate(two, three, "read write delete", hops=2)
        assert refused(outcome) is Reason.DELEGATION_BUDGET_EXCEEDED
        child = world.delegate(two, three, "read write", hops=2)
        assert child.grant.constraints.budget == 2
        outcome = world.ask_delegate(three, four, "read", budget=3)
        assert refused(outcome) is Reason.DELEGATION_BUDGET_EXCEEDED
        assert world.delegate(three, four, "").grant.constraints.budget == 1

    def test_while_the_one_before_is_suspended_nothing_is_handed_on(self, world):
        one, two, three = (world.start(service=True) for _ in range(3))
        world.delegate(one, two, hops=2)
        world.suspend(one)
        outcome = world.ask_delegate(two, three, ttl=60)
        assert refused(outcome) is Reason.DELEGATION_PARENT_INACTIVE, "it is not a root either"


class TestInheriting:
    def test_a_child_takes_along_what_its_parent_received(self, world):
        one, two = world.start("alpha"), world.start("beta")
        held = world.delegate(one, two, "read write", hops=3)
        change = world.apply(world.ask_start("beta", two))
        (child,), (taken,) = change.sessions, change.delegations
        assert taken.path == (held.id, taken.id)
        assert (taken.source, taken.target) == (two.id, child.id)
        assert (taken.issuer, taken.receiver) == ("beta", "beta")
        assert taken.grant.scopes == held.grant.scopes
        assert taken.grant.expires_at == held.grant.expires_at
        assert taken.grant.constraints.hops == 2
        assert world.hold(child, taken).delegation == taken
        assert change.epoch == 2

    def test_one_hop_still_reaches_an_own_child_which_hands_nothing_on(self, world):
        one, two, three = world.start(), world.start(), world.start()
        world.delegate(one, two, hops=1)
        change = world.apply(world.ask_start(parent=two))
        (child,), (taken,) = change.sessions, change.delegations
        assert world.hold(child, taken).delegation == taken
        assert refused(world.ask_delegate(child, three)) is Reason.DELEGATION_HOPS_EXCEEDED

    def test_a_child_started_with_none_takes_nothing(self, world):
        one, two = world.start(), world.start()
        world.delegate(one, two)
        change = world.apply(world.ask_start(parent=two, parent_authority=ParentAuthority.NONE))
        assert change.delegations == ()

    def test_of_several_the_one_to_inherit_is_named(self, world):
        one, two = world.start(), world.start()
        held = [world.delegate(one, two), world.delegate(one, two)]
        assert refused(world.ask_start(parent=two)) is Reason.SESSION_INHERIT_AMBIGUOUS
        outcome = world.ask_start(parent=two, inherit_delegation="another")
        assert refused(outcome) is Reason.SESSION_INHERIT_INACTIVE
        change = world.apply(world.ask_start(parent=two, inherit_delegation=held[1].id))
        assert change.delegations[0].parent_id == held[1].id

    def test_what_is_suspended_or_over_is_not_inherited_and_not_forgotten_either(self, world):
        one, two = world.start(service=True), world.start()
        world.delegate(one, two, ttl=60)
        world.suspend(one)
        assert refused(world.ask_start(parent=two)) is Reason.SESSION_INHERIT_INACTIVE
        world.resume(one)
        world.later(60)
        assert refused(world.ask_start(parent=two)) is Reason.SESSION_INHERIT_INACTIVE
        world.sweep()
        assert refused(world.ask_start(parent=two)) is Reason.SESSION_INHERIT_INACTIVE
        assert world.start(parent=two, parent_authority=ParentAuthority.NONE)

    def test_no_chain_is_longer_than_ten(self, world):
        one, session = world.start(), world.start()
        held = world.delegate(one, session, hops=10)
        for _ in range(9):
            change = world.apply(world.ask_start(parent=session))
            (session,), (held,) = change.sessions, change.delegations
        assert len(held.path) == 10
        assert refused(world.ask_start(parent=session)) is Reason.DELEGATION_HOPS_EXCEEDED


class TestWhatAMandateRestsOn:
    def test_a_session_alone(self, world):
        task = world.start(ttl=60)
        held = agreed(world.hold(task))
        assert (held.session, held.delegation) == (task, None)
        assert (held.session_path, held.chain) == ((task.id,), ())
        assert held.expires_at == task.expires_at

    def test_a_service_bounds_no_mandate_beyond_the_longest_life(self, world):
        assert agreed(world.hold(world.start(service=True))).expires_at == NOW + MAX_LIFETIME

    def test_the_first_end_in_the_lineage_is_the_end(self, world):
        one, two, three = world.start(ttl=50), world.start(), world.start(service=True)
        world.delegate(one, two, hops=2, ttl=90)
        leaf = world.delegate(two, three, ttl=70)
        held = agreed(world.hold(three, leaf))
        assert held.expires_at == one.expires_at
        assert held.chain == leaf.hops()

    def test_the_session_is_known_and_of_the_application(self, world):
        one = world.start("alpha")
        ask = {"delegation_id": None, "now": NOW}
        graph = world.graph
        outcome = graph.authority(application_id="beta", session_id=one.id, **ask)
        assert refused(outcome) is Reason.SESSION_FOREIGN
        outcome = graph.authority(application_id="alpha", session_id="nobody", **ask)
        assert refused(outcome) is Reason.SESSION_UNKNOWN

    def test_the_delegation_was_made_to_this_session(self, world):
        one, two, three = world.start("alpha"), world.start("beta"), world.start("beta")
        made = world.delegate(one, two)
        assert refused(world.hold(three, made)) is Reason.DELEGATION_FOREIGN
        assert refused(world.hold(one, made)) is Reason.DELEGATION_FOREIGN
        world.revoke(made)
        assert refused(world.hold(three, made)) is Reason.DELEGATION_UNKNOWN

    def test_every_session_and_delegation_before_it_is_live(self, world):
        one, two, three = world.start(service=True), world.start(service=True), world.start()
        world.delegate(one, two, hops=2, ttl=100)
        leaf = world.delegate(two, three, ttl=100)
        for session in (one, two):
            world.suspend(session)
            assert refused(world.hold(three, leaf)) is Reason.DELEGATION_NOT_LIVE
            world.resume(session)
        assert world.hold(three, leaf).delegation == leaf
        world.later(100)
        assert refused(world.hold(three, leaf)) is Reason.DELEGATION_NOT_LIVE
        world.sweep()
        assert refused(world.hold(three, leaf)) is Reason.DELEGATION_UNKNOWN

    def test_a_silent_source_is_not_live_though_nobody_swept(self, world):
        one, two = world.start(service=True), world.start()
        made = world.delegate(one, two)
        world.later(120)
        assert refused(world.hold(two, made)) is Reason.DELEGATION_NOT_LIVE


class TestEffectiveGrant:
    def test_it_is_what_all_received_ones_allow_together(self, world):
        one, two = world.start(), world.start()
        world.delegate(one, two, "read write", hops=3, ttl=100, max_ttl=50)
        world.delegate(
            one, two, "read delete", hops=2, ttl=60, resources=frozenset({ORDERS, STOCK})
        )
        grant = world.graph.effective_grant(two.id, NOW)
        assert grant.scopes == ScopeSet.of("read")
        assert grant.expires_at == NOW + timedelta(seconds=60)
        assert grant.constraints.hops == 2
        assert grant.constraints.max_ttl == timedelta(seconds=50)
        assert grant.constraints.resources == {ORDERS}
        assert world.graph.effective_grant(one.id, NOW) is None
        world.later(60)
        assert world.graph.effective_grant(two.id, world.now).expires_at == NOW + timedelta(
            seconds=100
        )
