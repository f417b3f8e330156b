"""A decision is the same with and without slices, memory, and whatever the order of the policies."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Effect, Phase, PolicyRequest
from caracal.authority.policy.validation import validate
from caracal.authority.scopes import Scope
from tests.authority.policy.ticketing import (
    APPLICATIONS,
    MAIL,
    SCOPES,
    TICKETS,
    VOCABULARY,
    ask_cedar,
)

CONDITIONS = (
    "true",
    'context.phase == "call"',
    "context.delegation.hops > 1",
    "context.delegation.hops * 9223372036854775807 > 0",
    "context.session.depth + context.delegation.hops < 3",
    'context.session.labels.contains("pii")',
    'context.session.labels.containsAny(["eu", "pii"])',
    'context.session has labels && context.session.lifecycle == "task"',
    'context.call.path like "/t/*"',
    'context.call == {operation: "", method: "", path: ""}',
    'if context.phase == "exchange" then true else context.call.method == "GET"',
    'principal == Application::"intake"',
    'principal == Application::"intake" && context.delegation.root == "triage"',
    'action in [Action::"tickets:read", Action::"shared:use"]',
    f'[Resource::"{MAIL}"].contains(resource)',
    'context == {phase: "call", session: context.session, delegation: context.delegation, call: context.call}',
    '{c: context.delegation}.c.hops == 2 || resource in Application::"triage"',
)


def literal(kind: str, name: str) -> str:
    quoted = name.replace('"', '\\"')
    return f'{kind}::"{quoted}"'


def heads(variable: str, kind: str, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    one = st.sampled_from(names).map(lambda name: literal(kind, name))
    return st.one_of(
        st.just(variable),
        st.just(f"{variable} is {kind}"),
        one.map(lambda entity: f"{variable} == {entity}"),
        one.map(lambda entity: f"{variable} in {entity}"),
        one.map(lambda entity: f"{variable} is {kind} in {entity}"),
    )


ACTION_HEADS = st.one_of(
    st.just("action"),
    st.sampled_from(SCOPES).map(lambda name: f"action == {literal('Action', name)}"),
    st.sampled_from(SCOPES).map(lambda name: f"action in {literal('Action', name)}"),
    st.lists(st.sampled_from(SCOPES), max_size=3).map(
        lambda names: f"action in [{', '.join(literal('Action', name) for name in names)}]"
    ),
)

POLICIES = st.builds(
    lambda effect, principal, action, resource, clauses: (
        f"{effect} ({principal}, {action}, {resource}) {clauses};"
    ),
    st.sampled_from(("permit", "permit", "forbid")),
    heads("principal", "Application", APPLICATIONS),
    ACTION_HEADS,
    heads("resource", "Resource", (TICKETS, MAIL)),
    st.lists(
        st.builds(
            lambda word, condition: f"{word} {{ {condition} }}",
            st.sampled_from(("when", "unless")),
            st.sampled_from(CONDITIONS),
        ),
        max_size=2,
    ).map(" ".join),
)

KNOWN = [(TICKETS, "tickets:read"), (TICKETS, "tickets:write"), (TICKETS, "shared:use")]
KNOWN += [(MAIL, "mail:send"), (MAIL, "shared:use")]

REQUESTS = st.builds(
    lambda target, **facts: PolicyRequest(resource=target[0], scope=Scope(target[1]), **facts),
    st.sampled_from(KNOWN),
    phase=st.sampled_from(Phase),
    application=st.sampled_from(APPLICATIONS),
    session_labels=st.sampled_from([(), ("pii",), ("eu", "pii"), ("pii", "eu"), ("other",)]),
    session_lifecycle=st.sampled_from(["", "task", "service"]),
    session_depth=st.integers(0, 2),
    hops=st.integers(0, 3),
    root_application=st.sampled_from(["intake", "triage"]),
    method=st.sampled_from(["", "GET"]),
    path=st.sampled_from(["", "/t/1", "/u"]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(POLICIES, max_size=6), st.lists(REQUESTS, min_size=1, max_size=6))
def test_a_decision_is_the_one_cedar_gives_for_the_whole_text(
    policies: list[str], requests: list[PolicyRequest]
) -> None:
    text = "\n".join(policies)
    engine = PolicyEngine.load(text, VOCABULARY)
    for request in [*requests, *requests]:
        decision = engine.decide(request)
        expected = ask_cedar(text, request)
        assert (decision.effect, decision.policies) == (expected.effect, expected.policies)
        assert decision == PolicyEngine.load(text, VOCABULARY).decide(request)
        if decision.permitted:
            assert any(policies[int(name[6:])].startswith("permit") for name in decision.policies)


@settings(max_examples=100, deadline=None)
@given(st.lists(POLICIES, max_size=6), REQUESTS, st.randoms(use_true_random=False))
def test_the_order_of_policies_does_not_matter(policies, request_, random) -> None:
    named = [f'@id("{at}") {policy}' for at, policy in enumerate(policies)]
    shuffled = random.sample(named, len(named))
    first = PolicyEngine.load(" ".join(named), VOCABULARY).decide(request_)
    second = PolicyEngine.load(" ".join(shuffled), VOCABULARY).decide(request_)
    assert (first.effect, set(first.policies)) == (second.effect, set(second.policies))


@settings(max_examples=100, deadline=None)
@given(st.lists(POLICIES, max_size=4), POLICIES, REQUESTS)
def test_removing_permits_never_permits_more(policies, more, request_) -> None:
    only_forbids = [policy for policy in policies if policy.startswith("forbid")]
    decision = PolicyEngine.load(" ".join(only_forbids), VOCABULARY).decide(request_)
    assert not decision.permitted
    with_one = PolicyEngine.load(" ".join([*only_forbids, more]), VOCABULARY).decide(request_)
    if with_one.permitted:
        assert decision.effect is Effect.NO_PERMIT
        assert more.startswith("permit")


@settings(max_examples=60, deadline=None)
@given(st.lists(POLICIES, min_size=1, max_size=5))
def test_validating_in_groups_finds_what_cedar_finds_for_the_whole(policies) -> None:
    text = "\n".join(policies)
    problems = validate(text, VOCABULARY)
    mismatched = [
        policy
        for policy in policies
        if re.search(rf'Action::"mail:send".*(==|in) Resource::"{TICKETS}"', policy)
        or re.search(rf'Action::"tickets:(read|write)".*(==|in) Resource::"{MAIL}"', policy)
        or "action in []" in policy
    ]
    complained = {problem.line for problem in problems}
    assert complained == {at for at, policy in enumerate(policies, 1) if policy in mismatched}
