"""A note is believed only for a signature by the key that is asked about."""

import json
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import (
    MAX_NAME_BYTES,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    SignedNote,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    sign_note,
    verify_note,
)
from tests.evidence.signing import key_pair

VECTORS = json.loads((Path(__file__).parent / "vectors" / "notes.json").read_text())
KEY, SIGNER = key_pair("log.example/1")
NOTE = sign_note("some text\n\nand more\n", KEY, SIGNER).render()

printable = st.characters(exclude_categories=["Cs", "Cc"])
names = st.text(printable.filter(lambda c: c != "+" and not c.isspace()), min_size=1, max_size=20)
texts = st.text(printable | st.just("\n"), max_size=60).map(lambda text: text + "\n")
public_keys = st.binary(min_size=32, max_size=32)
verifier_keys = st.builds(VerifierKey, names, public_keys)
signatures = st.builds(
    NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)
)
notes = st.builds(SignedNote, texts, st.lists(signatures, min_size=1, max_size=5).map(tuple))


@pytest.mark.parametrize("case", VECTORS["verifier_keys"])
def test_published_verifier_keys_parse_and_have_the_id_they_state(case):
    key = parse_verifier_key(case["key"])
    assert (key.name, key.key_id.hex()) == (case["name"], case["id"])
    assert key.render() == case["key"]


@pytest.mark.parametrize("case", VECTORS["notes"])
def test_published_notes_verify(case):
    note = parse_note(case["note"])
    assert verify_note(note, parse_verifier_key(case["key"])) == case["text"]
    assert note.render() == case["note"]


@given(verifier_keys)
def test_a_verifier_key_survives_being_written_down(key):
    assert parse_verifier_key(key.render()) == key


@given(notes)
def test_a_note_survives_being_written_down(note):
    assert parse_note(note.render()) == note


@given(texts, names, st.integers(0, 255))
def test_what_is_signed_verifies_with_that_key_only(text, name, seed):
    key, signer = key_pair(name, seed)
    note = sign_note(text, key, signer)
    assert verify_note(parse_note(note.render()), key) == text
    other, _ = key_pair(name, (seed + 1) % 256)
    with pytest.raises(EvidenceError, match="no signature by"):
        verify_note(note, other)


@given(st.integers(0, len(NOTE.encode()) * 8 - 1))
def test_one_flipped_bit_fails_the_note(bit):
    raw = bytearray(NOTE.encode())
    raw[bit // 8] ^= 1 << bit % 8
    try:
        changed = raw.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(EvidenceError):
        verify_note(parse_note(changed), KEY)


def test_signatures_by_unknown_keys_are_kept_and_not_judged():
    other, other_signer = key_pair("witness.example", 2)
    signed = sign_note("text\n", KEY, SIGNER)
    (witness,) = sign_note("text\n", other, other_signer).signatures
    forged = NoteSignature("post-quantum.example", b"\x00\x01\x02\x03", bytes(2420))
    note = SignedNote("text\n", (forged, *signed.signatures, witness))
    assert verify_note(note, KEY) == verify_note(note, other) == "text\n"
    assert parse_note(note.render()) == note


def test_sharing_a_name_or_an_id_is_not_being_the_key():
    (signature,) = sign_note("text\n", KEY, SIGNER).signatures
    same_name = msgspec.structs.replace(signature, key_id=b"\x00\x00\x00\x00")
    same_id = msgspec.structs.replace(signature, name="elsewhere.example")
    with pytest.raises(EvidenceError, match="no signature by"):
        verify_note(SignedNote("text\n", (same_name, same_id)), KEY)


def test_one_bad_signature_by_a_known_key_fails_the_whole_note():
    (good,) = sign_note("text\n", KEY, SIGNER).signatures
    bad = msgspec.structs.replace(good, signature=bytes(64))
    for order in ((good, bad), (bad, good)):
        with pytest.raises(EvidenceError, match="does not verify"):
            verify_note(SignedNote("text\n", order), KEY)


def test_a_signer_that_does_not_match_the_key_signs_nothing():
    _, other_signer = key_pair("log.example/1", 2)
    with pytest.raises(EvidenceError, match="does not verify"):
        sign_note("text\n", KEY, other_signer)


def test_sixteen_large_signatures_are_accepted():
    large = tuple(NoteSignature(f"k{n}.example", bytes(4), bytes([n]) * 5000) for n in range(16))
    note = SignedNote("text\n", (*large, *sign_note("text\n", KEY, SIGNER).signatures))
    assert verify_note(parse_note(note.render()), KEY) == "text\n"


LINE = "— log.example/1 " + b64encode(bytes(68)).decode() + "\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n\n",
        "text\n" + LINE,
        "text\n\n" + LINE.rstrip("\n"),
        "text\n\n" + LINE + "trailing",
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE.replace("—", "-"),
        "text\n\n" + LINE.replace("— ", "—"),
        "text\n\n" + LINE.replace("log.example/1 ", ""),
        "text\n\n" + LINE.replace("log.example/1", ""),
        "text\n\n" + LINE.replace("log.example/1", "a+b"),
        "text\n\n" + LINE.replace("log.example/1", "a\u00a0b"),
        "text\n\n" + LINE.replace("log.example/1", "a\tb"),
        "text\n\n" + LINE.replace("log.example/1", "n" * (MAX_NAME_BYTES + 1)),
        "text\n\n" + LINE.replace("AA=", "AB="),
        "text\n\n" + LINE.replace("=", ""),
        "text\n\n" + LINE.replace("AAAA", "AA-A", 1),
        "text\n\n" + LINE.replace("AAAA", "AA A", 1),
        "text\n\n" + LINE.replace("AAAA", "AAÄA", 1),
        "text\n\n— log.example/1 AAAA\n",
        "text\n\n— log.example/1 AAAAAA==\n",
        "text\n\n— log.example/1 \n",
        "te\rxt\n\n" + LINE,
        "te\x00xt\n\n" + LINE,
        "te\ud800xt\n\n" + LINE,
        "text\r\n\r\n" + LINE,
        "text\n\n" + LINE * (MAX_SIGNATURES + 1),
        "t" * MAX_NOTE_BYTES + "\n\n" + LINE,
        "é" * (MAX_NOTE_BYTES // 2) + "\n\n" + LINE,
    ],
)
def test_a_malformed_note_is_refused(note):
    assert parse_note("text\n\n" + LINE)
    with pytest.raises(EvidenceError):
        parse_note(note)


