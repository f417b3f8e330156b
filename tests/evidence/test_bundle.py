"""A bundle verifies as it was exported, and names the entry that was touched."""

import json
import re
import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.bundle import BundleReport, BundleWriter, verify_bundle
from caracal.evidence.bundle_lines import MAX_LINE_BYTES, Contents, render_closing
from caracal.evidence.canonical import canonical_json
from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint, verify_checkpoint
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, parse_note
from caracal.evidence.proofs import prove_inclusion
from caracal.evidence.tree import NodeId, TreeState, leaf_hash
from tests.evidence.signing import key_pair, signed_log

NAME = "caracal.example/log"
KEY, SIGNER = key_pair(NAME)
ENTRIES = [canonical_json({"n": n, "what": 'say "é", \\ or ,"index":3,'}) for n in range(7)]
SELECTED = [0, 3, 4, 6]


def whole(entries, stored=None):
    """Export a log; `stored` is what its store holds now, when that is something else."""
    writer = BundleWriter(signed_log(entries)[0], KEY, Contents.WHOLE)
    lines = [writer.header()]
    for index, (appended, now) in enumerate(zip(entries, stored or entries, strict=True)):
        lines.append(writer.entry(index, now, leaf_hash(appended)))
    return [*lines, writer.closing()]


def selection(entries, indexes):
    _, nodes = TreeState().grow([leaf_hash(entry) for entry in entries])
    stored = {NodeId(node.level, node.index): node.hash for node in nodes}
    writer = BundleWriter(signed_log(entries)[0], KEY, Contents.SELECTION)
    lines = [writer.header()]
    for index in indexes:
        proof = prove_inclusion(index, len(entries), lambda *at: stored[NodeId(*at)])
        lines.append(writer.entry(index, entries[index], leaf_hash(entries[index]), proof.hashes))
    return [*lines, writer.closing()]


WHOLE = whole(ENTRIES)
SELECTION = selection(ENTRIES, SELECTED)


def refusal(lines, key=KEY) -> BundleError:
    with pytest.raises(BundleError) as refused:
        verify_bundle(lines, key)
    return refused.value


def changed(lines, at, old, new):
    assert old in lines[at]
    return [*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]]


def resealed(lines):
    """Give the lines a closing line that matches them, as a forger would."""
    count = json.loads(lines[-1])["count"]
    return [*lines[:-1], render_closing(count, sha256(b"".join(lines[:-1])).hexdigest())]


def test_a_whole_log_verifies():
    note = signed_log(ENTRIES)[0]
    checkpoint = verify_checkpoint(note, KEY)
    assert verify_bundle(WHOLE, KEY) == BundleReport(
        checkpoint, Contents.WHOLE, 0, 7, KEY, note, "given"
    )


def test_a_selection_verifies():
    note = signed_log(ENTRIES)[0]
    checkpoint = verify_checkpoint(note, KEY)
    report = BundleReport(checkpoint, Contents.SELECTION, 0, 4, KEY, note, "given")
    assert verify_bundle(iter(SELECTION), KEY) == report


@given(st.integers(0, 40), st.data())
def test_every_log_and_every_selection_verifies(size, data):
    entries = [canonical_json({"n": n}) for n in range(size)]
    assert verify_bundle(whole(entries), KEY).entries == size
    indexes = sorted(data.draw(st.sets(st.integers(0, size - 1)))) if size else []
    assert verify_bundle(selection(entries, indexes), KEY).entries == len(indexes)


def test_a_log_longer_than_one_batch_verifies():
    assert verify_bundle(whole([b"%d" % n for n in range(1300)]), KEY).entries == 1300


def test_the_report_says_when_only_the_embedded_key_was_used():
    report = verify_bundle(WHOLE, None)
    assert (report.key_source, report.key) == ("embedded", KEY)
    assert verify_bundle(WHOLE, KEY).key_source == "given"


def test_a_bundle_under_another_key_than_the_trusted_one_is_refused():
    other, _ = key_pair(NAME, 2)
    assert "another key" in refusal(WHOLE, other).reason


