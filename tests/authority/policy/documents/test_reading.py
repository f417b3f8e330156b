"""A data document is data: what else a text may hold is refused, with its line and its name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.policy.documents.data_document import (
    ApprovalTier,
    Approver,
    Confinement,
    DataDocument,
    Ownership,
    Privacy,
    parse_data_document,
)
from caracal.authority.policy.documents.problems import DocumentInvalid, Place
from caracal.authority.policy.documents.tokens import MAX_CHARACTERS
from tests.authority.policy.documents.writing import HEAD, document

WHOLE = {
    "app_ids": {"research": "app-1"},
    "grants": {
        "res://a": {
            "application": "research",
            "roles": {"researcher": ["read"], "editor": ["read", "write"]},
        }
    },
    "confinement": [{"label_prefix": "tenant:", "scopes": ["read"]}],
    "restrict": [],
    "risk": [{"scope": "write", "tier": "high"}],
    "approval_tiers": [
        {"tier": "high", "approver": "subject", "ttl_seconds": 600, "privacy": "pseudonymous"},
        {"tier": "higher"},
    ],
}


def read(text: str) -> DataDocument | DocumentInvalid:
    try:
        return parse_data_document(text)
    except DocumentInvalid as invalid:
        return invalid


def refused(text: str) -> DocumentInvalid:
    with pytest.raises(DocumentInvalid) as caught:
        parse_data_document(text)
    return caught.value


def test_what_clients_write_is_read():
    assert parse_data_document(document(**WHOLE)) == DataDocument(
        app_ids={"research": "app-1"},
        grants={
            "res://a": Ownership(
                "research",
                {"researcher": frozenset({"read"}), "editor": frozenset({"read", "write"})},
            )
        },
        confinement=frozenset({Confinement("tenant:", frozenset({"read"}))}),
        restrict=frozenset(),
        risk={"write": "high"},
        approval_tiers=frozenset(
            {
                ApprovalTier("high", Approver.SUBJECT, 600, Privacy.PSEUDONYMOUS),
                ApprovalTier("higher"),
            }
        ),
    )


def test_people_write_it_over_several_lines_with_comments_sets_and_raw_strings():
    text = (
        "# written by hand\r\n\n# caracal:data-document  \npackage caracal.authz # here\n"
        "app_ids = { # who\n  `research`: 'app-1',\n}\n".replace("'", '"')
        + 'grants := {"res://a": {\n"roles": {"r": {"read", "write",}, "none": set()},\n'
        '"application": "research"}} # all\n'
        'restrict contains "maintenance" # added\nrestrict contains 7\n'
        'confinement := [{"label_prefix": "", "scopes": []}]'
    )
    whole = parse_data_document(text)
    assert whole.grants is not None
    assert whole.grants["res://a"].roles == {"r": {"read", "write"}, "none": set()}
    assert whole.added_restrictions == {"maintenance", "7"}
    assert whole.restrict is None
    assert whole.confinement == {Confinement("", frozenset())}


@pytest.mark.parametrize(
    ("written", "reasons"),
    [
        ('{"window"}', {"window"}),
        ('{"why": true}', {"why"}),
        ('[null, ["x"]]', {"None", "line 4"}),
        ("{}", set()),
        ("set()", set()),
    ],
)
def test_any_entry_restricts_whatever_it_is(written, reasons):
    assert parse_data_document(f"{HEAD}restrict := {written}\n").restrict == reasons


REFUSED = [
    ("", "empty_policy", (1, 1)),
    (" \n", "empty_policy", (1, 1)),
    (" " * (MAX_CHARACTERS + 1), "content_too_large", (1, 1)),
    ("# caracal:data-document\n", "missing_package_declaration", (2, 1)),
    ("# caracal:data-document\nimport rego.v1\n", "missing_package_declaration", (2, 1)),
    ("# caracal:data-document\npackage\n", "invalid_package_name", (2, 8)),
    ("# caracal:data-document\npackage caracal.\n", "invalid_package_name", (2, 17)),
    ("# caracal:data-document\npackage caracal.authz x\n", "invalid_package_name", (2, 23)),
    ("# caracal:data-document\npackage c\u0430racal.authz\n", "invalid_package_name", (2, 10)),
    ('# caracal:data-document\npackage caracal["authz"]\n', "invalid_package_name", (2, 16)),
    (
        "# caracal:data-document\npackage caracal.authz2\n",
        "must_use_package_caracal_authz",
        (2, 1),
    ),
    ("package caracal.authz\nrestrict := []\n", "must_be_data_document", (1, 1)),
    (
        "package caracal.authz\n# caracal:data-document\nrestrict := []",
        "must_be_data_document",
        (1, 1),
    ),
    (HEAD, "data_document_must_define_data", (4, 1)),
    (HEAD + "result := 1", "data_document_must_not_define_result", (4, 1)),
    (HEAD + "default result := {}", "data_document_must_not_define_result", (4, 9)),
    (HEAD + "default grants := {}", "data_document_must_be_plain_data", (4, 1)),
    (HEAD + "allow := true", "data_document_rule_not_allowed:allow", (4, 1)),
    (HEAD + "package x", "data_document_rule_not_allowed:package", (4, 1)),
    (HEAD + 'restrict := ["x]\n', "unterminated_string", (4, 14)),
    (HEAD + "restrict := `x\n", "unterminated_string", (4, 13)),
    (HEAD + 'restrict := ["x"\n', "unbalanced_delimiters", (5, 1)),
    (HEAD + 'restrict := ["x"}\n', "unbalanced_delimiters", (4, 17)),
    (HEAD + "restrict := ]\n", "unbalanced_delimiters", (4, 13)),
    (HEAD + "restrict := []]\n", "unbalanced_delimiters", (4, 15)),
    (HEAD + "} := 1", "unbalanced_delimiters", (4, 1)),
    (HEAD + '"grants" := {}', "data_document_must_be_plain_data", (4, 1)),
    (HEAD + 'grants["res://a"] := {}', "data_document_must_be_plain_data", (4, 7)),
    (HEAD + "grants", "data_document_must_be_plain_data", (4, 7)),
    (HEAD + "grants\n:= {}", "data_document_must_be_plain_data", (4, 7)),
    (HEAD + "restrict if input.x", "data_document_must_be_plain_data", (4, 10)),
    (HEAD + 'restrict contains "x" if true', "data_document_must_be_plain_data", (4, 23)),
    (HEAD + "grants contains 1", "data_document_must_be_plain_data", (4, 8)),
    (HEAD + "grants := {} if { true }", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "grants := {} app_ids := {}", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "grants := {}; app_ids := {}", "data_document_must_be_plain_data", (4, 13)),
    (HEAD + "grants := input.grants", "data_document_must_be_plain_data", (4, 11)),
    (HEAD + "grants := data.x", "data_document_must_be_plain_data", (4, 11)),
    (HEAD + "grants := app_ids", "data_document_must_be_plain_data", (4, 11)),
    (HEAD + 'restrict := [x | x := "a"]', "data_document_must_be_plain_data", (4, 14)),
    (HEAD + 'restrict := ["a" | true]', "data_document_must_be_plain_data", (4, 18)),
    (HEAD + 'restrict := ["a" "b"]', "data_document_must_be_plain_data", (4, 18)),
    (HEAD + 'restrict := {"a": 1, "b", 2}', "data_document_must_be_plain_data", (4, 25)),
    (HEAD + 'restrict := {"a", "b": 1}', "data_document_must_be_plain_data", (4, 22)),
    (HEAD + "restrict := {1: 2}", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "restrict := {[]: 2}", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "restrict := set(1)", "data_document_must_be_plain_data", (4, 13)),
    (HEAD + "restrict := set", "data_document_must_be_plain_data", (4, 13)),
    (HEAD + 'restrict := ["\\q"]', "data_document_must_be_plain_data", (4, 14)),
    (HEAD + 'restrict := ["\\ud800"]', "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "restrict := [1.5]", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "restrict := [01]", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + f"restrict := [{'9' * 30}]", "data_document_must_be_plain_data", (4, 14)),
    (HEAD + "restrict := 1 + 1", "data_document_must_be_plain_data", (4, 15)),
    (HEAD + f"restrict := {'[' * 20}", "data_document_must_be_plain_data", (4, 30)),
    (
        HEAD + 'restrict := http.send({"url": "x"})',
        "forbidden_builtin:http.send",
        (4, 13),
    ),
    (
        HEAD + 'restrict := [net.cidr_contains("a", "b")]',
        "forbidden_builtin:net.cidr_contains",
        None,
    ),
    (HEAD + "import data.x\n", "data_document_must_be_plain_data", None),
    (HEAD + "import input as x\n", "data_document_must_be_plain_data", None),
    (HEAD + "import rego.v1 as x\n", "data_document_must_be_plain_data", (4, 16)),
    (HEAD + "restrict := []\nimport rego.v1", "data_document_rule_not_allowed:import", (5, 1)),
    (HEAD + "restrict := []\rgrants := {}", "data_document_must_be_plain_data", (4, 15)),
    (HEAD + "restrict := [] # \u202e", "data_document_must_be_plain_data", (4, 18)),
    (HEAD + 'restrict := ["\u200b"]', "data_document_must_be_plain_data", (4, 15)),
    ("\ufeff" + HEAD + "restrict := []", "data_document_must_be_plain_data", (1, 1)),
    (HEAD + "r\u0435strict := []", "data_document_rule_not_allowed:r", (4, 1)),
    (HEAD + "restrict := []\nrestrict := []", "data_document_defined_twice", (5, 1)),
    (HEAD + 'restrict := []\nrestrict contains "x"', "data_document_defined_twice", (5, 1)),
    (HEAD + 'app_ids := {"a": "1",\n"a": "2"}', "data_document_defined_twice", (5, 1)),
    (HEAD + 'app_ids := {"a": "1", "\\u0061": "2"}', "data_document_defined_twice", None),
]


@pytest.mark.parametrize(("text", "reason", "place"), REFUSED)
def test_whatever_is_no_plain_data_is_refused_where_it_stands(text, reason, place):
    invalid = refused(text)
    assert invalid.reason == reason
    assert place is None or invalid.place == Place(*place)
    assert invalid.reason in str(invalid)


MALFORMED = [
    ("app_ids", []),
    ("app_ids", {"a": 1}),
    ("app_ids", {"a": "not an id"}),
    ("app_ids", {"\u0430": "1"}),
    ("app_ids", {"": "1"}),
    ("grants", {"no-uri": {"application": "a", "roles": {}}}),
    ("grants", {"res://a": {"application": "a"}}),
    ("grants", {"res://a": {"application": "a", "roles": {}, "scopes": []}}),
    ("grants", {"res://a": {"application": "a", "roles": []}}),
    ("grants", {"res://a": {"application": "a", "roles": {"r": "read"}}}),
    ("grants", {"res://a": {"application": "a", "roles": {"r": {"read": 1}}}}),
    ("grants", {"res://a": {"application": "a", "roles": {"r": ["re ad"]}}}),
    ("grants", {"res://a": {"application": "a", "roles": {"\u0430dmin": ["read"]}}}),
    ("grants", {"res://a": {"application": "a", "roles": {"r" * 65: ["read"]}}}),
    ("grants", {"res://a": {"application": None, "roles": {}}}),
    ("confinement", {}),
    ("confinement", [{"label_prefix": 1, "scopes": []}]),
    ("restrict", "no"),
    ("restrict", False),
    ("risk", {}),
    ("risk", [{"scope": "a"}]),
    ("risk", [{"scope": "a", "tier": ""}]),
    ("approval_tiers", [{"tier": "a", "approver": "nobody"}]),
    ("approval_tiers", [{"tier": "a", "approver": []}]),
    ("approval_tiers", [{"tier": "a", "privacy": "none"}]),
    ("approval_tiers", [{"tier": "a", "ttl_seconds": 0}]),
    ("approval_tiers", [{"tier": "a", "ttl_seconds": True}]),
    ("approval_tiers", [{"tier": "a", "ttl_seconds": []}]),
    ("approval_tiers", [{"tier": "a", "ttl_seconds": 10**12}]),
]


@pytest.mark.parametrize(("rule", "value"), MALFORMED)
def test_a_rule_that_is_not_made_as_it_should_be_is_refused(rule, value):
    assert refused(document(**{rule: value})).reason == f"data_document_malformed:{rule}"


def test_a_scope_is_in_one_tier():
    same = [{"scope": "a", "tier": "high"}] * 2
    assert parse_data_document(document(risk=same)).risk == {"a": "high"}
    two = [*same, {"scope": "a", "tier": "low"}]
    assert refused(document(risk=two)).reason == "data_document_defined_twice:risk"


PIECES = st.sampled_from(
    [
        *'[]{}(),:;|.="`\\#\n \t\r',
        *(":=", "package", "caracal.authz", "import", "rego.v1", "grants", "restrict", "contains"),
        *("set", "input", "if", "default", "true", "1", '"a"', "\u202e", "\u0430", HEAD),
    ]
)


@given(st.lists(PIECES).map("".join) | st.text(), st.booleans())
def test_no_text_brings_it_to_anything_but_a_document_or_a_refusal(text, headed):
    outcome = read((HEAD if headed else "") + text)
    if isinstance(outcome, DataDocument):
        assert outcome != DataDocument()
    else:
        assert outcome.reason
        assert outcome.place >= Place(1, 1)
        assert len(outcome.construct) < 70


TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(TREE, st.sampled_from(sorted(WHOLE)))
def test_any_json_in_any_rule_is_read_or_refused(tree, rule):
    outcome = read(f"{HEAD}{rule} := {json.dumps(tree)}\n")
    assert isinstance(outcome, DataDocument) or outcome.reason
