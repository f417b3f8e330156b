"""A tool's definition in force changes when an operator says so, and never otherwise."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.identifiers import ResourceId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.tool_pins import (
    Definition,
    Pinning,
    ToolPin,
    after_accepting,
    after_seeing,
    refused_for,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
ONE, TWO, THREE = (Definition("search", name * 64, f'"{name}"') for name in "abc")


def see(pinning, pin, *seen) -> ToolPin | None:
    for one in seen:
        pin = after_seeing(pinning, pin, ResourceId("r"), one, at=AT) or pin
    return pin


def standing(pinning, pin) -> Reason | None:
    refused = refused_for(pinning, pin, "search")
    return None if refused is None else refused.reason


def accept(pin, definition) -> ToolPin:
    accepted = after_accepting(pin, definition.digest, "op")
    assert isinstance(accepted, ToolPin)
    return accepted


def test_the_first_definition_is_in_force_at_once_or_held_as_the_resource_wants():
    assert standing(Pinning.FIRST_USE, see(Pinning.FIRST_USE, None, ONE)) is None
    pin = see(Pinning.ACCEPTED, None, ONE)
    assert (pin.digest, pin.held) == ("", ONE.digest)
    for pinning in (Pinning.ACCEPTED, Pinning.FIRST_USE):
        assert standing(pinning, pin) is Reason.TOOL_DEFINITION_UNACCEPTED
    accepted = accept(pin, ONE)
    assert (accepted.digest, accepted.text, accepted.accepted_by) == (ONE.digest, ONE.text, "op")
    assert standing(Pinning.ACCEPTED, accepted) is None


def test_a_tool_that_was_never_listed_may_be_called_unless_all_have_to_be_accepted():
    assert standing(Pinning.FIRST_USE, None) is None
    assert standing(Pinning.ACCEPTED, None) is Reason.TOOL_DEFINITION_UNACCEPTED


def test_a_definition_of_first_use_is_not_an_accepted_one():
    pin = see(Pinning.FIRST_USE, None, ONE)
    assert standing(Pinning.ACCEPTED, pin) is Reason.TOOL_DEFINITION_UNACCEPTED
    assert standing(Pinning.ACCEPTED, accept(pin, ONE)) is None


@pytest.mark.parametrize("pinning", [Pinning.FIRST_USE, Pinning.ACCEPTED])
def test_a_changed_definition_is_held_even_when_it_changes_back(pinning):
    pin = accept(see(pinning, None, ONE), ONE)
    assert after_seeing(pinning, pin, ResourceId("r"), ONE, at=AT) is None
    changed = see(pinning, pin, TWO, ONE)
    assert (changed.digest, changed.held) == (ONE.digest, TWO.digest)
    assert standing(pinning, changed) is Reason.TOOL_DEFINITION_CHANGED
    assert standing(pinning, accept(changed, ONE)) is None
    assert accept(changed, TWO).text == TWO.text


def test_what_is_accepted_is_what_was_shown():
    pin = see(Pinning.FIRST_USE, None, ONE, TWO, THREE)
    assert pin.held == TWO.digest
    for unknown in (THREE.digest, ""):
        refused = after_accepting(pin, unknown, "op")
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.TOOL_DEFINITION_CHANGED


def test_nothing_is_pinned_where_an_operator_wants_none():
    assert see(Pinning.OFF, None, ONE) is None
    held = see(Pinning.FIRST_USE, None, ONE, TWO)
    assert see(Pinning.OFF, held, THREE) is held
    assert standing(Pinning.OFF, held) is None


@given(st.lists(st.sampled_from([ONE, TWO, THREE]), min_size=1), st.sampled_from(Pinning))
def test_without_an_operator_the_definition_in_force_never_changes(seen, pinning):
    pin = see(pinning, None, *seen)
    if pinning is Pinning.OFF:
        assert pin is None
    elif pinning is Pinning.ACCEPTED:
        assert not pin.digest
    else:
        assert pin.digest == seen[0].digest
        assert bool(pin.held) is (len(set(seen)) > 1)
