"""Licences: how expressions are judged, and that what is not installed is not cleared."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assurance.checks import NotRunHere
from assurance.checks.licences import every_locked_licence_is_admitted
from assurance.licences import Policy, expression_of

ROOT = Path(__file__).parents[2]
POLICY = Policy(frozenset({"MIT", "Apache-2.0"}), frozenset({"MPL-2.0"}), (), (), {"Expat": "MIT"})

expressions = st.recursive(
    st.sampled_from(("MIT", "Apache-2.0", "MPL-2.0", "GPL-3.0-only", "LGPL-2.1-only")),
    lambda inner: st.tuples(inner, st.sampled_from((" AND ", " OR ")), inner),
    max_leaves=6,
)


def text(expression) -> str:
    return (
        expression
        if isinstance(expression, str)
        else f"({text(expression[0])}{expression[1]}{text(expression[2])})"
    )


def meant(expression) -> bool:
    if isinstance(expression, str):
        return "GPL" not in expression
    left, operator, right = expression
    return (meant(left) and meant(right)) if operator == " AND " else (meant(left) or meant(right))


@given(expressions)
def test_of_a_choice_one_must_be_listed_and_of_a_sum_all(expression):
    assert POLICY.admits(text(expression)) is meant(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "MIT OR", "Nope-1.0", "MIT AND Nope-1.0", "mit licence", "Apache-2.0 WITH LLVM-exception"],
)
def test_what_is_no_listed_expression_is_not_admitted(expression):
    assert not POLICY.admits(expression)


def test_words_count_only_where_the_list_gives_them_one_meaning():
    assert expression_of(("Expat",), POLICY.words) == "MIT"
    assert expression_of(("BSD",), POLICY.words) == ""
    assert expression_of(("MIT", "Apache-2.0"), POLICY.words) == ""
    assert expression_of((), POLICY.words) == ""


def test_an_environment_that_is_not_installed_clears_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(NotRunHere, match="tools/semgrep"):
        every_locked_licence_is_admitted(ROOT)
