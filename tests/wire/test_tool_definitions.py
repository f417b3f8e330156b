"""A definition is known by everything that it says, however it is written."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.tool_pins import MAX_DEFINITION_BYTES
from caracal.wire.tool_definitions import read_definitions

TOOL = {"name": "search", "description": "Find.", "inputSchema": {"type": "object"}}


def digest(tool) -> str:
    (found,) = read_definitions([tool])
    return found.digest


def test_the_digest_is_that_of_the_canonical_form():
    (found,) = read_definitions([TOOL])
    canonical = json.dumps(TOOL, sort_keys=True, separators=(",", ":"))
    assert (found.tool, found.text) == ("search", canonical)
    assert found.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert digest(dict(reversed(TOOL.items()))) == found.digest


@given(
    st.sampled_from(
        ["description", "title", "inputSchema", "outputSchema", "annotations", "icons", "_meta"]
    ),
    st.one_of(
        st.text(max_size=5), st.floats(0, 9), st.dictionaries(st.text(max_size=3), st.none())
    ),
)
def test_whatever_changes_changes_the_digest(member, value):
    changed = TOOL | {member: value}
    assert (digest(changed) == digest(TOOL)) is (changed == TOOL)


def test_a_definition_that_is_too_large_is_not_kept():
    (found,) = read_definitions([TOOL | {"description": "a" * MAX_DEFINITION_BYTES}])
    assert (len(found.digest), found.text) == (64, "")


def test_a_name_that_stands_twice_is_no_list():
    with pytest.raises(ValueError, match="twice"):
        read_definitions([TOOL, TOOL])


def test_what_has_no_name_is_no_tool():
    assert read_definitions(["search", {}, {"name": 7}]) == ()
