"""A log and a witness understand each other in one way only, and nothing malformed as anything."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caracal.evidence.cosignatures import cosign
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_note
from caracal.evidence.witness_protocol import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    AddCheckpoint,
    Declined,
    Holds,
    parse_add_checkpoint,
    parse_answer,
)
from tests.evidence.signing import signed_log
from tests.evidence.witnesses import witness

NOTE = signed_log([b"{}"])[0]
PUBLISHED = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
LINE = cosign(parse_note(NOTE).text, *witness(1), 9)
SIZE = (409, SIZE_TYPE)


def test_the_published_example_is_read_and_written_back():
    request = parse_add_checkpoint(PUBLISHED)
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert parse_note(request.note).text.startswith("example.com/behind-the-sofa\n20852163\n")
    assert request.render() == PUBLISHED


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
@settings(max_examples=50)
def test_every_request_reads_as_it_was_written(old, proof):
    request = AddCheckpoint(old, tuple(proof), NOTE)
    assert parse_add_checkpoint(request.render()) == request


@given(st.text(max_size=80))
@example("old 1\n\n")
@example("old 1\nAAAA\n\nx")
@settings(max_examples=100)
def test_whatever_comes_is_either_one_request_or_refused(body):
    try:
        request = parse_add_checkpoint(body)
    except EvidenceError:
        return
    assert request.render() == body


@pytest.mark.parametrize(
    "body",
    [
        "",
        "old 1",
        f"1\n\n{NOTE}",
        f"old 01\n\n{NOTE}",
        f"old -1\n\n{NOTE}",
        f"old {2**63}\n\n{NOTE}",
        f"old 1\nnot base64\n\n{NOTE}",
        f"old 1\nAAAA\n\n{NOTE}",
        "old 1\n" + 64 * (43 * "A" + "=\n") + f"\n{NOTE}",
        "old 1\n\n" + MAX_REQUEST_BYTES * "x",
    ],
)
def test_malformed_requests_are_refused(body):
    with pytest.raises(EvidenceError):
        parse_add_checkpoint(body)


def test_too_long_a_proof_can_not_be_made():
    with pytest.raises(EvidenceError):
        AddCheckpoint(1, (bytes(32),) * 64, NOTE)


def test_answers_say_one_of_three_things():
    two = f"{LINE.render()}\n{LINE.render()}\n".encode()
    assert parse_answer(200, "text/plain", two) == (LINE, LINE)
    assert parse_answer(*SIZE, b"17\n") == Holds(17)
    assert parse_answer(409, "Text/X.tlog.size; charset=utf-8", b"0\n") == Holds(0)
    assert [parse_answer(status, "", b"?") for status in (400, 403, 404, 422, 503)] == [
        Declined(400),
        Declined(403),
        Declined(404),
        Declined(422),
        Declined(503),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        (200, "", b""),
        (200, "", b"\xff"),
        (200, "", LINE.render().encode()),
        (200, "", 17 * f"{LINE.render()}\n".encode()),
        (200, "", (MAX_ANSWER_BYTES + 1) * b"x"),
        (409, "text/plain", b"17\n"),
        (*SIZE, b"17"),
        (*SIZE, b"017\n"),
        (*SIZE, f"{2**63}\n".encode()),
    ],
)
def test_malformed_answers_are_refused(answer):
    with pytest.raises(EvidenceError):
        parse_answer(*answer)
