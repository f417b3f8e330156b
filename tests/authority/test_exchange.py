"""Who gets a mandate."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.exchange import ExchangeRequest, Granted, decide_exchange
from caracal.authority.mandates import Bound, Holder, MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.resources import Enforcement, OperationTable, Resource, parse_operation
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from caracal.authority.zones import Application, Zone
from tests.authority.worlds import NOW, ORDERS, STOCK, World, agreed

POLICY = """
@id("alpha-reads") permit (principal == Application::"Alpha", action == Action::"read", resource);
@id("no-deletes") forbid (principal, action == Action::"delete", resource);
@id("overflows") permit (principal, action == Action::"write", resource)
  when { context.delegation.hops * 9223372036854775807 > 1 && context.delegation.hops > 1 };
"""
ALPHA = Application("alpha", "Alpha")
BETA = Application("beta", "Beta")
SCOPES = ScopeSet.of("read", "write", "delete")


def resource(identifier: str) -> Resource:
    operations = (
        parse_operation("GET", "/items/{id}", "read"),
        parse_operation("POST", "/items", "write"),
    )
    return Resource(
        f"id-of-{identifier}",
        identifier,
        identifier,
        "https://api.example",
        None,
        SCOPES,
        OperationTable(operations),
        Enforcement.ENFORCED,
    )


def zone(policy: str | None = POLICY) -> Zone:
    resources = {name: resource(name) for name in (ORDERS, STOCK)}
    vocabulary = PolicyVocabulary(frozenset({"Alpha", "Beta"}), dict.fromkeys(resources, SCOPES))
    return Zone(
        id="zone",
        name="zone",
        revision=1,
        applications={"alpha": ALPHA, "beta": BETA},
        resources=resources,
        policy=None if policy is None else PolicyEngine.compile(policy, vocabulary),
    )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def delegated(world):
    """A session of alpha that received `read write delete` on the orders, and the delegation."""
    source, target = world.start(), world.start()
    return target, world.delegate(source, target, "read write delete", hops=2)


def ask(world, session=None, delegation=None, *, in_zone=None, caller=ALPHA, **wanted):
    wanted.setdefault("resources", (ORDERS,))
    wanted.setdefault("scopes", ScopeSet.of("read"))
    request = ExchangeRequest(
        session_id=None if session is None else session.id,
        delegation_id=None if delegation is None else delegation.id,
        **wanted,
    )
    return decide_exchange(in_zone or zone(), world.graph, caller, request, now=world.now)


def refusal(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def test_an_application_bootstraps_with_the_lifecycle_scope_alone(world):
    granted = ask(world, scopes=ScopeSet.of("agent:lifecycle"))
    assert isinstance(granted, Granted)
    assert granted.mandate_class is MandateClass.SESSION
    assert granted.expires_at == NOW + timedelta(seconds=900)


def test_a_scope_that_reaches_a_resource_needs_a_delegation(world):
    assert refusal(ask(world)) is Reason.DELEGATION_REQUIRED
    session = world.start()
    assert refusal(ask(world, session)) is Reason.DELEGATION_REQUIRED


def test_a_delegated_scope_that_policy_permits_yields_a_gateway_mandate(world, delegated):
    granted = agreed(ask(world, *delegated))
    assert granted.mandate_class is MandateClass.GATEWAY
    assert granted.policies == ("alpha-reads",)
    assert [entry.identifier for entry in granted.resources] == [ORDERS]


def test_a_mandate_is_bound_to_a_holder_who_hands_on_as_often_as_the_delegation_allows(
    world, delegated
):
    holder = Holder("x" * 43, "y" * 43)
    granted = agreed(ask(world, *delegated, holder=holder))
    assert granted.bound == Bound(holder, 1)
    assert agreed(ask(world, *delegated)).bound is None


def test_only_what_makes_calls_is_bound_and_not_for_long(world):
    holder = Holder("x" * 43, "y" * 43)
    lifecycle = ScopeSet.of("agent:lifecycle")
    assert refusal(ask(world, scopes=lifecycle, holder=holder)) is Reason.DELEGATION_REQUIRED
    source, target = world.start(), world.start()
    long = (target, world.delegate(source, target, ttl=7200))
    for lifetime, reason in ((900, None), (901, Reason.LIFETIME_TOO_LONG)):
        outcome = ask(world, *long, holder=holder, lifetime=timedelta(seconds=lifetime))
        assert (outcome.reason if isinstance(outcome, Refused) else None) is reason


def test_a_resource_is_also_known_by_its_row_id(world, delegated):
    granted = agreed(ask(world, *delegated, resources=(f"id-of-{ORDERS}",)))
    assert granted.resources[0].identifier == ORDERS


def test_what_policy_forbids_is_refused_by_name(world, delegated):
    outcome = ask(world, *delegated, scopes=ScopeSet.of("delete"))
    assert refusal(outcome) is Reason.POLICY_FORBID
    assert outcome.policies == ("no-deletes",)
    assert "delete" in outcome.detail
    assert "no-deletes" in outcome.detail


def test_one_forbidden_scope_refuses_the_whole_request(world, delegated):
    outcome = ask(world, *delegated, scopes=ScopeSet.of("read", "delete"))
    assert refusal(outcome) is Reason.POLICY_FORBID


def test_a_policy_that_errs_refuses(world, delegated):
    session, delegation = delegated
    onward = world.start()
    deeper = world.delegate(session, onward, "write", hops=1, parent_id=delegation.id)
    outcome = ask(world, onward, deeper, scopes=ScopeSet.of("write"))
    assert refusal(outcome) is Reason.POLICY_ERROR


def test_without_a_permit_or_without_a_policy_the_answer_is_no(world, delegated):
    outcome = ask(
        world, *delegated, in_zone=zone('permit (principal, action == Action::"write", resource);')
    )
    assert refusal(outcome) is Reason.POLICY_NO_PERMIT
    assert refusal(ask(world, *delegated, in_zone=zone(None))) is Reason.POLICY_NONE_ACTIVE


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"resources": ()}, Reason.RESOURCE_MISSING),
        ({"resources": ("https://other.example",)}, Reason.RESOURCE_UNKNOWN),
        ({"scopes": ScopeSet.of("fly")}, Reason.SCOPE_UNKNOWN),
        ({"scopes": NO_SCOPES}, Reason.SCOPE_MISSING),
        ({"resources": (STOCK,)}, Reason.DELEGATION_RESOURCE_EXCEEDED),
        ({"lifetime": timedelta(seconds=3601)}, Reason.LIFETIME_TOO_LONG),
        ({"lifetime": timedelta(seconds=601)}, Reason.DELEGATION_TTL_EXCEEDED),
        ({"caller": BETA}, Reason.SESSION_FOREIGN),
    ],
)
def test_a_request_outside_what_is_held_is_refused(world, delegated, wanted, reason):
    assert refusal(ask(world, *delegated, **wanted)) is reason


def test_a_scope_that_was_not_handed_over_is_refused(world):
    source, target = world.start(), world.start()
    delegation = world.delegate(source, target, "read")
    outcome = ask(world, target, delegation, scopes=ScopeSet.of("write"))
    assert refusal(outcome) is Reason.DELEGATION_SCOPE_EXCEEDED


def test_a_delegation_without_its_session_is_refused(world, delegated):
    assert refusal(ask(world, None, delegated[1])) is Reason.DELEGATION_WITHOUT_SESSION


def test_of_several_resources_those_that_pass_are_granted(world, delegated):
    granted = agreed(ask(world, *delegated, resources=("https://none.example", ORDERS, STOCK)))
    assert [entry.identifier for entry in granted.resources] == [ORDERS]


def test_the_root_of_a_chain_is_named_to_policy(world):
    root_only = zone(
        'permit (principal, action, resource) when { context.delegation.root == "Alpha" };'
    )
    source, target = world.start("alpha"), world.start("beta")
    delegation = world.delegate(source, target, "read")
    assert isinstance(ask(world, target, delegation, in_zone=root_only, caller=BETA), Granted)


@pytest.mark.parametrize(
    "handed_on",
    [None, replace(ALPHA, enabled=False), replace(ALPHA, expires_at=NOW)],
    ids=["removed", "disabled", "expired"],
)
def test_an_application_that_is_not_usable_ends_what_it_handed_on(world, handed_on):
    permissive = zone("permit (principal, action, resource);")
    source, middle, target = world.start("beta"), world.start("alpha"), world.start("beta")
    first = world.delegate(source, middle, "read", hops=3)
    second = world.delegate(middle, target, "read", hops=2, ttl=300)
    assert isinstance(ask(world, target, second, in_zone=permissive, caller=BETA), Granted)
    applications = {"beta": BETA} | ({} if handed_on is None else {"alpha": handed_on})
    without = replace(permissive, applications=applications)
    outcome = ask(world, target, second, in_zone=without, caller=BETA)
    assert refusal(outcome) is Reason.CLIENT_UNKNOWN
    assert "alpha in the delegation chain" in outcome.detail
    assert second.parent_id == first.id


@given(
    ttl=st.integers(1, 5000),
    edge=st.integers(1, 5000),
    wanted=st.none() | st.integers(1, 3600),
)
def test_a_mandate_never_outlives_what_it_descends_from(ttl, edge, wanted):
    world = World()
    source, target = world.start(ttl=86_000), world.start(ttl=ttl)
    delegation = world.delegate(source, target, "read", ttl=edge)
    lifetime = None if wanted is None else timedelta(seconds=wanted)
    outcome = ask(world, target, delegation, lifetime=lifetime)
    if isinstance(outcome, Refused):
        assert wanted is not None
        assert wanted > edge
        return
    assert outcome.expires_at <= min(target.expires_at, delegation.grant.expires_at)
    assert outcome.expires_at <= NOW + timedelta(seconds=wanted or 900)
