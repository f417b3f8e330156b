"""Which call goes through."""

from dataclasses import replace

import pytest
from msgspec import structs

from caracal.authority.admission import AdmittedCall, Call, decide_admission
from caracal.authority.mandates import MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Enforcement
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from tests.authority.test_exchange import ALPHA, BETA, resource, zone
from tests.authority.worlds import NOW, ORDERS, STOCK, World, agreed

READ = Call(ORDERS, "GET", ("items", "7"))


@pytest.fixture
def held():
    """A live session and a mandate with the scope `read` for the orders."""
    world = World()
    source, target = world.start(), world.start()
    return target, world.mint(target, world.delegate(source, target, "read"))


def admit(held, call=READ, *, in_zone=None, session="its own", **changed):
    own, mandate = held
    return decide_admission(
        in_zone or zone(),
        structs.replace(mandate, **changed),
        own if session == "its own" else session,
        call,
        now=NOW,
    )


def refusal(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def uniform(zone_value):
    target = replace(resource(ORDERS), enforcement=Enforcement.TRANSPORT_UNIFORM)
    return replace(zone_value, resources={ORDERS: target})


def test_a_declared_operation_with_its_scope_is_admitted(held):
    admitted = agreed(admit(held))
    assert isinstance(admitted, AdmittedCall)
    assert admitted.operation.name == "GET /items/{id}"
    assert admitted.policies == ("alpha-reads",)


def test_an_undeclared_operation_is_refused(held):
    assert (
        refusal(admit(held, Call(ORDERS, "DELETE", ("items", "7")))) is Reason.OPERATION_UNDECLARED
    )


def test_an_operation_whose_scope_is_missing_is_refused_and_the_scope_named(held):
    outcome = admit(held, Call(ORDERS, "POST", ("items",)))
    assert refusal(outcome) is Reason.OPERATION_SCOPE_MISSING
    assert "write" in outcome.detail
    empty = admit(held, scopes=NO_SCOPES)
    assert refusal(empty) is Reason.OPERATION_SCOPE_MISSING


@pytest.mark.parametrize(
    "wrong", [MandateClass.SESSION, MandateClass.RESOURCE, MandateClass.ACCESS]
)
def test_only_a_gateway_mandate_is_admitted(held, wrong):
    assert refusal(admit(held, mandate_class=wrong)) is Reason.MANDATE_CLASS


def test_without_a_live_session_nothing_is_admitted(held):
    assert refusal(admit(held, session=None)) is Reason.SESSION_NOT_LIVE
    ended = replace(held[0], started_at=NOW - held[0].ttl)
    assert refusal(admit(held, session=ended)) is Reason.SESSION_NOT_LIVE


def test_an_application_that_is_gone_or_switched_off_is_refused(held):
    gone = replace(zone(), applications={})
    assert refusal(admit(held, in_zone=gone)) is Reason.CLIENT_UNKNOWN
    off = replace(zone(), applications={"alpha": replace(ALPHA, enabled=False)})
    assert refusal(admit(held, in_zone=off)) is Reason.CLIENT_UNKNOWN


def test_a_resource_that_the_mandate_does_not_name_is_refused(held):
    assert refusal(admit(held, structs.replace(READ, resource=STOCK))) is Reason.TARGET_MISMATCH
    unknown = structs.replace(READ, resource="https://none.example")
    assert refusal(admit(held, unknown)) is Reason.RESOURCE_UNKNOWN


def test_policy_is_asked_again_at_the_call_and_sees_its_path(held):
    narrow = zone(
        'permit (principal, action, resource) when { context.call.path like "/items/7*" };'
    )
    assert isinstance(admit(held, in_zone=narrow), AdmittedCall)
    other = Call(ORDERS, "GET", ("items", "8"))
    assert refusal(admit(held, other, in_zone=narrow)) is Reason.POLICY_NO_PERMIT


@pytest.mark.parametrize(
    "handed_on",
    [
        None,
        replace(BETA, enabled=False),
        replace(BETA, expires_at=NOW),
    ],
    ids=["removed", "disabled", "expired"],
)
@pytest.mark.parametrize("position", [0, 1])
def test_what_an_application_handed_on_is_refused_once_it_is_not_usable(held, handed_on, position):
    session, mandate = held
    hop = structs.replace(mandate.chain[0], application_id="beta")
    chain = (*mandate.chain[:position], hop, *mandate.chain[position:])
    passed_on = (session, structs.replace(mandate, chain=chain))
    assert isinstance(admit(passed_on), AdmittedCall)
    applications = {"alpha": ALPHA} | ({} if handed_on is None else {"beta": handed_on})
    outcome = admit(passed_on, in_zone=replace(zone(), applications=applications))
    assert refusal(outcome) is Reason.CLIENT_UNKNOWN
    assert "beta in the delegation chain" in outcome.detail


def test_without_a_chain_the_application_itself_is_the_root(held):
    root_only = zone(
        'permit (principal, action, resource) when { context.delegation.root == "Alpha" };'
    )
    assert isinstance(admit(held, in_zone=root_only, chain=()), AdmittedCall)


def test_without_enforcement_of_operations_the_scopes_are_the_boundary(held):
    call = Call(ORDERS, "PATCH", ("anything", "else"))
    assert isinstance(admit(held, call, in_zone=uniform(zone())), AdmittedCall)
    refused = admit(held, call, in_zone=uniform(zone()), scopes=ScopeSet.of("delete"))
    assert refusal(refused) is Reason.POLICY_FORBID
    none = admit(held, call, in_zone=uniform(zone()), scopes=NO_SCOPES)
    assert refusal(none) is Reason.SCOPE_MISSING