def test_the_lines_are_json_that_other_tools_read():
    header, *body, closing = map(json.loads, WHOLE)
    assert header["format"] == "caracal-evidence/1"
    assert header["contents"] == "whole"
    assert [canonical_json(line["entry"]) for line in body] == ENTRIES
    assert [line["index"] for line in body] == list(range(7))
    assert closing["count"] == 7
    assert [line["index"] for line in map(json.loads, SELECTION[1:-1])] == SELECTED


def with_each_byte_changed(data, end):
    """Yield `data` with one bit flipped in each byte before `end`, another bit every time."""
    for at in range(end):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def split(file):
    return re.findall(rb"[^\n]*\n|[^\n]+\Z", file)


@pytest.mark.parametrize("lines", [WHOLE, SELECTION], ids=["whole", "selection"])
def test_a_change_to_any_byte_of_a_file_is_detected(lines):
    file = b"".join(lines)
    assert split(file) == lines
    for changed_file in with_each_byte_changed(file, len(file)):
        refusal(split(changed_file))


def test_a_change_to_any_byte_of_a_whole_log_names_the_entry_it_is_in():
    for at, line in enumerate(WHOLE[1:-1], 1):
        for changed_line in with_each_byte_changed(line, len(line) - 1):
            fault = refusal([*WHOLE[:at], *split(changed_line), *WHOLE[at + 1 :]])
            assert (fault.index, fault.line) == (at - 1, at + 1)


def test_a_change_to_any_byte_of_a_selected_entry_names_it():
    for at, line in enumerate(SELECTION[1:-1], 1):
        index = SELECTED[at - 1]
        end = line.index(b',"index":%d,"leaf"' % index)
        for changed_line in with_each_byte_changed(line, end):
            fault = refusal([*SELECTION[:at], changed_line, *SELECTION[at + 1 :]])
            assert str(fault).startswith(f"entry {index}, line {at + 1}: ")


def test_an_entry_altered_in_the_store_is_exported_and_named():
    altered = [*ENTRIES[:4], canonical_json({"n": 4, "what": "nothing"}), *ENTRIES[5:]]
    fault = refusal(whole(ENTRIES, stored=altered))
    assert (fault.index, fault.reason) == (4, "it does not have the leaf hash recorded for it")


def test_an_entry_altered_with_its_leaf_hash_does_not_have_the_signed_root():
    altered = [*ENTRIES[:4], canonical_json({"n": 4, "what": "nothing"}), *ENTRIES[5:]]
    forged = whole(altered)
    fault = refusal(resealed([WHOLE[0], *forged[1:]]))
    assert (fault.index, fault.line) == (None, None)
    assert str(fault) == fault.reason == "the entries do not have the root that was signed"


def test_a_selected_entry_altered_with_its_leaf_hash_is_named():
    old, new = b'"n":3', b'"n":9'
    lines = changed(SELECTION, 2, old, new)
    lines = changed(
        lines,
        2,
        leaf_hash(ENTRIES[3]).hex().encode(),
        leaf_hash(ENTRIES[3].replace(old, new)).hex().encode(),
    )
    fault = refusal(resealed(lines))
    assert (fault.index, fault.reason) == (3, "the inclusion proof does not lead to the root")


def test_a_missing_an_extra_and_a_swapped_entry_are_named():
    missing = refusal([*WHOLE[:3], *WHOLE[4:]])
    assert (missing.index, missing.reason) == (2, "its place is taken by entry 3")
    assert refusal([*WHOLE[:3], WHOLE[4], WHOLE[3], *WHOLE[5:]]).index == 2
    extra = refusal([*WHOLE[:-1], WHOLE[-2], WHOLE[-1]])
    assert (extra.index, extra.line) == (None, 9)
    assert "no more entries" in extra.reason
    last = refusal(changed([*WHOLE[:7], WHOLE[8]], 7, b'"count":7', b'"count":6'))
    assert "closing line" in last.reason
    repeated = refusal([*SELECTION[:3], SELECTION[2], *SELECTION[3:]])
    assert (repeated.index, repeated.reason) == (3, "out of turn")


