"""Rules P1 to P8 and P12 of docs/policy.md."""

import hashlib

import pytest

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.problems import PolicyInvalid
from caracal.authority.policy.requests import Effect, Phase, PolicyDecision
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.scopes import LIFECYCLE, ScopeSet
from tests.authority.policy.ticketing import MAIL, TICKETS, VOCABULARY, asking

PERMIT_ALL = "permit (principal, action, resource);"


def decide(text: str, **changes: object) -> PolicyDecision:
    return PolicyEngine.compile(text, VOCABULARY).decide(asking(**changes))


@pytest.mark.parametrize(
    "text", ["", "// nothing yet\n", "forbid (principal, action, resource) unless { true };"]
)
def test_nothing_is_permitted_without_a_permit(text: str) -> None:
    assert decide(text) == PolicyDecision(Effect.NO_PERMIT)


def test_a_permit_permits_what_it_names_and_nothing_else() -> None:
    text = (
        'permit (principal == Application::"intake", action == Action::"tickets:read",'
        f' resource == Resource::"{TICKETS}");'
    )
    assert decide(text) == PolicyDecision(Effect.PERMIT, ("policy0",))
    assert decide(text).permitted
    for change in ({"application": "triage"}, {"scope": "tickets:write"}, {"scope": "shared:use"}):
        assert decide(text, **change) == PolicyDecision(Effect.NO_PERMIT)
    assert not decide(text, resource=MAIL, scope="shared:use").permitted


def test_one_forbid_beats_any_number_of_permits() -> None:
    text = (
        PERMIT_ALL * 3
        + '@id("no writing") forbid (principal, action == Action::"tickets:write", resource);'
    )
    assert decide(text, scope="tickets:write") == PolicyDecision(Effect.FORBID, ("no writing",))
    assert decide(text) == PolicyDecision(Effect.PERMIT, ("policy0", "policy1", "policy2"))


@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_a_policy_that_fails_refuses_whatever_the_others_say(effect: str) -> None:
    overflow = "context.delegation.hops * 9223372036854775807 > 0"
    text = (
        PERMIT_ALL + f'@id("broken") {effect} (principal, action, resource) when {{ {overflow} }};'
    )
    decision = decide(text, hops=2)
    assert decision.effect is Effect.ERROR
    assert decision.policies == ("broken",)
    assert "overflow" in decision.detail
    assert not decision.permitted
    assert decide(text, hops=0).effect is not Effect.ERROR


def test_a_policy_about_someone_else_can_not_fail_here() -> None:
    overflow = "context.delegation.hops * 9223372036854775807 > 0"
    text = (
        PERMIT_ALL
        + f'permit (principal == Application::"triage", action, resource) when {{ {overflow} }};'
    )
    assert decide(text, hops=2).permitted
    assert decide(text, hops=2, application="triage").effect is Effect.ERROR


@pytest.mark.parametrize(
    "unknown",
    [
        {"application": "nobody"},
        {"scope": "tickets:delete"},
        {"resource": "https://nowhere.example"},
        {"scope": "mail:send"},
        {"resource": MAIL, "scope": LIFECYCLE},
        {"application": "\ud800"},
    ],
    ids=["application", "scope", "resource", "scope of another resource", "lifecycle", "no text"],
)
def test_what_the_zone_does_not_know_is_not_permitted(unknown: dict[str, str]) -> None:
    assert decide(PERMIT_ALL, **unknown) == PolicyDecision(Effect.NO_PERMIT)


@pytest.mark.parametrize(
    ("condition", "met", "unmet"),
    [
        ('context.phase == "call"', {"phase": Phase.CALL}, {}),
        (
            'context.session.labels.contains("pii")',
            {"session_labels": ("pii", "eu")},
            {"session_labels": ("eu",)},
        ),
        ('context.session.lifecycle == "task"', {"session_lifecycle": "task"}, {}),
        ("context.session.depth > 0", {"session_depth": 1}, {}),
        ("context.delegation.hops == 3", {"hops": 3}, {"hops": 2}),
        ('context.delegation.root == "triage"', {"root_application": "triage"}, {}),
        ('context.call.operation == "GET /t/{id}"', {"operation": "GET /t/{id}"}, {}),
        ('context.call.method == "GET"', {"method": "GET"}, {}),
        ('context.call.path like "/t/*"', {"path": "/t/7"}, {"path": "/u/7"}),
        ('context.call == {operation: "", method: "PUT", path: ""}', {"method": "PUT"}, {}),
        ('context["session"]["labels"] == ["a", "b"]', {"session_labels": ("b", "a")}, {}),
        ("context has delegation.root && context.delegation.hops < 1", {}, {"hops": 1}),
        ('{c: context}.c.phase == "call"', {"phase": Phase.CALL}, {}),
        ('{"Var": "context", ".": 1}.Var == context.call.path', {"path": "context"}, {}),
    ],
)
def test_every_fact_of_the_context_can_decide(
    condition: str, met: dict[str, object], unmet: dict[str, object]
) -> None:
    engine = PolicyEngine.compile(
        f"permit (principal, action, resource) when {{ {condition} }};", VOCABULARY
    )
    for _ in range(2):  # the second time from memory
        assert engine.decide(asking(**met)).permitted
        assert engine.decide(asking(**unmet)) == PolicyDecision(Effect.NO_PERMIT)


