"""What may be read from outside as an identifier or a scope, and how scopes combine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.identifiers import InvalidIdentifier, SessionId, parse_id
from caracal.authority.resources import InvalidResource, parse_resource_uri
from caracal.authority.scopes import NO_SCOPES, InvalidScope, ScopeSet, parse_scope

ALLOWED = "abcXYZ019_.-:"
scope_texts = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'),
    min_size=1,
    max_size=8,
)
scope_sets = st.frozensets(scope_texts, max_size=6).map(ScopeSet.from_texts)


@given(st.text(st.sampled_from(ALLOWED), min_size=1, max_size=128))
def test_an_identifier_is_read_as_it_is_written(text):
    assert parse_id(SessionId, text) == text


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", "a/b", "ü", "a\n", "\x00", "a" * 5000])
def test_anything_else_is_no_identifier_and_is_shown_shortened(text):
    with pytest.raises(InvalidIdentifier) as caught:
        parse_id(SessionId, text)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("text", ["", "a b", 'a"b', "a\\b", "é", "x" * 129, "a\t", "\x7f"])
def test_a_text_outside_the_grammar_is_no_scope(text):
    with pytest.raises(InvalidScope):
        parse_scope(text)


def test_at_most_64_scopes_are_named_at_once():
    assert len(ScopeSet.from_texts(f"s{n}" for n in range(64))) == 64
    with pytest.raises(InvalidScope, match="at most 64"):
        ScopeSet.from_texts(f"s{n}" for n in range(65))


def test_scopes_are_parted_by_spaces_and_by_nothing_else():
    assert ScopeSet.parse("  write read  read ") == ScopeSet.of("read", "write")
    assert ScopeSet.parse("") == NO_SCOPES
    for text in ("a\tb", "a\nb", "a\u00a0b"):
        with pytest.raises(InvalidScope):
            ScopeSet.parse(text)


@given(scope_sets)
def test_what_is_rendered_is_read_back(scopes):
    assert ScopeSet.parse(scopes.render()) == scopes
    assert list(scopes) == sorted(scopes.scopes)


@given(scope_sets, scope_sets, scope_sets)
def test_scopes_only_ever_shrink(one, other, third):
    met = one.meet(other)
    assert met.within(one)
    assert met.within(other)
    assert met == other.meet(one)
    assert met.meet(third) == one.meet(other.meet(third))
    assert one.without(other).meet(other) == NO_SCOPES
    assert all((scope in met) == (scope in one and scope in other) for scope in [*one, *other])


def test_the_empty_set_permits_nothing_and_lies_within_every_set():
    assert NO_SCOPES.within(ScopeSet.of("read"))
    assert not ScopeSet.of("read").within(NO_SCOPES)
    assert "read" not in NO_SCOPES
    assert len(NO_SCOPES) == 0


@pytest.mark.parametrize(
    "text", ["https://orders.example/v1?x=1", "urn:orders", "resource://pipernet", "u:" + "a" * 510]
)
def test_a_resource_identifier_is_an_absolute_uri(text):
    assert parse_resource_uri(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        "/orders",
        "https://a.example/#x",
        "1a:b",
        "a:",
        "a: b",
        "u:" + "a" * 511,
        "s" * 600 + ":a",
    ],
)
def test_a_relative_fragmented_or_overlong_text_is_no_resource_identifier(text):
    with pytest.raises(InvalidResource):
        parse_resource_uri(text)