def test_a_whole_log_cut_short_and_closed_again_is_refused():
    fault = refusal(resealed(changed([*WHOLE[:7], WHOLE[8]], 7, b'"count":7', b'"count":6')))
    assert (fault.index, str(fault)) == (6, "entry 6: missing")


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_bundle_cut_short_is_refused(cut):
    refusal(WHOLE[:cut])
    refusal([*WHOLE[:cut], WHOLE[cut][:-1]])


def test_nothing_may_follow_the_closing_line():
    for more in (b"\n", WHOLE[-1], WHOLE[1]):
        assert refusal([*WHOLE, more]).line == len(WHOLE) + 1


def test_a_path_has_no_place_in_a_whole_log_and_must_be_in_a_selection():
    with_path = changed(WHOLE, 1, b"}\n", b',"path":[]}\n')
    assert refusal(with_path).reason == "an entry of a whole log has no path"
    path = SELECTION[2][SELECTION[2].index(b',"path"') : -2]
    fault = refusal(changed(SELECTION, 2, path, b""))
    assert (fault.index, fault.reason) == (3, "the path is missing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"checkpoint"', b'{ "checkpoint"'),
        (b"\n", b" \n"),
        (b"\n", b"\r\n"),
        (b'"contents":"whole"', b'"contents":"selection"'),
        (b'"contents":"whole"', b'"contents":"other"'),
        (b'"contents":"whole"', b'"contents":"whole","contents":"whole"'),
        (b'"contents":"whole",', b""),
        (b"caracal-evidence/1", b"caracal-evidence/2"),
        (b"}\n", b',"more":1}\n'),
        (b"caracal.example", b"\xff.example"),
        (b"caracal.example", b"caracal\\u002eexample"),
        (b"caracal.example", b"x" * MAX_LINE_BYTES),
        (b"{", b"["),
    ],
)
def test_a_header_in_any_other_spelling_is_refused(old, new):
    refusal(resealed(changed(WHOLE, 0, old, new)), None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"null\n",
        WHOLE[1].replace(b'"index":0', b'"index":00'),
        WHOLE[1].replace(b'"index":0', b'"index":-0'),
        WHOLE[1].replace(b'"index":0', b'"index": 0'),
        WHOLE[1].replace(b'{"entry":', b'{"entry": '),
        WHOLE[1].replace(b"}\n", b"} \n"),
        WHOLE[1].replace(b"}\n", b"}\r\n"),
        WHOLE[1].replace(b"}\n", b"}"),
        WHOLE[1].replace(leaf_hash(ENTRIES[0]).hex().encode(), leaf_hash(b"").hex().encode()),
        WHOLE[1].replace(b'"n":0', b'"n":"' + b"0" * MAX_LINE_BYTES + b'"'),
    ],
)
def test_an_entry_line_in_any_other_spelling_is_refused(line):
    fault = refusal([WHOLE[0], line, *WHOLE[2:]])
    assert (fault.index, fault.line) == (0, 2)
    assert refusal([SELECTION[0], line, *SELECTION[2:]]).line == 2


def test_upper_case_hashes_are_another_spelling():
    lower = leaf_hash(ENTRIES[2]).hex().encode()
    assert refusal(changed(WHOLE, 3, lower, lower.upper())).index == 2


def test_a_flipped_byte_in_a_signature_nobody_knows_is_still_detected():
    signed = parse_note(signed_log(ENTRIES)[0])
    witness = NoteSignature("witness.example", bytes(4), bytes(72))
    note = SignedNote(signed.text, (*signed.signatures, witness)).render()
    writer = BundleWriter(note, KEY, Contents.SELECTION)
    lines = [writer.header(), writer.closing()]
    assert verify_bundle(lines, KEY).entries == 0
    fault = refusal(changed(lines, 0, b"witness.example", b"witless.example"))
    assert "closing line" in fault.reason


def test_verifying_takes_constant_memory():
    def lines(size):
        tree = TreeState().extend([leaf_hash(b"%d" % n) for n in range(size)])
        note = sign_checkpoint(Checkpoint(NAME, size, tree.root()), SIGNER, KEY)
        writer = BundleWriter(note, KEY, Contents.WHOLE)
        yield writer.header()
        for n in range(size):
            yield writer.entry(n, b"%d" % n, leaf_hash(b"%d" % n))
        yield writer.closing()

    def peak_of_verifying(size):
        source = lines(size)
        header = next(source)
        tracemalloc.start()
        verify_bundle((line for part in ([header], source) for line in part), KEY)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_of_verifying(10)
    assert peak_of_verifying(6000) < 2 * peak_of_verifying(1500)


