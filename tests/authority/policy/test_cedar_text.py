"""Tokens are found where Cedar finds them."""

import json

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.policy.cedar_text import CedarText, Position, unescape

ALL = "permit (principal, action, resource)"


def statements(text: str) -> list[str]:
    return [statement.text for statement in CedarText(text).statements()]


def test_a_text_is_cut_after_each_semicolon_that_ends_a_policy() -> None:
    text = f'// a; b\n{ALL} when {{ "; // \\"" == "x" }}; // c;\n{ALL};\rpermit'
    assert statements(text) == [f'{ALL} when {{ "; // \\"" == "x" }};', f"{ALL};", "permit"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([f"{ALL};", "// ;\n", '// ";\r', "\u2028", "\x85", ' @a("\n;//")', "\t"]),
        max_size=8,
    )
)
def test_there_are_as_many_statements_as_cedar_finds_policies(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        found = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
    except ValueError:
        return
    assert len(statements(text)) == len(found)


@pytest.mark.parametrize(
    ("text", "offset", "line", "column"),
    [
        ("", 0, 1, 1),
        ("ab", 2, 1, 3),
        ("a\nb", 1, 1, 2),
        ("a\nb", 2, 2, 1),
        ("a\r\nb", 3, 2, 1),
        ("a\rb", 2, 2, 1),
        ("é😀x", 2, 1, 3),
        ("a\u2028b", 2, 1, 3),
    ],
)
def test_positions_count_lines_and_characters(text, offset, line, column) -> None:
    assert CedarText(text).position(offset) == Position(line, column)


ESCAPED = st.one_of(
    st.characters(exclude_characters='"\\\r', exclude_categories=("Cs",)),
    st.sampled_from(["\\n", "\\r", "\\t", "\\0", "\\\\", "\\'", '\\"']),
    st.integers(0, 0x7F).map(lambda code: f"\\x{code:02x}"),
    st.characters(exclude_categories=("Cs",)).map(lambda char: f"\\u{{{ord(char):X}}}"),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ESCAPED, max_size=10).map("".join))
def test_a_string_means_what_it_means_to_cedar(inside: str) -> None:
    text = f'permit (principal == Application::"{inside}", action, resource);'
    policy = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]["policy0"]
    name = policy["principal"]["entity"]["id"]
    assert unescape(f'"{inside}"') == name
    (statement,) = CedarText(text).statements()
    assert statement.find_entity("Application", name) == text.index("Application")


def test_what_is_not_there_is_placed_at_the_start() -> None:
    (statement,) = CedarText(f'  {ALL} when {{ "x" == A::"x" }};').statements()
    assert statement.find_entity("B", "x") == 2
    assert statement.find_entity("", "y") == 2
    assert statement.find_entity("A", "x") > 2
    assert statement.find_annotation("id") == 2
    assert statement.find_string("y") == 2
    assert statement.find_word(["nothing"]) == 2
