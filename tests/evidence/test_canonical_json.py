"""One value has one spelling, and it is the spelling of RFC 8785."""

import enum
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, canonical_json

safe_integers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
# Where UTF-16 order and code point order part: around U+E000 and beyond U+FFFF.
keys = st.text(max_size=4) | st.text("a\ud7ff\ue000\uffff\U00010000\U0010ffff", max_size=3)
values = st.recursive(
    st.none() | st.booleans() | safe_integers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_it_agrees_with_an_independent_implementation(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@given(values)
def test_nothing_is_lost(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(keys, values, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value, random):
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert canonical_json(dict(shuffled)) == canonical_json(value)


def test_the_sorting_example_of_the_rfc():
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert [*json.loads(canonical_json(value)).values()] == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_the_string_and_literal_examples_of_the_rfc():
    value = {"string": '\u20ac$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    expected = '{"literals":[null,true,false],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical_json(value) == expected.encode()


def test_every_control_character_is_escaped_as_the_rfc_says():
    every = "".join(map(chr, range(0x20)))
    assert canonical_json(every) == rfc8785.dumps(every)


def test_tuples_are_arrays():
    assert canonical_json({"a": (1, ("x",))}) == b'{"a":[1,["x"]]}'
    assert canonical_json(("\U00010000", {"\U00010000": 1, "\uffff": 2})) == rfc8785.dumps(
        ["\U00010000", {"\U00010000": 1, "\uffff": 2}]
    )


class Colour(enum.StrEnum):
    RED = "red"


class Number(int):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.5, "floating-point number at $"),
        ({"a": [0, {"b": 1.0}]}, "floating-point number at $.a[1].b"),
        ({"a": float("nan")}, "floating-point number at $.a"),
        ([2**53], "integer beyond 2**53 - 1 at $[0]"),
        ({"n": -(2**53)}, "integer beyond 2**53 - 1 at $.n"),
        ({"n": 10**40}, "integer beyond 2**53 - 1 at $.n"),
        ({1: "a"}, "key 1 is not a Unicode string at $"),
        ({"a": {None: "a"}}, "key None is not a Unicode string at $.a"),
        ({"a": {Colour.RED: 1}}, "is not a Unicode string at $.a"),
        ({"\ud800": 1}, "key '\\ud800' is not a Unicode string at $"),
        ({"ok": "fine", "a": ["\udfff"]}, "lone surrogate at $.a[0]"),
        ("\ud83d", "lone surrogate at $"),
        ({"a": b"bytes"}, "not a JSON value at $.a"),
        ({"a": {1, 2}}, "not a JSON value at $.a"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "not a JSON value at $.a"),
        ({"a": Decimal(1)}, "not a JSON value at $.a"),
        ({"a": Colour.RED}, "not a JSON value at $.a"),
        ({"a": Number(1)}, "not a JSON value at $.a"),
    ],
)
def test_what_may_not_stand_in_evidence_is_refused_by_its_path(value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        canonical_json(value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_nesting_is_bounded(wrap):
    deep = "x"
    for _ in range(MAX_DEPTH):
        deep = wrap(deep)
    assert canonical_json(deep) == rfc8785.dumps(deep)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        canonical_json(wrap(deep))


def test_a_value_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        canonical_json(endless)


def test_the_safe_integers_are_exactly_those_of_the_rfc():
    limits = [2**53 - 1, -(2**53) + 1]
    assert canonical_json(limits) == b"[9007199254740991,-9007199254740991]"
