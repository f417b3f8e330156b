"""A receipt proves by itself that a log holds an entry; a change anywhere in it is found."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, parse_verifier_key
from caracal.evidence.receipts import (
    MAX_ENTRY_BYTES,
    MAX_PATH,
    MAX_RECEIPT_CHARACTERS,
    Receipt,
    parse_receipt,
    verify_receipt,
)
from caracal.evidence.witness_keys import WitnessKey, parse_witness_key, require_cosigned
from tests.evidence.naive_tree import naive_path
from tests.evidence.signing import key_pair, signed_log

VECTORS = json.loads((Path(__file__).parent / "vectors" / "receipts.json").read_text())
ENTRIES = [b'{"number":%d}' % number for number in range(5)]
NOTE, KEY = signed_log(ENTRIES)


def receipt_of(index: int) -> Receipt:
    return Receipt(ENTRIES[index], index, tuple(naive_path(index, ENTRIES)), NOTE)


TEXT = receipt_of(3).render()
HEAD, _, AFTER = TEXT.partition("\n\n")


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{case['index']}-of-{case['size']}")
def test_receipts_made_by_another_implementation_verify(case):
    receipt = parse_receipt(case["receipt"])
    assert receipt.render() == case["receipt"]
    witnesses = [parse_witness_key(key) for key in case["witness_keys"]]
    report = verify_receipt(receipt, parse_verifier_key(case["log_key"]), witnesses)
    assert (report.entry.decode(), report.index) == (case["entry"], case["index"])
    assert [one.at for one in report.cosigned] == case["cosigned"]
    assert report.checkpoint.size == case["size"]


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_every_entry_of_a_log_has_a_receipt(index):
    report = verify_receipt(parse_receipt(receipt_of(index).render()), KEY)
    assert (report.entry, report.index) == (ENTRIES[index], index)


@given(st.integers(0, len(TEXT.encode()) - 1), st.integers(0, 255))
def test_one_changed_byte_fails_the_receipt(place, value):
    raw = bytearray(TEXT.encode())
    if raw[place] == value:
        value ^= 1
    raw[place] = value
    with pytest.raises((EvidenceError, UnicodeDecodeError)):
        verify_receipt(parse_receipt(raw.decode()), KEY)


@given(st.integers(0, len(TEXT)))
def test_a_receipt_that_was_cut_or_grew_fails(end):
    for text in (TEXT[:end], TEXT[:end] + "\n" + TEXT[end:], TEXT[end:] + TEXT[:end]):
        if text != TEXT:
            with pytest.raises(EvidenceError):
                verify_receipt(parse_receipt(text), KEY)


def test_a_receipt_is_good_for_the_log_of_its_key_only():
    with pytest.raises(EvidenceError, match="no signature by"):
        verify_receipt(parse_receipt(TEXT), key_pair("caracal.example/other")[0])
    with pytest.raises(EvidenceError, match="no signature by"):
        verify_receipt(parse_receipt(TEXT), key_pair("caracal.example/log", 2)[0])


def test_another_entry_or_another_place_is_not_what_was_logged():
    for entry, index in ((ENTRIES[2], 3), (ENTRIES[3], 2), (ENTRIES[3], 4)):
        forged = Receipt(entry, index, tuple(naive_path(3, ENTRIES)), NOTE)
        with pytest.raises(EvidenceError):
            verify_receipt(forged, KEY)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with"),
        (TEXT.replace("@v1", "@v2"), "begins with"),
        (HEAD, "begins with"),
        (HEAD.split("\n")[0] + "\n\n" + AFTER, "holds its entry"),
        (TEXT.replace("extra ", "Extra "), "holds its entry"),
        ("\n".join([*HEAD.split("\n")[:2], "", AFTER]), "holds its entry"),
        ("\n".join([HEAD.split("\n")[0], *HEAD.split("\n")[2:], "", AFTER]), "holds its entry"),
        (TEXT.replace("index 3", "index 03"), "leading zeros"),
        (TEXT.replace("index 3", "index -3"), "leading zeros"),
        (TEXT.replace("index 3", "index ٣"), "leading zeros"),
        (TEXT.replace("index 3", f"index {2**63 - 1}"), "an index is"),
        (TEXT.replace("index 3\n", "index 3\nAAAA\n"), "hashes of 32 bytes"),
        (TEXT.replace("extra ", "extra ="), "not base64"),
        (TEXT.replace("extra ", "extra AA=="), "not base64"),
        (TEXT.replace(HEAD.split("\n")[1], "extra "), "entry has 1 to"),
        ("x" * (MAX_RECEIPT_CHARACTERS + 1), "at most"),
    ],
)
def test_what_is_written_another_way_is_refused(text, why):
    with pytest.raises(EvidenceError, match=why):
        parse_receipt(text)


def test_what_no_receipt_can_hold_is_refused_when_it_is_made():
    with pytest.raises(EvidenceError, match="entry has 1 to"):
        Receipt(bytes(MAX_ENTRY_BYTES + 1), 0, (), NOTE)
    with pytest.raises(EvidenceError, match="at most 63"):
        Receipt(b"{}", 0, (bytes(32),) * (MAX_PATH + 1), NOTE)
    longest = Receipt(bytes(MAX_ENTRY_BYTES), 0, (bytes(32),) * MAX_PATH, NOTE)
    assert len(longest.render()) < MAX_RECEIPT_CHARACTERS


@given(
    st.text(max_size=200)
    | st.builds(lambda cut: TEXT[:cut] + "\0" + TEXT[cut:], st.integers(0, 200))
)
def test_whatever_is_offered_parses_or_is_refused(text):
    try:
        receipt = parse_receipt(text)
    except EvidenceError:
        return
    assert receipt.render() == text


COSIGNED = VECTORS[1]["receipt"]
LOG = parse_verifier_key(VECTORS[1]["log_key"])
WITNESSES = [parse_witness_key(key) for key in VECTORS[1]["witness_keys"]]
STRANGER = WitnessKey("witness.example/c", key_pair("c", 9)[0].public_key)


@given(st.integers(0, len(COSIGNED.encode()) - 1), st.integers(0, 7))
def test_one_flipped_bit_fails_a_receipt_that_all_witnesses_must_have_cosigned(place, bit):
    raw = bytearray(COSIGNED.encode())
    raw[place] ^= 1 << bit
    with pytest.raises((EvidenceError, UnicodeDecodeError)):
        verify_receipt(parse_receipt(raw.decode()), LOG, WITNESSES)


def test_so_many_witnesses_must_have_cosigned():
    receipt = parse_receipt(COSIGNED)
    for quorum, witnesses in ((2, [*WITNESSES, STRANGER]), (1, WITNESSES[:1]), (0, [STRANGER])):
        report = verify_receipt(receipt, LOG, witnesses, quorum)
        known = {key.name for key in witnesses} & {key.name for key in WITNESSES}
        assert {one.witness for one in report.cosigned} == known
    with pytest.raises(EvidenceError, match="2 of 3 witnesses cosigned, not 3"):
        verify_receipt(receipt, LOG, [*WITNESSES, STRANGER])
    with pytest.raises(EvidenceError, match="can not be"):
        verify_receipt(receipt, LOG, WITNESSES, 3)


def test_one_key_under_two_names_counts_once():
    again = WitnessKey("witness.example/z", WITNESSES[0].public_key)
    with pytest.raises(EvidenceError, match="the same key"):
        verify_receipt(parse_receipt(COSIGNED), LOG, [WITNESSES[0], again], 1)


@pytest.mark.parametrize(
    ("cosignature", "why"),
    [
        (bytes(71), "has not 72 bytes"),
        (b"\xff" * 72, "beyond time"),
        (bytes(72), "does not verify"),
    ],
)
def test_a_cosignature_that_names_a_witness_must_be_its_own(cosignature, why):
    key = WITNESSES[0]
    note = SignedNote("text\n", (NoteSignature(key.name, key.key_id, cosignature),))
    with pytest.raises(EvidenceError, match=why):
        require_cosigned(note, [key], 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "reads name"),
        (VECTORS[0]["log_key"], "not a witness's"),
        (VECTORS[0]["witness_keys"][0].replace("+81d624fa+", "+81d624fb+"), "id it states"),
        (VECTORS[0]["witness_keys"][0].replace("witness", "wit\x01ness"), "key name"),
    ],
)
def test_what_is_no_witness_key_is_refused(text, why):
    with pytest.raises(EvidenceError, match=why):
        parse_witness_key(text)


def test_the_entry_is_in_the_text_in_plain_base64():
    extra = HEAD.split("\n")[1].removeprefix("extra ")
    assert b64decode(extra) == ENTRIES[3]
    assert b64encode(ENTRIES[3]).decode() == extra
