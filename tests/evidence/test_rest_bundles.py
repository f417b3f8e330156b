"""The rest of a log whose first entries were dropped verifies against the same signature as the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.bundle import BundleWriter, verify_bundle
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.canonical import canonical_json
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.tree import TreeState, leaf_hash
from tests.evidence.rests import KEY, rest, tree_of
from tests.evidence.signing import signed_log

ENTRIES = [canonical_json({"n": n}) for n in range(11)]
FIRST = 6
REST = rest(ENTRIES, FIRST)


def changed(old: bytes, new: bytes) -> list[bytes]:
    assert old in REST[0]
    return [REST[0].replace(old, new, 1), *REST[1:]]


@given(st.integers(2, 60), st.data())
def test_the_rest_of_any_log_verifies_from_any_entry_on(size, data):
    entries = [canonical_json({"n": n}) for n in range(size)]
    first = data.draw(st.integers(1, size - 1))
    report = verify_bundle(rest(entries, first), KEY)
    assert (report.contents, report.first, report.entries) == (Contents.REST, first, size - first)


@given(st.integers(1, len(ENTRIES) - 1))
def test_another_beginning_does_not_verify(first):
    other = [canonical_json({"other": n}) for n in range(first)]
    with pytest.raises(BundleError, match="root that was signed"):
        verify_bundle(rest(ENTRIES, first, tree_of(other)), KEY)


def test_an_entry_of_the_rest_that_was_altered_left_out_or_moved_is_named():
    for lines, entry in (
        ([line.replace(b'"n":8', b'"n":9') for line in REST], 8),
        ([*REST[:3], *REST[4:]], 8),
        ([*REST[:3], REST[4], REST[3], *REST[5:]], 8),
        (REST[:2] + REST[-1:], None),
    ):
        with pytest.raises(BundleError) as refused:
            verify_bundle(lines, KEY)
        assert refused.value.index == entry


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"contents":"rest"', b'"contents":"whole"'),
        (b'"contents":"rest"', b'"contents":"selection"'),
        (b"caracal-evidence/2", b"caracal-evidence/1"),
        (b'"first":6', b'"first":0'),
        (b'"first":6', b'"first":-6'),
        (b'"first":6', b'"first":5'),
        (b'"first":6', b'"first":7'),
        (b'"peaks":["', b'"peaks":["x'),
        (b'"peaks":["', b'"peaks":["00","'),
        (b'"first":6,', b""),
    ],
)
def test_a_header_that_does_not_say_what_is_missing_is_refused(old, new):
    with pytest.raises(BundleError):
        verify_bundle(changed(old, new), KEY)


def test_a_whole_log_names_no_first_entry():
    writer = BundleWriter(signed_log(ENTRIES)[0], KEY, Contents.WHOLE)
    line = writer.header().replace(b'"format"', b'"first":0,"format"')
    with pytest.raises(BundleError, match="canonical"):
        verify_bundle([line], KEY)


def test_a_writer_refuses_a_rest_that_is_none():
    note, _ = signed_log(ENTRIES)
    for contents, before in (
        (Contents.REST, TreeState()),
        (Contents.WHOLE, tree_of(ENTRIES[:2])),
        (Contents.REST, tree_of([*ENTRIES, b"1"])),
    ):
        with pytest.raises(EvidenceError):
            BundleWriter(note, KEY, contents, before)
    writer = BundleWriter(note, KEY, Contents.REST, tree_of(ENTRIES[:3]))
    for index in (2, 4):
        with pytest.raises(EvidenceError, match="out of turn"):
            writer.entry(index, ENTRIES[index], leaf_hash(ENTRIES[index]))
    with pytest.raises(EvidenceError, match="entry 3 is missing"):
        writer.closing()


def checkpoint(entries) -> Checkpoint:
    return Checkpoint("caracal.example/log", len(entries), tree_of(entries).root())


@pytest.mark.parametrize("size", [FIRST, FIRST + 1, len(ENTRIES)])
def test_a_rest_is_held_to_what_was_kept_since_its_first_entry(size):
    assert verify_bundle(REST, KEY, [checkpoint(ENTRIES[:size])]).first == FIRST
    with pytest.raises(BundleError, match="it was rewritten"):
        verify_bundle(REST, KEY, [checkpoint([b"0", *ENTRIES[1:size]])])


def test_what_was_kept_before_the_drop_asks_for_an_export_from_before():
    with pytest.raises(BundleError, match="hold an export from before"):
        verify_bundle(REST, KEY, [checkpoint(ENTRIES[: FIRST - 1])])
