"""While one key of a log takes over from another, both sign, and either verifies."""

import pytest

from caracal.evidence.bundle import BundleWriter, verify_bundle
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.checkpoints import (
    Checkpoint,
    countersign_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_checkpoint_by_any,
)
from caracal.evidence.errors import BundleError, EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, parse_note
from caracal.evidence.tree import TreeState, leaf_hash
from tests.evidence.signing import key_pair

NAME = "caracal.example/log"
NEXT, SIGN_NEXT = key_pair(NAME, 2)
BEFORE, SIGN_BEFORE = key_pair(NAME, 1)
STRANGER, SIGN_STRANGER = key_pair(NAME, 3)
ENTRY = b'{"kind":"key.rotate"}'
TREE = TreeState().extend([leaf_hash(ENTRY)])
CHECKPOINT = Checkpoint(NAME, TREE.size, TREE.root())
BY_NEXT = sign_checkpoint(CHECKPOINT, SIGN_NEXT, NEXT)
BY_BOTH = countersign_checkpoint(BY_NEXT, SIGN_BEFORE, BEFORE)


def bundle(note: str) -> list[bytes]:
    writer = BundleWriter(note, NEXT, Contents.WHOLE)
    return [writer.header(), writer.entry(0, ENTRY, leaf_hash(ENTRY)), writer.closing()]


@pytest.mark.parametrize("key", [NEXT, BEFORE])
def test_a_checkpoint_that_both_signed_verifies_with_either(key):
    assert verify_checkpoint(BY_BOTH, key) == CHECKPOINT
    assert verify_checkpoint_by_any(BY_BOTH, (key, STRANGER)) == CHECKPOINT


def test_a_checkpoint_that_no_known_key_signed_is_refused():
    with pytest.raises(EvidenceError, match="no signature by a known key"):
        verify_checkpoint_by_any(BY_NEXT, (BEFORE, STRANGER))


def test_one_wrong_signature_by_a_known_key_spoils_the_right_one():
    note = parse_note(BY_NEXT)
    wrong = NoteSignature(NAME, BEFORE.key_id, bytes(64))
    spoiled = SignedNote(note.text, (*note.signatures, wrong)).render()
    assert verify_checkpoint_by_any(spoiled, (NEXT,)) == CHECKPOINT
    with pytest.raises(EvidenceError, match="does not verify"):
        verify_checkpoint_by_any(spoiled, (NEXT, BEFORE))


def test_a_key_of_another_log_does_not_countersign():
    other, sign_other = key_pair("caracal.example/other", 4)
    with pytest.raises(EvidenceError, match="does not speak for"):
        countersign_checkpoint(BY_NEXT, sign_other, other)
    with pytest.raises(EvidenceError, match="does not verify"):
        countersign_checkpoint(BY_NEXT, sign_other, BEFORE)


def test_who_knows_the_key_before_verifies_an_export_of_the_overlap():
    report = verify_bundle(bundle(BY_BOTH), BEFORE)
    assert (report.key, report.key_source) == (BEFORE, "given")
    assert verify_bundle(bundle(BY_BOTH), NEXT).key == NEXT


@pytest.mark.parametrize("key", [BEFORE, STRANGER])
def test_an_export_that_the_trusted_key_did_not_sign_is_refused(key):
    with pytest.raises(BundleError, match="names another key"):
        verify_bundle(bundle(BY_NEXT), key)
