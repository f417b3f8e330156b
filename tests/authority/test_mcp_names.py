"""Which rule a name of an MCP server comes under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mcp import MAX_NAME, InvalidPattern, NameTable, parse_name_rule

NAMES = st.text("ab_", min_size=1, max_size=6)
PATTERNS = st.builds(lambda name, more: name + more, NAMES, st.sampled_from(["", "*"])) | st.just(
    "*"
)


def table(*patterns: str) -> NameTable:
    return NameTable(tuple(parse_name_rule(pattern, f"of:{pattern}") for pattern in patterns))


def test_a_name_that_is_stated_is_its_own_rule_before_any_beginning():
    names = table("ticket_read", "ticket_*", "*")
    assert names.match("ticket_read").scope == "of:ticket_read"
    assert names.match("ticket_readx").scope == "of:ticket_*"
    assert names.match("other").scope == "of:*"


def test_what_no_rule_covers_matches_nothing():
    assert table("ticket_*", "search").match("Search") is None
    assert table("ticket_*").match("ticket") is None
    assert table().match("a") is None


@given(st.lists(PATTERNS, unique=True, max_size=8), NAMES)
def test_the_longest_pattern_that_covers_a_name_wins(patterns, name):
    covering = [
        pattern
        for pattern in patterns
        if pattern == name or (pattern.endswith("*") and name.startswith(pattern[:-1]))
    ]
    expected = max(covering, key=lambda one: (one == name, len(one)), default=None)
    found = table(*patterns).match(name)
    assert (found and found.pattern) == expected


@given(st.lists(PATTERNS, unique=True, max_size=8))
def test_the_order_of_rules_means_nothing(patterns):
    assert table(*patterns) == table(*reversed(patterns))
    assert hash(table(*patterns)) == hash(table(*reversed(patterns)))


def test_a_table_is_no_other_thing():
    assert table("a") != table("a").rules


@pytest.mark.parametrize("pattern", ["", "a*b", "**", " a", "a ", "a\n", "a" * (MAX_NAME + 1)])
def test_what_no_message_can_name_is_no_pattern(pattern):
    with pytest.raises(InvalidPattern):
        parse_name_rule(pattern, "scope")