GOOD_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "++",
        GOOD_KEY + "\n",
        " " + GOOD_KEY,
        GOOD_KEY.replace("sum", "s m"),
        GOOD_KEY.replace("sum", "s\nm"),
        GOOD_KEY.replace("sum", "s\ud800m"),
        GOOD_KEY.replace("sum", "mus"),
        GOOD_KEY.replace("sum", "s+m"),
        GOOD_KEY.replace("sum.golang.org", ""),
        GOOD_KEY.replace("033de0ae", "033DE0AE"),
        GOOD_KEY.replace("033de0ae", "33de0ae"),
        GOOD_KEY.replace("033de0ae", "033de0af"),
        GOOD_KEY.replace("+Ac4", "+Bc4"),
        GOOD_KEY.replace("uAn8", "uAn9"),
        GOOD_KEY.removesuffix("uAn8"),
        GOOD_KEY + "AAAA",
        GOOD_KEY.replace("uAn8", "uAn="),
        GOOD_KEY.replace("uAn8", "u=n8"),
    ],
)
def test_a_malformed_verifier_key_is_refused(text):
    assert parse_verifier_key(GOOD_KEY)
    with pytest.raises(EvidenceError):
        parse_verifier_key(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VerifierKey("", bytes(32)),
        lambda: VerifierKey("a b", bytes(32)),
        lambda: VerifierKey("a", bytes(31)),
        lambda: NoteSignature("a", bytes(3), bytes(64)),
        lambda: NoteSignature("a", bytes(4), b""),
        lambda: NoteSignature("a\u2028b", bytes(4), bytes(64)),
        lambda: SignedNote("text\n", ()),
        lambda: SignedNote("text", (NoteSignature("a", bytes(4), bytes(64)),)),
        lambda: sign_note("text", KEY, SIGNER),
        lambda: sign_note("te\txt\n", KEY, SIGNER),
    ],
)
def test_what_could_not_be_parsed_again_cannot_be_made(make):
    with pytest.raises(EvidenceError):
        make()


@given(st.text() | st.text("— \nab+=A/", max_size=40) | notes.map(SignedNote.render), st.data())
def test_anything_at_all_parses_to_itself_or_is_refused(note, data):
    at = data.draw(st.integers(0, len(note)))
    mangled = note[:at] + data.draw(st.text(max_size=2)) + note[at + data.draw(st.integers(0, 2)) :]
    for parse in (parse_note, parse_verifier_key):
        try:
            value = parse(mangled)
        except EvidenceError:
            continue
        assert value.render() == mangled
