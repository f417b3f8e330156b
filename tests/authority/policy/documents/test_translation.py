"""The Cedar that comes of data documents decides as the documents themselves say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.policy.documents.bundle import Bundle, merge
from caracal.authority.policy.documents.data_document import parse_data_document
from caracal.authority.policy.documents.problems import BundleInvalid
from caracal.authority.policy.documents.translation import ZoneNames, translate
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Asked, Effect, Phase, PolicyRequest
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.scopes import LIFECYCLE, Scope, ScopeSet
from tests.authority.policy.documents.writing import document

# Names that would be patterns, prefixes of each other or ends of a string, were they not plain names.
SCOPES = ["read", "read:*", "*", 'a"b'.replace('"', "'"), "write", "undeclared", LIFECYCLE]
RESOURCES = ["res://a", "res://*", 'res://a"||true||"', "res://none"]
ROLES = ["r", "r*", "tenant:1", "tenant:2", '") || true || ("', "\\", " "]
APPLICATIONS = {"id-1": "one", "id-2": "two"}
NAMES = ZoneNames(
    applications=APPLICATIONS,
    resources={
        uri: frozenset(map(Scope, SCOPES)) - {"undeclared"}
        for uri in RESOURCES
        if uri != "res://none"
    },
)
VOCABULARY = PolicyVocabulary(
    frozenset(APPLICATIONS.values()),
    {uri: ScopeSet(scopes) for uri, scopes in NAMES.resources.items()},
)

scopes = st.lists(st.sampled_from(SCOPES), max_size=4)
keys = st.sampled_from(["one", "alias", "other"])
bundles = st.fixed_dictionaries(
    {
        "app_ids": st.dictionaries(keys, st.sampled_from([*APPLICATIONS, "id-gone"])),
        "grants": st.dictionaries(
            st.sampled_from(RESOURCES),
            st.fixed_dictionaries(
                {
                    "application": keys,
                    "roles": st.dictionaries(st.sampled_from(ROLES), scopes),
                }
            ),
        ),
    },
    optional={
        "confinement": st.lists(
            st.fixed_dictionaries(
                {
                    "label_prefix": st.sampled_from(["", "tenant:", "r", "tenant:1"]),
                    "scopes": scopes,
                }
            ),
            max_size=2,
        ),
        "restrict": st.lists(st.just("why"), max_size=1),
        "risk": st.dictionaries(st.sampled_from(SCOPES), st.sampled_from(["high", "low"])).map(
            lambda tiers: [{"scope": scope, "tier": tier} for scope, tier in tiers.items()]
        ),
        "approval_tiers": st.lists(
            st.fixed_dictionaries({"tier": st.sampled_from(["high", "unused"])}), max_size=2
        ),
    },
)
requests = st.builds(
    PolicyRequest,
    phase=st.sampled_from(Phase),
    application=st.sampled_from([*APPLICATIONS.values(), "gone"]),
    scope=st.sampled_from(SCOPES).map(Scope),
    resource=st.sampled_from(RESOURCES),
    session_labels=st.lists(st.sampled_from([*ROLES, "tenant", "ten"]), max_size=3).map(tuple),
)


def permitted_by_reading(rules: dict, request: PolicyRequest) -> bool:
    """What the documents mean, without Cedar: straight from their JSON."""
    ids = {name: id_ for id_, name in APPLICATIONS.items()}
    grant = rules["grants"].get(request.resource)
    labels, scope = request.session_labels, request.scope
    if grant is None or rules.get("restrict") or scope == LIFECYCLE:
        return False
    owner = rules["app_ids"].get(grant["application"])
    if owner is None or owner != ids.get(request.application):
        return False
    for rule in rules.get("confinement", ()):
        confined = any(label.startswith(rule["label_prefix"]) for label in labels)
        if confined and scope not in rule["scopes"]:
            return False
    tiers = {entry["tier"] for entry in rules.get("approval_tiers", ())}
    if any(risk["scope"] == scope and risk["tier"] in tiers for risk in rules.get("risk", ())):
        return False
    declared = NAMES.resources.get(request.resource, frozenset())
    return scope in declared and any(scope in grant["roles"].get(label, ()) for label in labels)


def bundle_of(rules: dict) -> Bundle:
    return merge({"all": parse_data_document(document(**rules))})


@given(bundles, st.lists(requests, min_size=8, max_size=8))
def test_cedar_decides_as_a_direct_reading_does(rules, asked):
    translation = translate(bundle_of(rules), NAMES)
    engine = PolicyEngine.compile(translation.cedar, VOCABULARY)
    for request in asked:
        decision = engine.decide(request)
        assert decision.effect is not Effect.ERROR
        assert decision.permitted is permitted_by_reading(rules, request), translation.cedar


@given(bundles)
def test_how_a_document_is_cut_and_ordered_changes_nothing(rules):
    whole = translate(bundle_of(rules), NAMES)
    parts = {
        name: parse_data_document(document(**{name: value}))
        for name, value in reversed(rules.items())
    }
    assert translate(merge(parts), NAMES) == whole


def grant(*scopes: str, application: str = "one", role: str = "r") -> dict:
    return {"res://a": {"application": application, "roles": {role: list(scopes)}}}


def test_a_decision_names_the_role_and_the_resource():
    rules = {"app_ids": {"one": "id-1"}, "grants": grant("read")}
    engine = PolicyEngine.compile(translate(bundle_of(rules), NAMES).cedar, VOCABULARY)
    request = PolicyRequest(Phase.CALL, "one", Scope("read"), "res://a", ("r",))
    assert engine.decide(request).policies == ("r on res://a",)


def test_long_names_stay_ids_apart():
    uris = ["res://" + "a" * 200 + end for end in "12"]
    names = ZoneNames({"id-1": "one"}, {uri: frozenset({Scope("read")}) for uri in uris})
    grants = {uri: grant("read")["res://a"] for uri in uris}
    rules = bundle_of({"app_ids": {"one": "id-1"}, "grants": grants})
    vocabulary = PolicyVocabulary(frozenset({"one"}), {uri: ScopeSet.of("read") for uri in uris})
    ids = PolicyEngine.compile(translate(rules, names).cedar, vocabulary).policy_ids
    assert len(set(ids)) == 2
    assert all(len(one) == 128 for one in ids)


def test_what_the_zone_does_not_have_is_told_and_permits_nothing():
    rules = {
        "app_ids": {"one": "id-1", "gone": "id-gone"},
        "grants": grant("read", "undeclared")
        | {"res://none": {"application": "gone", "roles": {"r": ["read"]}}}
        | {"res://*": {"application": "nobody", "roles": {"r": ["read"]}}},
    }
    translation = translate(bundle_of(rules), NAMES)
    assert set(translation.unmatched) == {
        "res://*: app_ids has no nobody",
        "res://a does not declare undeclared",
        "res://none: the zone has no application id-gone",
        "the zone has no resource res://none",
    }
    assert translation.cedar.count("permit") == 1


def test_documents_that_contradict_each_other_are_no_bundle():
    one, two = (
        parse_data_document(document(grants=grant("read", application=key))) for key in ("a", "b")
    )
    with pytest.raises(BundleInvalid, match="grants is defined by first and, otherwise, by second"):
        merge({"first": one, "second": two})
    assert merge({"first": one, "again": one}).grants == one.grants


def test_restrictions_that_are_added_count_together():
    added = parse_data_document(document(restrict=[]).replace(":= []", 'contains "x"'))
    none = parse_data_document(document(restrict=[]))
    assert merge({"a": added, "b": none}).restrict == {"x"}


def test_the_prefixes_of_labels_are_a_fact_of_every_question():
    asked = Asked(Phase.EXCHANGE, "one", ScopeSet.of("read"), ("res://a",), ("ab", "c"))
    assert asked.session_label_prefixes == ("", "a", "ab", "c")
    question = asked.question("res://a", Scope("read"))
    assert question.session_label_prefixes == asked.session_label_prefixes
    assert PolicyRequest(Phase.CALL, "one", Scope("read"), "res://a").session_label_prefixes == ()