@pytest.mark.parametrize("change", [{"hops": 2**63}, {"root_application": "\ud800"}])
def test_a_fact_that_cedar_can_not_hold_refuses(change: dict[str, object]) -> None:
    text = (
        "permit (principal, action, resource)"
        ' when { context.delegation.hops > 0 || context.delegation.root != "triage" };'
    )
    decision = decide(text, **change)
    assert decision.effect is Effect.ERROR
    assert decision.policies == ()
    assert decision.detail


def test_a_name_that_cedar_can_not_hold_refuses() -> None:
    vocabulary = PolicyVocabulary(frozenset({"\ud800"}), {TICKETS: ScopeSet.of("tickets:read")})
    engine = PolicyEngine.compile(PERMIT_ALL, vocabulary)
    assert engine.decide(asking(application="\ud800")).effect is Effect.ERROR


def test_policies_are_named_by_their_id_or_their_place() -> None:
    engine = PolicyEngine.compile(PERMIT_ALL + '@id("ünique") ' + PERMIT_ALL, VOCABULARY)
    assert engine.policy_ids == ("policy0", "ünique")
    assert engine.decide(asking()).policies == ("policy0", "ünique")


def test_the_digest_is_the_hash_of_the_text() -> None:
    text = "// é\n" + PERMIT_ALL
    assert (
        PolicyEngine.compile(text, VOCABULARY).digest == hashlib.sha256(text.encode()).hexdigest()
    )


def test_a_text_with_problems_is_not_compiled_and_says_why() -> None:
    text = 'permit (principal == Application::"nobody", action, resource);' * 5
    with pytest.raises(
        PolicyInvalid, match=r'1:22: the zone has no application "nobody".*2 more'
    ) as caught:
        PolicyEngine.compile(text, VOCABULARY)
    assert len(caught.value.problems) == 5


def test_a_stored_text_outlives_the_names_it_uses() -> None:
    text = (
        'permit (principal == Application::"gone", action, resource);'
        f'permit (principal == Application::"intake", action, resource == Resource::"{TICKETS}");'
    )
    engine = PolicyEngine.load(text, VOCABULARY)
    assert engine.decide(asking()).permitted
    assert engine.decide(asking(application="gone")) == PolicyDecision(Effect.NO_PERMIT)
    with pytest.raises(PolicyInvalid):
        PolicyEngine.load("permit (", VOCABULARY)


def test_a_changed_zone_changes_what_the_same_policies_know() -> None:
    engine = PolicyEngine.compile(PERMIT_ALL, VOCABULARY)
    assert engine.decide(asking()).permitted
    smaller = engine.with_vocabulary(PolicyVocabulary(frozenset({"triage"}), VOCABULARY.resources))
    assert not smaller.decide(asking()).permitted
    assert smaller.decide(asking(application="triage")).permitted
    assert smaller.digest == engine.digest


def test_what_is_remembered_is_bounded_and_forgetting_changes_no_answer() -> None:
    text = "".join(
        f'permit (principal, action, resource) when {{ context.call.path == "/{at}" }};'
        for at in range(3000)
    )
    engine = PolicyEngine.load(text, VOCABULARY)
    remembered = 0
    for at in range(0, 3000, 1500):
        for application in ("intake", "triage"):
            request = asking(application=application, path=f"/{at}", phase=Phase.CALL)
            assert engine.decide(request).policies == (f"policy{at}",)
        remembered = max(remembered, engine._weight)
    assert remembered >= 3000
    long = asking(path="/" + "x" * 300)
    weight = engine._weight
    assert engine.decide(long) == engine.decide(long) == PolicyDecision(Effect.NO_PERMIT)
    assert engine._weight == weight


def test_memory_beyond_its_bound_starts_afresh() -> None:
    engine = PolicyEngine.compile(
        "permit (principal, action, resource) when { context.delegation.hops < 100 };", VOCABULARY
    )
    engine._weight = 131_070  # as after as many decisions
    weights = []
    for hops in (0, 1, 0, 1, 100):
        assert engine.decide(asking(hops=hops)).permitted is (hops < 100)
        weights.append(engine._weight)
    assert max(weights) <= 131_072
    assert weights[-1] < 10
