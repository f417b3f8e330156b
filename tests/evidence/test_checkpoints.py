"""A checkpoint is what its log signed, for that log, in one spelling."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.evidence.checkpoints import (
    MAX_EXTENSIONS,
    Checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import SignedNote, parse_note, sign_note
from caracal.evidence.tree import EMPTY_ROOT, MAX_SIZE
from tests.evidence.signing import key_pair

KEY, SIGNER = key_pair("log.example/1")
ROOT = bytes(range(32))

lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
checkpoints = st.builds(
    Checkpoint,
    lines,
    st.integers(1, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(lines, max_size=3).map(tuple),
) | st.builds(Checkpoint, lines, st.just(0), st.just(EMPTY_ROOT))


@given(checkpoints)
def test_a_checkpoint_survives_being_written_down(checkpoint):
    assert parse_checkpoint(checkpoint.render()) == checkpoint


@given(st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_what_a_log_signs_verifies_with_its_key(size, root):
    checkpoint = Checkpoint(KEY.name, size, root)
    assert verify_checkpoint(sign_checkpoint(checkpoint, SIGNER, KEY), KEY) == checkpoint


def test_the_text_is_that_of_the_published_format():
    text = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        "\n— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    note = parse_note(text)
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert SignedNote(checkpoint.render(), note.signatures).render() == text


def test_a_key_does_not_speak_for_another_log():
    elsewhere = Checkpoint("log.example/2", 1, ROOT)
    with pytest.raises(EvidenceError, match="does not speak for"):
        sign_checkpoint(elsewhere, SIGNER, KEY)
    note = sign_note(elsewhere.render(), KEY, SIGNER)
    with pytest.raises(EvidenceError, match="does not speak for"):
        verify_checkpoint(note.render(), KEY)


def test_a_signed_text_that_is_no_checkpoint_is_refused():
    with pytest.raises(EvidenceError, match="origin, a size and a root"):
        verify_checkpoint(sign_note("hello\n", KEY, SIGNER).render(), KEY)


B64 = b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "o\n1\n",
        f"o\n1\n{B64}",
        f"\n1\n{B64}\n",
        f"o\n\n{B64}\n",
        f"o\n01\n{B64}\n",
        f"o\n+1\n{B64}\n",
        f"o\n-1\n{B64}\n",
        f"o\n1 \n{B64}\n",
        f"o\n1_0\n{B64}\n",
        f"o\n\u0661\n{B64}\n",
        f"o\n0x1\n{B64}\n",
        f"o\n{2**63}\n{B64}\n",
        f"o\n{10**30}\n{B64}\n",
        f"o\n0\n{B64}\n",
        "o\n1\n\n",
        f"o\n1\n{B64[:-1]}\n",
        f"o\n1\n{b64encode(ROOT[:31]).decode()}\n",
        f"o\n1\n{b64encode(bytes(33)).decode()}\n",
        f"o\n1\n{B64[:-2]}9=\n",
        f"o\n1\n{B64}\n\n",
        f"o\n1\n{B64}\next\n\next\n",
        f"o\n1\n{B64}\n" + "ext\n" * (MAX_EXTENSIONS + 1),
        f"o\r\n1\r\n{B64}\r\n",
        f"o\x00\n1\n{B64}\n",
        f"\ud800\n1\n{B64}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    assert parse_checkpoint(f"o\n1\n{B64}\n")
    with pytest.raises(EvidenceError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Checkpoint("", 1, ROOT),
        lambda: Checkpoint("a\n9", 1, ROOT),
        lambda: Checkpoint("a", -1, ROOT),
        lambda: Checkpoint("a", MAX_SIZE + 1, ROOT),
        lambda: Checkpoint("a", 1, ROOT[:31]),
        lambda: Checkpoint("a", 0, ROOT),
        lambda: Checkpoint("a", 1, ROOT, ("",)),
        lambda: Checkpoint("a", 1, ROOT, ("x\n",)),
    ],
)
def test_what_could_not_be_parsed_again_cannot_be_made(make):
    with pytest.raises(EvidenceError):
        make()


@given(st.text() | st.text("o\n01+=A/", max_size=60) | checkpoints.map(Checkpoint.render))
def test_anything_at_all_parses_to_itself_or_is_refused(text):
    try:
        checkpoint = parse_checkpoint(text)
    except EvidenceError:
        return
    assert checkpoint.render() == text
