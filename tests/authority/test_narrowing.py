"""The algebra of delegation: rules D1 to D8 of docs/delegation.md."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import inherit, narrow
from caracal.authority.delegation_rules import intersect
from caracal.authority.grants import Grant
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import ScopeSet
from tests.authority.worlds import NOW, ORDERS, STOCK, grant

LATER = NOW + timedelta(minutes=10)

seconds = st.integers(1, 4).map(lambda n: timedelta(seconds=n))
grants = st.builds(
    Grant,
    st.frozensets(st.sampled_from(["a", "b", "c"])).map(ScopeSet),
    st.builds(
        Constraints,
        resources=st.none() | st.frozensets(st.sampled_from([ORDERS, STOCK]), min_size=1),
        hops=st.integers(1, 5),
        max_ttl=st.none() | seconds,
        budget=st.none() | st.integers(1, 4),
    ),
    st.integers(-1, 5).map(lambda n: NOW + timedelta(seconds=n)),
)


@st.composite
def within(draw, held: Grant) -> Grant:
    """A grant that `held`, with hops and time left, may be narrowed to."""
    limits = held.constraints
    resources = draw(
        st.frozensets(st.sampled_from(sorted(limits.resources or [ORDERS, STOCK])), min_size=1)
    )
    scopes = draw(st.sets(st.sampled_from(sorted(held.scopes.scopes)))) if len(held.scopes) else ()
    ttl = limits.max_ttl and draw(seconds.filter(lambda ttl: ttl <= limits.max_ttl))
    budget = limits.budget and draw(st.integers(1, limits.budget))
    hops = draw(st.integers(1, limits.hops - 1))
    whole_seconds = int((held.expires_at - NOW).total_seconds())
    ends = NOW + timedelta(seconds=draw(st.integers(1, whole_seconds)))
    return Grant(ScopeSet(frozenset(scopes)), Constraints(resources, hops, ttl, budget), ends)


def allows_no_more(child: Grant, held: Grant) -> bool:
    limits, bounds = child.constraints, held.constraints
    return (
        child.scopes.within(held.scopes)
        and NOW < child.expires_at <= held.expires_at
        and all(bounds.reach(uri) for uri in (ORDERS, STOCK, "other:") if limits.reach(uri))
        and 1 <= limits.hops < bounds.hops
        and (bounds.max_ttl is None or (limits.max_ttl or timedelta.max) <= bounds.max_ttl)
        and (bounds.budget is None or (limits.budget or 99) <= bounds.budget)
    )


@given(grants, grants)
def test_a_grant_is_narrowed_exactly_when_it_allows_no_more(held, wanted):
    child = narrow(held, wanted, now=NOW)
    assert isinstance(child, Refused) != allows_no_more(wanted, held)
    assert isinstance(child, Refused) or child == wanted, "refused, never trimmed"


@given(st.data())
def test_narrowing_twice_is_within_what_narrowing_once_allows(data):
    root = data.draw(grants.filter(lambda g: g.constraints.hops > 2 and g.expires_at > NOW))
    middle = narrow(root, data.draw(within(root)), now=NOW)
    assert isinstance(middle, Grant)
    assert allows_no_more(middle, root)
    for wanted in (
        data.draw(grants),
        data.draw(within(middle)) if middle.constraints.hops > 1 else root,
    ):
        leaf = narrow(middle, wanted, now=NOW)
        assert isinstance(leaf, Refused) or narrow(root, leaf, now=NOW) == leaf


@given(grants)
def test_no_grant_can_be_handed_on_whole(held):
    assert isinstance(narrow(held, held, now=NOW), Refused), "a hop is used up by every delegation"


@given(grants, grants, grants)
def test_what_several_grants_allow_together_is_within_each(one, other, third):
    both = intersect([one, other])
    assert both is not None
    for held in (one, other):
        assert both.scopes.within(held.scopes)
        assert both.expires_at <= held.expires_at
        assert both.constraints.hops <= held.constraints.hops
        for uri in (ORDERS, STOCK):
            assert both.constraints.reach(uri) == (
                one.constraints.reach(uri) and other.constraints.reach(uri)
            )
        if held.constraints.max_ttl is not None:
            assert both.constraints.max_ttl <= held.constraints.max_ttl
        if held.constraints.budget is not None:
            assert both.constraints.budget <= held.constraints.budget
    assert intersect([both, third]) == intersect([third, other, one])


def test_no_grants_allow_nothing():
    assert intersect([]) is None


HELD = grant("read write", hops=3, max_ttl=timedelta(seconds=60), budget=2, ends=LATER)
FITTING = {"hops": 2, "max_ttl": timedelta(seconds=60), "budget": 2, "ends": LATER}


@pytest.mark.parametrize(
    ("scopes", "differently", "reason"),
    [
        ("read delete", {}, Reason.DELEGATION_SCOPE_EXCEEDED),
        ("read", {"ends": NOW}, Reason.DELEGATION_EXPIRED),
        ("read", {"ends": LATER + timedelta(microseconds=1)}, Reason.DELEGATION_EXPIRY_EXCEEDED),
        ("read", {"resources": None}, Reason.DELEGATION_RESOURCE_EXCEEDED),
        ("read", {"resources": {ORDERS, STOCK}}, Reason.DELEGATION_RESOURCE_EXCEEDED),
        ("read", {"hops": 3}, Reason.DELEGATION_HOPS_EXCEEDED),
        ("read", {"max_ttl": None}, Reason.DELEGATION_TTL_EXCEEDED),
        ("read", {"max_ttl": timedelta(seconds=61)}, Reason.DELEGATION_TTL_EXCEEDED),
        ("read", {"budget": None}, Reason.DELEGATION_BUDGET_EXCEEDED),
        ("read", {"budget": 3}, Reason.DELEGATION_BUDGET_EXCEEDED),
    ],
)
def test_each_limit_is_refused_with_its_own_reason(scopes, differently, reason):
    assert narrow(HELD, grant("read write", **FITTING), now=NOW) == grant("read write", **FITTING)
    outcome = narrow(HELD, grant(scopes, **{**FITTING, **differently}), now=NOW)
    assert isinstance(outcome, Refused)
    assert outcome.reason is reason


def test_the_first_rule_that_is_broken_answers():
    everything = grant("delete", resources=None, hops=9, max_ttl=None, budget=9, ends=NOW)
    outcome = narrow(HELD, everything, now=NOW)
    assert outcome == Refused(
        Reason.DELEGATION_SCOPE_EXCEEDED, "the delegator does not hold: delete"
    )


def test_a_grant_with_one_hop_left_is_not_handed_on():
    outcome = narrow(grant(hops=1), grant(hops=1), now=NOW)
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.DELEGATION_HOPS_EXCEEDED


@given(grants)
def test_an_inherited_grant_is_the_same_with_a_hop_less_but_never_none(held):
    child = inherit(held)
    assert child.scopes == held.scopes
    assert child.expires_at == held.expires_at
    assert child.constraints.resources == held.constraints.resources
    assert child.constraints.max_ttl == held.constraints.max_ttl
    assert child.constraints.budget == held.constraints.budget
    assert child.constraints.hops == max(1, held.constraints.hops - 1)


def test_a_grant_is_live_until_its_last_instant_and_not_in_it():
    held = grant(ends=LATER)
    assert held.live(LATER - timedelta(microseconds=1))
    assert not held.live(LATER)


def test_a_broad_grant_reaches_every_resource():
    assert grant(resources=None).constraints.broad
    assert not grant().constraints.broad
    assert not grant(resources=()).constraints.reach(ORDERS), "none named is none reached"
