"""A policy says which cosignatures suffice, and every mistake in it by its line."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import NoteSignature, SignedNote, parse_note
from caracal.evidence.witness_policy import (
    MAX_LINES,
    MAX_POLICY_BYTES,
    PolicyError,
    WitnessPolicy,
    parse_policy,
)
from tests.evidence.signing import key_pair, signed_log
from tests.evidence.witnesses import cosigned, witness

TEXT, LOG = signed_log([b"{}"])
NOTE = parse_note(TEXT)
W = [witness(number)[0].render() for number in range(6)]
TWO_LEVELS = f"""
# two operators
log {LOG.render()}\thttps://log.example

witness X1 {W[0]}
witness X2 {W[1]} https://w2.example
 witness X3 {W[2]}
group X 2 X1 X2 X3
witness Y1 {W[3]}
witness Y2 {W[4]}
group Y any Y1 Y2
group both all X Y
quorum both
"""


def policy(text: str) -> WitnessPolicy:
    return parse_policy(text.encode())


def test_two_levels_of_groups_hold_for_exactly_the_sets_that_they_name():
    rule = policy(TWO_LEVELS)
    assert rule.witnesses[1].url == "https://w2.example"
    assert rule.logs[0].url == "https://log.example"
    for present in itertools.chain.from_iterable(
        itertools.combinations(range(5), size) for size in range(6)
    ):
        quorum = rule.judge(cosigned(NOTE, dict.fromkeys(present, 7)))
        enough = len({0, 1, 2} & set(present)) >= 2 and {3, 4} & set(present)
        assert quorum.at == (7 if enough else None)
        assert len(quorum.cosigned) == len(present)


@given(st.dictionaries(st.integers(0, 4), st.integers(1, 9)))
@settings(max_examples=60)
def test_a_quorum_is_as_old_as_the_witnesses_it_can_not_do_without(times):
    """Held against the definition: the latest instant from which enough signed."""
    rule = policy(TWO_LEVELS)
    expected = None
    for instant in range(1, 10):
        late = {number for number, at in times.items() if at >= instant}
        if len({0, 1, 2} & late) >= 2 and {3, 4} & late:
            expected = instant
    assert rule.judge(cosigned(NOTE, times)).at == expected


def test_one_witness_can_be_the_quorum_and_none_can_be_needed():
    one = policy(f"witness a {W[0]}\nquorum a\n")
    assert one.require(cosigned(NOTE, {0: 5})).at == 5
    with pytest.raises(EvidenceError, match="0 of 1 witnesses"):
        one.require(NOTE)
    assert policy("quorum none\n").require(NOTE).at == 0


def test_a_false_cosignature_by_a_known_witness_is_never_passed_over():
    key = witness(0)[0]
    forged = NoteSignature(key.name, key.key_id, bytes(7) + b"\x09" + bytes(64))
    with pytest.raises(EvidenceError, match="does not verify"):
        policy(TWO_LEVELS).judge(SignedNote(NOTE.text, (*NOTE.signatures, forged)))


def test_a_checkpoint_must_be_by_a_log_of_the_policy():
    signed = cosigned(NOTE, {0: 5})
    rest = f"witness a {W[0]}\nquorum a\n"
    other, impostor = key_pair("other.example", 3)[0], key_pair(LOG.name, 3)[0]
    policy(f"log {LOG.render()}\n{rest}").require(signed)
    policy(f"log {impostor.render()}\nlog {LOG.render()}\n{rest}").require(signed)
    with pytest.raises(EvidenceError, match="lists no log"):
        policy(f"log {other.render()}\n{rest}").require(signed)
    with pytest.raises(EvidenceError, match="no signature by a known key"):
        policy(f"log {impostor.render()}\n{rest}").require(signed)


def test_names_are_octets():
    rule = parse_policy(b"witness K %b\nwitness \xe2\x84\xaa %b\nwitness \xff %b\nquorum \xff\n" % (
        W[0].encode(), W[1].encode(), W[2].encode()))  # fmt: skip
    assert rule.judge(cosigned(NOTE, {2: 5})).at == 5
    assert rule.judge(cosigned(NOTE, {0: 5, 1: 5})).at is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 0, "no quorum"),
        (f"witness a {W[0]}\n", 0, "no quorum"),
        ("quorum none", 1, "not ended"),
        ("quorum none\nquorum none\n", 2, "second quorum"),
        ("quorum a\n", 1, "not defined"),
        (f"# x\nwitness none {W[0]}\n", 2, "taken"),
        (f"witness a {W[0]}\nwitness a {W[1]}\n", 2, "taken"),
        (f"witness a {W[0]}\nwitness b {W[0]}\n", 2, "listed before"),
        (f"log {LOG.render()}\nlog {LOG.render()}\n", 2, "listed before"),
        (f"witness a {LOG.render()}\n", 1, "not a witness's"),
        (f"log {W[0]}\n", 1, "not of type Ed25519"),
        (f"witness a {W[0]}\ngroup g 2 a\n", 2, "any, all or 1 to 1"),
        (f"witness a {W[0]}\ngroup g 0 a\n", 2, "any, all or 1 to 1"),
        (f"witness a {W[0]}\ngroup g 01 a\n", 2, "any, all or 1 to 1"),
        (f"witness a {W[0]}\ngroup g all a a\n", 2, "member already"),
        (f"witness a {W[0]}\ngroup g any a\ngroup h any a\n", 3, "member already"),
        ("group g any none\n", 1, "not defined"),
        ("group g any g\n", 1, "not defined"),
        (f"witness a {W[0]}\ngroup g any\n", 2, "not `log KEY"),
        ("witnesses\n", 1, "not `log KEY"),
        ("quorum none\r\n", 1, "control character"),
        ("quorum none\n" * (MAX_LINES + 1), 0, "at most"),
        ("#" * MAX_POLICY_BYTES + "\n", 0, "at most"),
    ],
)
def test_mistakes_are_named_by_their_line(text, line, what):
    with pytest.raises(PolicyError, match=what) as fault:
        policy(text)
    assert fault.value.line == line


@given(st.lists(st.sampled_from(["log", "witness", "group", "quorum", "none", "a", "all", "1", "#",
                                 "\n", W[0], LOG.render(), "\t"])), st.binary(max_size=5))  # fmt: skip
@example(["quorum", "none", "\n"], b"")
@settings(max_examples=100)
def test_whatever_is_parsed_is_a_policy_or_refused(words, noise):
    try:
        rule = parse_policy(" ".join(words).encode() + noise)
    except PolicyError:
        return
    assert rule.judge(NOTE).at in (None, 0)
