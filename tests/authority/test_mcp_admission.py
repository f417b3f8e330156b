"""Which message to an MCP server goes through."""

from dataclasses import replace

import pytest
from msgspec import structs

from caracal.authority.admission import AdmittedCall, Call, decide_admission
from caracal.authority.mandates import MandateClass
from caracal.authority.mcp import METHODS, McpRequest, NameTable, ResourceKind, parse_name_rule
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import OperationTable
from caracal.authority.scopes import NO_SCOPES, ScopeSet
from tests.authority.test_exchange import resource, zone
from tests.authority.worlds import NOW, ORDERS, World, agreed

NAMELESS = sorted(method for method, target in METHODS.items() if not target)


def names(**scopes: str) -> NameTable:
    return NameTable(
        tuple(parse_name_rule(name.replace("any", "*"), scope) for name, scope in scopes.items())
    )


def server(policy: str | None = None):
    there = replace(
        resource(ORDERS),
        kind=ResourceKind.MCP,
        operations=OperationTable(()),
        tools=names(search="read", ticket_any="read", remove="delete"),
        prompts=names(ask="read"),
        contents=names(fileany="read"),
    )
    value = zone() if policy is None else zone(policy)
    return replace(value, resources={ORDERS: there})


@pytest.fixture
def held():
    """A live session and a mandate with the scope `read` for the server."""
    world = World()
    source, target = world.start(), world.start()
    return target, world.mint(target, world.delegate(source, target, "read"))


def ask(held, method, name="", *, of=None, **changed):
    session, mandate = held
    call = Call.to_mcp(ORDERS, McpRequest(method, name, "ab" if name else ""))
    return decide_admission(
        of or server(), structs.replace(mandate, **changed), session, call, now=NOW
    )


def reason(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


@pytest.mark.parametrize(
    ("method", "name", "declared"),
    [
        ("tools/call", "search", "tools/call search"),
        ("tools/call", "ticket_7", "tools/call ticket_*"),
        ("prompts/get", "ask", "prompts/get ask"),
        ("resources/read", "file:///a", "resources/read file*"),
        ("resources/subscribe", "file:///a", "resources/subscribe file*"),
    ],
)
def test_a_declared_name_with_its_scope_is_admitted_and_policy_sees_it(
    held, method, name, declared
):
    admitted = agreed(ask(held, method, name))
    assert isinstance(admitted, AdmittedCall)
    asked = admitted.asked
    assert (asked.method, asked.path, asked.operation) == (method, name, declared)
    assert asked.scopes == ScopeSet.of("read")
    assert admitted.call.name == f"{method} {name}"


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_an_unknown_name_is_told_apart_from_a_refused_one(held, method):
    assert reason(ask(held, method, "nothing")) is Reason.TOOL_UNKNOWN


def test_a_tool_whose_scope_the_mandate_lacks_is_refused(held):
    refused = ask(held, "tools/call", "remove")
    assert reason(refused) is Reason.OPERATION_SCOPE_MISSING
    assert refused.held == "read"
    assert "none" in ask(held, "tools/call", "remove", scopes=NO_SCOPES).detail


def test_a_prompt_is_no_tool(held):
    assert reason(ask(held, "tools/call", "ask")) is Reason.TOOL_UNKNOWN


@pytest.mark.parametrize("method", [*NAMELESS, "response", "GET", "DELETE"])
def test_what_names_nothing_needs_any_scope_of_the_server(held, method):
    admitted = agreed(ask(held, method))
    assert (admitted.asked.method, admitted.asked.path) == (method, "")
    assert admitted.asked.operation == admitted.call.name == method
    assert reason(ask(held, method, scopes=ScopeSet.of("elsewhere"))) is (
        Reason.OPERATION_SCOPE_MISSING
    )


def test_policy_is_not_asked_about_scopes_of_another_resource(held):
    admitted = agreed(ask(held, "ping", scopes=ScopeSet.of("read", "elsewhere")))
    assert admitted.asked.scopes == ScopeSet.of("read")


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "PUT", "Tools/call"])
def test_a_method_that_is_not_known_is_refused(held, method):
    assert reason(ask(held, method)) is Reason.OPERATION_UNDECLARED


def test_policy_can_forbid_one_tool(held):
    policy = (
        "permit (principal, action, resource);"
        'forbid (principal, action, resource) when { context.call.method == "tools/call"'
        ' && context.call.path == "ticket_7" };'
    )
    there = server(policy)
    assert reason(ask(held, "tools/call", "ticket_7", of=there)) is Reason.POLICY_FORBID
    agreed(ask(held, "tools/call", "ticket_8", of=there))


def test_a_call_of_the_other_kind_is_refused(held):
    session, mandate = held
    plain = Call(ORDERS, "GET", ("items", "7"))
    outcome = decide_admission(server(), mandate, session, plain, now=NOW)
    assert reason(outcome) is Reason.OPERATION_UNDECLARED
    assert reason(ask(held, "tools/call", "search", of=zone())) is Reason.OPERATION_UNDECLARED


def test_a_mandate_that_may_be_used_again_is_taken_at_an_endpoint_only(held):
    closed = server()
    opened = replace(closed, resources={ORDERS: replace(closed.resources[ORDERS], endpoint="o")})
    access = {"mandate_class": MandateClass.ACCESS}
    assert isinstance(ask(held, "tools/call", "search", of=opened, **access), AdmittedCall)
    refused = ask(held, "tools/call", "search", of=closed, **access)
    assert refused.reason is Reason.MANDATE_CLASS


def test_a_refusal_names_the_scope_that_one_more_would_take(held):
    assert ask(held, "tools/call", "remove").needed == "delete"
