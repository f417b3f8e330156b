"""A witness signs a time and a checkpoint's text; what it signed is taken up only when it verifies."""

import json
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.evidence.cosignatures import cosign, merge_cosignatures
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, parse_note, parse_signature
from caracal.evidence.witness_keys import WitnessKey, parse_witness_key, require_cosigned
from tests.evidence.signing import signed_log
from tests.evidence.witnesses import cosigned, witness

NOTE = parse_note(signed_log([b"{}", b"[]"])[0])
KEY, SIGN = witness(1)
JUDGES = Path(__file__).parents[2] / ".venv" / "tools" / "judges" / "bin" / "python"
ASK = """
import json, sys
from base64 import b64decode
from aics_tlog.cosign import cosignature_timestamp, verify_cosignature
from aics_tlog.note import format_vkey, parse_note, parse_vkey
asked = json.load(sys.stdin)
note, key = parse_note(asked["note"]), parse_vkey(asked["key"])
[blob] = [line.signature for line in note.signatures if line.name == key.name]
origin, size, root = note.text.splitlines()
good = verify_cosignature(blob, key.name, key.public_key, origin, int(size), b64decode(root))
print(json.dumps({"at": good and cosignature_timestamp(blob), "key": format_vkey(key)}))
"""


@given(st.integers(1, 2**63 - 1))
@settings(max_examples=30)
def test_what_a_witness_signs_verifies_with_its_time(at):
    merged, found = merge_cosignatures(NOTE, [cosign(NOTE.text, KEY, SIGN, at)], KEY)
    assert (found.witness, found.at) == (KEY.name, at)
    assert require_cosigned(parse_note(merged.render()), [KEY], 1) == (found,)
    assert merged.signatures[:1] == NOTE.signatures


def test_another_implementation_verifies_our_cosignature():
    note = cosigned(NOTE, {1: 1_700_000_000})
    answer = subprocess.run(
        [JUDGES, "-c", ASK],
        input=json.dumps({"note": note.render(), "key": KEY.render()}),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(answer.stdout) == {"at": 1_700_000_000, "key": KEY.render()}


def test_the_newest_cosignature_of_a_witness_takes_the_place_of_those_before():
    note = cosigned(NOTE, {1: 500, 2: 400})
    later, found = merge_cosignatures(note, [cosign(NOTE.text, KEY, SIGN, 600)], KEY)
    assert (len(later.signatures), found.at) == (3, 600)
    unchanged, found = merge_cosignatures(later, [cosign(NOTE.text, KEY, SIGN, 550)], KEY)
    assert (unchanged, found.at) == (later, 600)


def test_cosignatures_by_others_are_not_taken_up():
    other, sign = witness(2)
    with pytest.raises(EvidenceError, match="no cosignature by"):
        merge_cosignatures(NOTE, [cosign(NOTE.text, other, sign, 9)], KEY)
    with pytest.raises(EvidenceError, match="no cosignature by"):
        merge_cosignatures(NOTE, [], KEY)


def test_a_cosignature_of_another_checkpoint_is_refused():
    elsewhere = cosign(NOTE.text.replace("\n2\n", "\n3\n"), KEY, SIGN, 9)
    with pytest.raises(EvidenceError, match="does not verify"):
        merge_cosignatures(NOTE, [elsewhere], KEY)


def test_a_signer_of_another_key_and_impossible_times_are_found_before_anything_leaves():
    with pytest.raises(EvidenceError, match="does not verify"):
        cosign(NOTE.text, KEY, witness(2)[1], 9)
    for at in (0, -1, 2**63):
        with pytest.raises(EvidenceError, match="time"):
            cosign(NOTE.text, KEY, SIGN, at)
    with pytest.raises(EvidenceError, match="a note's text"):
        cosign("no end", KEY, SIGN, 9)


def test_a_witness_has_a_name_that_a_note_can_hold_and_a_key_of_32_bytes():
    with pytest.raises(EvidenceError, match="neither a space nor a plus"):
        WitnessKey("a b", KEY.public_key)
    typed = b"\4" + bytes(31)
    key_id = sha256(b"short\n" + typed).hexdigest()[:8]
    with pytest.raises(EvidenceError, match="32 bytes"):
        parse_witness_key(f"short+{key_id}+{b64encode(typed).decode()}")


def test_a_witness_key_and_a_signature_line_read_as_they_were_written():
    assert parse_witness_key(KEY.render()) == KEY
    line = cosign(NOTE.text, KEY, SIGN, 9)
    assert parse_signature(line.render()) == line
    assert isinstance(line, NoteSignature)
    assert SignedNote(NOTE.text, (line,)).render().endswith(line.render() + "\n")
