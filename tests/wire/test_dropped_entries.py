"""Entries that are missing at the beginning of a log are dropped only if the log says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.canonical import canonical_json
from caracal.evidence.errors import BundleError
from caracal.evidence.tree import leaf_hash
from caracal.wire.dropped_entries import RecordedDrops, verify_log
from tests.evidence.rests import KEY, rest
from tests.evidence.signing import signed_log


def log(**last) -> list[bytes]:
    return [*(canonical_json({"n": n}) for n in range(5)), canonical_json(last)]


def test_a_rest_whose_log_says_that_the_beginning_was_dropped_verifies():
    for end in (3, 4):
        entries = log(kind="evidence.drop", end_index=end)
        assert verify_log(rest(entries, 3), KEY).first == 3


def test_a_whole_log_has_nothing_to_say():
    entries = log(kind="call")
    writer = BundleWriter(signed_log(entries)[0], KEY, Contents.WHOLE)
    lines = [writer.header()]
    lines += [writer.entry(at, one, leaf_hash(one)) for at, one in enumerate(entries)]
    assert verify_log([*lines, writer.closing()], KEY).first == 0


@pytest.mark.parametrize(
    "last",
    [
        {"kind": "call"},
        {"kind": "evidence.drop", "end_index": 2},
        {"kind": "evidence.drop"},
        {"kind": "evidence.drop", "end_index": "3"},
        {"kind": "call", "detail": {"kind": "evidence.drop", "end_index": 3}},
    ],
)
def test_a_rest_whose_log_does_not_say_so_is_refused(last):
    with pytest.raises(BundleError, match="the first 3 entries are missing, and no entry says"):
        verify_log(rest(log(**last), 3), KEY)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_entry_say_nothing(noise):
    drops = RecordedDrops()
    for data in (noise, noise + b'"kind":"evidence.drop"', b'"kind":"evidence.drop"' + noise):
        drops.take(data)
        drops.take_line(data)
    assert drops.end == 0
