"""Rules P9 to P11: what is wrong with a text is said with its line and column."""

from concurrent.futures import ThreadPoolExecutor

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.problems import PolicyProblem
from caracal.authority.policy.reading import MAX_BYTES, MAX_POLICIES
from caracal.authority.policy.schema import CONTEXT, OTHER_ACTION, render_context, render_schema
from caracal.authority.policy.validation import MAX_PROBLEMS, validate
from tests.authority.policy.ticketing import MAIL, TICKETS, VOCABULARY, asking

ALL = "permit (principal, action, resource)"


def when(condition: str) -> str:
    return f"{ALL}\nwhen {{ {condition} }};"


# (text, line, column, part of the message)
BAD = [
    # Not Cedar.
    ("permit (principal, action, resource)", 1, 37, "unexpected end of input"),
    ("permit (principal action, resource);", 1, 19, "unexpected token `action`"),
    (f"{ALL};\n{ALL} when {{ context. }};", 2, 54, "unexpected token `}`"),
    (f"{ALL}; // ok\n\n  ;", 3, 3, "unexpected token `;`"),
    (f"{ALL};\n  # no comment\n{ALL};", 2, 3, "invalid token"),
    (f'{ALL} when {{ context.phase == "call }};', 1, 62, "invalid token"),
    (f"/* no */ {ALL};", 1, 1, "unexpected token `/`"),
    ("permit (prinicpal, action, resource);", 1, 9, "prinicpal"),
    ("allow (principal, action, resource);", 1, 1, "invalid policy effect: allow"),
    (f"{ALL} where {{ true }};", 1, 38, "invalid policy condition: where"),
    (when("session.depth > 1"), 2, 8, "`session` has no fields"),
    (when("context.phase == 'call'"), 2, 25, "invalid token"),
    (when("foo(1)"), 2, 8, "`foo` is not a valid function"),
    (when('context.phase == "\\q"'), 1, 1, "not a valid escape"),
    (f"{ALL}\rwhen {{ nope }};", 2, 8, "invalid variable: nope"),
    (f'// é\r\n// 😀 "\r\n{ALL} when {{ nope }};', 3, 45, "invalid variable: nope"),
    ('permit (principal, action == "tickets:read", resource);', 1, 30, "expected an entity uid"),
    # Not for this zone.
    (
        'permit (principal == Application::"nobody", action, resource);',
        1,
        22,
        'no application "nobody"',
    ),
    (
        '// Application::"nobody"\n'
        + when(
            'context.call.path == "Application::\\"nobody\\"" && principal == Application ::\n // x\n "nobody"'
        ),
        3,
        71,
        'no application "nobody"',
    ),
    (
        f'permit (principal, action, resource == Resource::"{TICKETS}/");',
        1,
        40,
        "the zone has no resource",
    ),
    (when('resource in [Resource::"urn:\\x61"]'), 2, 21, 'no resource "urn:a"'),
    (
        'permit (principal, action == Action::"tickets:delete", resource);',
        1,
        30,
        'declares the scope "tickets:delete"',
    ),
    (
        'permit (principal, action == Action::"agent:lifecycle", resource);',
        1,
        30,
        "agent:lifecycle",
    ),
    (
        f'permit (principal, action in [Action::"shared:use", Action::"mail:send"], resource == Resource::"{TICKETS}");',
        1,
        53,
        f'"{TICKETS}" does not declare the scope "mail:send"',
    ),
    (
        f'permit (principal, action in Action::"tickets:read", resource is Resource in Resource::"{MAIL}");',
        1,
        30,
        "does not declare",
    ),
    ('permit (principal == User::"intake", action, resource);', 1, 22, "User is not one of"),
    (
        'permit (principal == Caracal::Application::"intake", action, resource);',
        1,
        22,
        "Caracal::Application is not",
    ),
    (
        when(f'Resource::"intake" == principal || Application::"{TICKETS}" == principal'),
        2,
        8,
        'no resource "intake"',
    ),
    (
        when('context.phase != "exchange" && "cal\\x6c\\x6c" == context.phase'),
        2,
        39,
        'context.phase is never "calll"',
    ),
    (
        when('context.session.lifecycle == "tusk"'),
        2,
        37,
        'context.session.lifecycle is never "tusk"',
    ),
    (
        when('context["delegation"].root != "nobody"'),
        2,
        38,
        'context.delegation.root is never "nobody"',
    ),
    # Not of the right type.
    ("permit (principal is User, action, resource);", 1, 22, "unrecognized entity type `User`"),
    (
        'permit (principal == Resource::"https://mail.example/api", action, resource);',
        1,
        1,
        "unable to find an applicable action",
    ),
    ("permit (principal, action in [], resource);", 1, 1, "empty set literals are forbidden"),
    (when("context.foo == 1"), 2, 16, "attribute `foo` of the context not found"),
    (
        when("context.session.label == 1"),
        2,
        24,
        "attribute `session.label` of the context not found",
    ),
    (
        when('principal.role == "x"'),
        2,
        18,
        "attribute `role` on entity type `Application` not found",
    ),
    (when("context.phase == 1"), 1, 1, "not compatible"),
    (when("context.delegation.hops"), 1, 1, "expected Bool but saw Long"),
    # Ours.
    ("permit (principal == ?principal, action, resource);", 1, 22, "templates"),
    (
        f"{ALL};\n{ALL} when {{ true }};\npermit (principal, action, resource in ?resource);",
        3,
        40,
        "templates",
    ),
    (f'@id("a") {ALL};\n@note("x")\n  @id("a") {ALL};', 3, 3, 'another policy has the id "a"'),
    (f'@id("policy1") {ALL};\n  {ALL};', 2, 3, 'another policy has the id "policy1"'),
    (f'@id("") {ALL};', 1, 1, "@id must be"),
    (f"@note @id {ALL};", 1, 7, "@id must be"),
    (f'@id("a\\nb") {ALL};', 1, 1, "@id must be"),
    (f'@id("{"x" * 129}") {ALL};', 1, 1, "@id must be"),
    (f"{ALL};\n// \ud800", 2, 4, "Unicode"),
    (when("(" * 51 + "true" + ")" * 51), 1, 1, "nest too deeply"),
    (when(" || ".join(['context.phase == "x"'] * 60)), 1, 1, "nest too deeply"),
    (when(" || ".join(["true"] * 1900)), 1, 1, "nest too deeply"),
    (when(" || ".join(["true"] * 2000)), 1, 1, "words and marks"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), BAD)