def test_a_writer_takes_entries_in_turn_only():
    note, _ = signed_log(ENTRIES)
    leaf = bytes(32)
    for contents, index in ((Contents.WHOLE, 1), (Contents.SELECTION, 7), (Contents.WHOLE, -1)):
        with pytest.raises(EvidenceError, match="out of turn"):
            BundleWriter(note, KEY, contents).entry(index, b"1", leaf)
    writer = BundleWriter(note, KEY, Contents.SELECTION)
    writer.entry(3, b"1", leaf)
    for index in (2, 3):
        with pytest.raises(EvidenceError, match="out of turn"):
            writer.entry(index, b"1", leaf)


def test_a_writer_does_not_close_a_whole_log_that_is_not_whole():
    with pytest.raises(EvidenceError, match="entry 0 is missing"):
        BundleWriter(signed_log(ENTRIES)[0], KEY, Contents.WHOLE).closing()


def test_a_writer_wants_the_key_that_signed():
    other, _ = key_pair(NAME, 2)
    with pytest.raises(EvidenceError, match="no signature by"):
        BundleWriter(signed_log(ENTRIES)[0], other, Contents.WHOLE)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{",
        b"1 2",
        b" 1",
        b"1 ",
        b"{}\n",
        b'{"a":\n1}',
        b'1,"index":9',
        b"}",
        b'"' + b"x" * MAX_LINE_BYTES + b'"',
    ],
)
def test_an_entry_that_is_not_one_line_of_json_is_not_exported(entry):
    writer = BundleWriter(signed_log(ENTRIES)[0], KEY, Contents.WHOLE)
    with pytest.raises(EvidenceError):
        writer.entry(0, entry, bytes(32))
    writer.entry(0, b"{}", bytes(32))


def test_what_is_not_a_hash_is_not_exported():
    writer = BundleWriter(signed_log(ENTRIES)[0], KEY, Contents.SELECTION)
    for leaf, path in ((bytes(31), ()), (bytes(32), (bytes(31),))):
        with pytest.raises(EvidenceError, match="not a hash"):
            writer.entry(0, b"1", leaf, path)


@given(
    st.lists(
        st.sampled_from([*WHOLE, *SELECTION]) | st.binary(max_size=40).map(lambda b: b + b"\n"),
        max_size=8,
    )
)
def test_lines_put_together_at_random_are_refused_and_never_crash(lines):
    if lines not in (WHOLE, SELECTION):
        refusal(lines, None)


@given(st.integers(1, 7), st.integers(0, 6))
def test_a_whole_log_is_held_to_every_checkpoint_that_was_kept(size, altered):
    entries = [b'{"number":%d}' % number for number in range(7)]
    note, key = signed_log(entries[:size])
    kept = verify_checkpoint(note, key)
    verify_bundle(whole(entries), key, [kept])
    rewritten = [*entries]
    rewritten[altered] = b'{"number":"other"}'
    verify_bundle(whole(rewritten), key)
    if altered < size:
        with pytest.raises(BundleError, match="it was rewritten"):
            verify_bundle(whole(rewritten), key, [kept])


def test_what_was_kept_is_of_this_log_and_of_a_whole_one():
    entries = [b'{"number":%d}' % number for number in range(3)]
    note, key = signed_log(entries)
    with pytest.raises(BundleError, match="had 3 entries once, and now 2"):
        verify_bundle(whole(entries[:2]), key, [verify_checkpoint(note, key)])
    other_note, other_key = signed_log(entries, "caracal.example/other")
    with pytest.raises(BundleError, match="of another log"):
        verify_bundle(whole(entries), key, [verify_checkpoint(other_note, other_key)])
    with pytest.raises(BundleError, match="selection can not be held"):
        verify_bundle(selection(entries, [1]), key, [verify_checkpoint(note, key)])
