"""Policies read the arguments of a call to an MCP server, and are never given anything else for them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.events import Entry, Kind, Verdict
from caracal.authority.policy.arguments import MAX_MEMBERS, MAX_TEXT, pick
from caracal.authority.policy.engine import PolicyEngine, PolicyInvalid, PolicyVocabulary
from caracal.authority.policy.recording import Missing, read_asked
from caracal.authority.policy.remedy import Remedy, explain_policy
from caracal.authority.policy.replay import Replay
from caracal.authority.policy.requests import Effect, Phase, PolicyRequest
from caracal.authority.scopes import Scope, ScopeSet

PAY = "resource://pay"
VOCABULARY = PolicyVocabulary(frozenset({"agent"}), {PAY: ScopeSet.of("pay:send", "pay:read")})
SMALL = """
@id("small") permit (principal, action == Action::"pay:send", resource)
when { context.call.arguments has amount && context.call.arguments.amount < 100 };
@id("not-mallory") forbid (principal, action, resource)
when { context.call.arguments has to.name && context.call.arguments.to.name == "mallory" };
"""


def engine(text: str = SMALL) -> PolicyEngine:
    return PolicyEngine.compile(text, VOCABULARY)


def ask(arguments, text: str = SMALL, scope: str = "pay:send", **more):
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    request = PolicyRequest(Phase.CALL, "agent", Scope(scope), PAY, arguments=said, **more)
    return engine(text).decide(request)


@pytest.mark.parametrize(
    ("arguments", "effect"),
    [
        ({"amount": 99}, Effect.PERMIT),
        ({"amount": 100}, Effect.NO_PERMIT),
        ({}, Effect.NO_PERMIT),
        ("", Effect.NO_PERMIT),
        ({"amount": "1"}, Effect.ERROR),
        ({"amount": 1.5}, Effect.ERROR),
        ({"amount": None}, Effect.ERROR),
        ({"amount": True}, Effect.ERROR),
        ({"amount": [1]}, Effect.ERROR),
        ({"amount": {"value": 1}}, Effect.ERROR),
        ({"amount": 2**53}, Effect.ERROR),
        ({"amount": -(2**53)}, Effect.ERROR),
        ({"amount": 1, "to": {"name": "alice"}}, Effect.PERMIT),
        ({"amount": 1, "to": {"name": "mallory"}}, Effect.FORBID),
        ({"amount": 1, "to": {}}, Effect.PERMIT),
        ({"amount": 1, "to": "mallory"}, Effect.ERROR),
        ({"amount": 1, "note": {"deep": [[None, 1.5]]}}, Effect.PERMIT),
    ],
    ids=str,
)
def test_a_decision_depends_on_what_an_argument_is(arguments, effect):
    assert ask(arguments).effect is effect


KINDS = [
    ('context.call.arguments.a == "x"', {"a": "x"}),
    ('"x" != context.call.arguments.a', {"a": "y"}),
    ('context.call.arguments.a like "x*"', {"a": "xyz"}),
    ('["x", "y"].contains(context.call.arguments.a)', {"a": "y"}),
    ("[1, 2].contains(context.call.arguments.a)", {"a": 2}),
    ("context.call.arguments.a >= -1", {"a": -1}),
    ("context.call.arguments.a + 1 == 3", {"a": 2}),
    ("context.call.arguments.a == 7", {"a": 7}),
    ("context.call.arguments.a", {"a": True}),
    ("!context.call.arguments.a", {"a": False}),
    ("context.call.arguments.a == true", {"a": True}),
    ("if context.call.arguments.a then true else false", {"a": True}),
    ('context.call.arguments.a.contains("x")', {"a": ["y", "x"]}),
    ("context.call.arguments.a.contains(1)", {"a": [1]}),
    ('context.call.arguments.a.containsAll(["x"])', {"a": ["y", "x"]}),
    ("context.call.arguments.a.containsAny([1, 2])", {"a": [2]}),
    ('context.call.arguments["a"]["b c"] == "x"', {"a": {"b c": "x"}}),
]


@pytest.mark.parametrize(("condition", "arguments"), KINDS, ids=str)
def test_what_an_argument_is_compared_with_says_what_it_is_taken_for(condition, arguments):
    guard = "context.call.arguments has a"
    if '"b c"' in condition:
        guard += ' && context.call.arguments.a has "b c"'
    text = f"permit (principal, action, resource) when {{ {guard} && ({condition}) }};"
    assert ask(arguments, text).effect is Effect.PERMIT
    assert ask({}, text).effect is Effect.NO_PERMIT
    assert ask({"a": None}, text).effect is not Effect.FORBID


TWICE = (
    "context.call.arguments has a && context.call.arguments.a == 1 && "
    'context.call.arguments.a == "x"'
)
RECORD = (
    "context.call.arguments has a.b && context.call.arguments.a.b == 1 && "
    'context.call.arguments.a == "x"'
)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("context.call.arguments.a == 1", "access to optional attribute"),
        ("context.call.arguments == {a: 1}", "one by one"),
        (TWICE, "more than one type: as Long and as String"),
        (RECORD, "a record and as String"),
        ('context.call.arguments has "a\\n" && context.call.arguments["a\\n"] == 1', "can not be seen"),
        ("context.call.arguments has a && context.call.arguments.a.contains(true)", ""),
        ("context.call.arguments has a && [true].contains(context.call.arguments.a)", ""),
        ("context.call.arguments has a && [].contains(context.call.arguments.a)", ""),
        ("context.call.arguments has a && principal in context.call.arguments.a", ""),
    ],
)  # fmt: skip
def test_arguments_that_are_read_badly_are_no_policy(condition, problem):
    with pytest.raises(PolicyInvalid) as invalid:
        engine(f"permit (principal, action, resource) when {{ {condition} }};")
    assert problem in str(invalid.value)


def test_what_can_not_be_read_is_there_and_equals_nothing():
    text = """permit (principal, action, resource) when { context.call.arguments has a } unless {
        context.call.arguments.a == "x" };"""
    for value in (None, 1.5, ["x"], {"x": "x"}, "x" * (MAX_TEXT + 1), ["x"] * (MAX_MEMBERS + 1)):
        assert ask({"a": value}, text).effect is Effect.PERMIT
    assert ask({"a": "x"}, text).effect is Effect.NO_PERMIT
    assert pick('{"a":[["x"],1]}', [("a",)])["a"]["__entity"]["id"] == "list"


def test_the_same_argument_may_be_something_else_to_another_policy():
    text = """
    permit (principal, action == Action::"pay:read", resource)
    when { context.call.arguments has a && context.call.arguments.a == "x" };
    permit (principal, action == Action::"pay:send", resource)
    when { context.call.arguments has a && context.call.arguments.a < 7 };"""
    assert ask({"a": 1}, text).effect is Effect.PERMIT
    assert ask({"a": "x"}, text, "pay:read").effect is Effect.PERMIT


def test_a_list_shows_what_some_arguments_would_allow():
    assert ask("", hypothetical=True).effect is Effect.PERMIT
    assert ask("", scope="pay:read", hypothetical=True).effect is Effect.NO_PERMIT
    never = SMALL + '@id("never") forbid (principal, action, resource);'
    assert ask("", never, hypothetical=True).effect is Effect.FORBID
    small = engine()
    for arguments in ("", '{"amount":1}', '{"amount":1000}'):
        request = PolicyRequest(
            Phase.CALL, "agent", Scope("pay:send"), PAY, arguments=arguments, hypothetical=True
        )
        assert small.decide(request).policies == ("small",)
    plain = "permit (principal, action, resource);" + SMALL
    assert ask("", plain, hypothetical=True).policies == ("policy0",)


@given(st.dictionaries(st.text(max_size=4), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8), max_size=4))  # fmt: skip
def test_arguments_that_no_policy_reads_change_nothing(arguments):
    for name in ("amount", "to"):
        arguments.pop(name, None)
    assert ask(arguments | {"amount": 1}).effect is Effect.PERMIT


def call_entry(**more) -> Entry:
    return Entry(
        format=1, kind=Kind.CALL, zone="z", at=1, request="r", verdict=Verdict.ALLOW,
        application_name="agent", resource=PAY, operation="tools/call pay", scopes="pay:send",
        lifecycle="task", policies=("small",), **more,
    )  # fmt: skip


def test_a_decision_on_arguments_is_replayed_where_they_are_on_record_and_counted_elsewhere():
    kept = call_entry(arguments="d" * 64, argument_values='{"amount":1}')
    digest = call_entry(arguments="d" * 64)
    without = call_entry()
    replay = Replay(lambda _: engine())
    for index, entry in enumerate((kept, digest, without)):
        replay.take(index, entry)
    report = replay.report()
    assert [(one.why, one.count) for one in report.unreplayed] == [(Missing.ARGUMENTS, 1)]
    assert (report.replayed, report.differing) == (2, 1)
    indifferent = Replay(lambda _: engine('@id("small") permit (principal, action, resource);'))
    indifferent.take(0, digest)
    assert (indifferent.report().replayed, indifferent.report().differing) == (1, 0)


def test_the_query_of_an_api_is_no_argument():
    entry = call_entry(arguments="d" * 64)
    api = read_asked(Entry(**{name: getattr(entry, name) for name in entry.__struct_fields__}
                           | {"operation": "GET /a"}))  # fmt: skip
    assert not isinstance(api, Missing)
    assert api.arguments_known


def test_nothing_is_claimed_of_a_refusal_whose_arguments_are_not_on_record():
    refused = call_entry(arguments="d" * 64)
    assert explain_policy(refused, SMALL) == Remedy()