def test_a_problem_is_reported_where_it_is(text: str, line: int, column: int, message: str) -> None:
    problems = validate(text, VOCABULARY)
    assert [(problem.line, problem.column) for problem in problems[:1]] == [(line, column)]
    assert message in problems[0].message
    assert "policy0" not in problems[0].message.replace("`", "")


GOOD = [
    "",
    "// only a comment",
    f"{ALL};",
    f'@id("x") @note("anything") {ALL} when {{ true }} unless {{ false }} ;',
    'permit (principal == Application::"the \\"quoted\\" one", action, resource);',
    'permit (principal == Application::"\\u{69}ntake", action, resource);',
    f'permit (principal, action in [Action::"tickets:read"], resource == Resource::"{TICKETS}");',
    'permit (principal, action == Action::"mail:send", resource);',
    when("(" * 49 + "true" + ")" * 49),
    when(" || ".join(['context.call.path == "x"'] * 45)),
    when(
        'context has phase && context.session has labels && ["a"].containsAll(context.session.labels)'
    ),
    when('context.session.lifecycle == "service" || context.delegation.root != ""'),
    when('context.delegation.root == "triage" && context.call.path == "nobody"'),
    when('context.call.operation == "; permit (" // ";\n && true'),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_sound_text_has_no_problems_and_decides(text: str) -> None:
    assert validate(text, VOCABULARY) == ()
    assert PolicyEngine.compile(text, VOCABULARY).decide(asking()).detail == ""


def test_all_problems_are_reported_at_once_in_order() -> None:
    text = "\n".join(
        [
            when("context.foo"),
            'permit (principal == Application::"nobody", action, resource);',
            "permit (principal, resource);",
            when("context.foo && context.foo"),
        ]
    )
    assert [problem.line for problem in validate(text, VOCABULARY)] == [2, 3, 4, 6]


def test_the_number_of_problems_is_bounded() -> None:
    text = f"{ALL} when {{ nope }};\n" * (MAX_PROBLEMS + 20)
    assert len(validate(text, VOCABULARY)) == MAX_PROBLEMS


def test_a_text_beyond_the_bounds_is_not_read() -> None:
    (many,) = validate(";\n" * (MAX_POLICIES + 1), VOCABULARY)
    assert (many.line, many.column) == (MAX_POLICIES + 1, 1)
    assert f"at most {MAX_POLICIES}" in many.message
    (long,) = validate("/" * (MAX_BYTES + 1), VOCABULARY)
    assert f"at most {MAX_BYTES}" in long.message


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 30_000,
        "[" * 30_000,
        "{a:" * 30_000,
        "if true then " * 30_000,
        "!" * 30_000,
        "true ||" * 30_000,
    ],
)
def test_a_hostile_text_can_not_overflow_the_stack(condition: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(validate, when(condition), VOCABULARY).result(timeout=60)


@pytest.mark.parametrize(
    "condition",
    [
        "if true then true else " * 600 + "true",
        "context" + ".a" * 1900,
        " || ".join(["true"] * 1990),
    ],
)
def test_the_largest_policy_that_is_read_does_not_overflow_the_stack(condition: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        problems = threads.submit(validate, when(condition), VOCABULARY).result(timeout=60)
    assert problems


def test_a_context_has_the_shape_that_policies_are_checked_against() -> None:
    text = render_schema([OTHER_ACTION])
    request = {
        "principal": {"type": "Application", "id": "x"},
        "action": {"type": "Action", "id": OTHER_ACTION},
        "resource": {"type": "Resource", "id": "y"},
        "context": render_context(asking(), CONTEXT),
    }
    answer = cedarpy.is_authorized(request, f"{ALL};", [], schema=text)
    assert answer.allowed, answer.diagnostics.errors
    partial = request | {"context": render_context(asking(), CONTEXT[1:])}
    assert not cedarpy.is_authorized(partial, f"{ALL};", [], schema=text).allowed


def test_a_problem_reads_as_line_column_message() -> None:
    assert str(PolicyProblem(3, 7, "no")) == "3:7: no"


WORDS = [
    "permit",
    "forbid",
    "(",
    ")",
    "principal",
    "action",
    "resource",
    ",",
    ";",
    "when",
    "{",
    "}",
]
WORDS += [
    "context",
    ".",
    "phase",
    "==",
    '"x"',
    "//",
    "\n",
    "\r",
    "@",
    "id",
    "unless",
    "?",
    "Action::",
    "&&",
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_any_text_is_answered_with_problems_inside_it(words: list[str]) -> None:
    text = " ".join(words)
    lines = text.replace("\r", "\n").split("\n")
    for problem in validate(text, VOCABULARY):
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


SOUND = (
    f'@id("x") permit (principal == Application::"intake", action, resource == Resource::"{TICKETS}") '
    'when { context.phase == "call" && [1, 2].contains(context.delegation.hops) } unless { false };'
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_unexpected_token_is_reported_where_it_stands(data: st.DataObject) -> None:
    pieces = SOUND.split(" ")
    at = data.draw(st.integers(0, len(pieces)))
    word = data.draw(st.sampled_from(["}", ")", "permit", ",", "==", "::"]))
    text = " ".join([*pieces[:at], word, *pieces[at:]])
    for problem in validate(text, VOCABULARY):
        if problem.message.startswith("unexpected token `"):
            token = problem.message.removeprefix("unexpected token `").removesuffix("`")
            assert text[problem.column - 1 :].startswith(token)
