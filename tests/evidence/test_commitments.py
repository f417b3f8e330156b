"""A commitment stands for one value, says nothing without its salt, and can be opened by anyone."""

import hashlib
import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.evidence.commitments import (
    SALT_BYTES,
    Opening,
    commit,
    make_opening,
    parse_openings,
    render_openings,
    verify_opening,
    verify_openings,
)
from caracal.evidence.errors import EvidenceError

SALT = bytes(range(SALT_BYTES))

salts = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FEW = settings(max_examples=60)


@FEW
@given(salts, texts)
def test_what_was_committed_to_opens_it(salt: bytes, value: str) -> None:
    verify_opening(make_opening(salt, value), commit(salt, value))


@FEW
@given(salts, texts, salts, texts)
def test_nothing_else_opens_it(salt: bytes, value: str, other: bytes, another: str) -> None:
    digest = commit(salt, value)
    for opening in (make_opening(other, value), make_opening(salt, another)):
        if opening != make_opening(salt, value):
            with pytest.raises(EvidenceError, match="does not open"):
                verify_opening(opening, digest)


@FEW
@given(st.dictionaries(texts, st.tuples(salts, texts), max_size=4))
def test_openings_are_read_as_they_were_written(made: dict[str, tuple[bytes, str]]) -> None:
    openings = {field: make_opening(*of_field) for field, of_field in made.items()}
    assert parse_openings(render_openings(openings)) == openings
    verify_openings(openings, {field: commit(*of_field) for field, of_field in made.items()})


def test_a_commitment_is_what_the_format_says_to_anyone_with_a_hash_function() -> None:
    value = "sub-ünïcode"
    written = json.dumps(value, ensure_ascii=False).encode()
    digest = hashlib.sha256(SALT + b"\0" + written).digest()
    assert commit(SALT, value) == urlsafe_b64encode(digest).decode().rstrip("=")


def test_an_opening_of_what_was_not_committed_to_is_refused() -> None:
    opening = make_opening(SALT, "alice")
    with pytest.raises(EvidenceError, match="no 'subject'"):
        verify_openings({"subject": opening}, {"detail": commit(SALT, "alice")})


def test_an_opening_that_is_gone_is_no_fault() -> None:
    verify_openings({}, {"subject": commit(SALT, "alice")})


@pytest.mark.parametrize(
    "salt",
    ["", "A", "AAAA", "A" * 42, "A" * 43 + "=", "A" * 42 + "B", "ä" * 43, "A" * 42 + " ", "A" * 44],
)
def test_a_salt_has_one_text_only(salt: str) -> None:
    with pytest.raises(EvidenceError, match="salt"):
        verify_opening(Opening(salt, "alice"), commit(bytes(SALT_BYTES), "alice"))


def test_what_may_not_stand_in_evidence_opens_nothing() -> None:
    with pytest.raises(EvidenceError, match="may not stand"):
        verify_opening(Opening(make_opening(SALT, "").salt, "\ud800"), commit(SALT, ""))


def test_a_digest_of_lone_surrogates_is_opened_by_nothing() -> None:
    with pytest.raises(EvidenceError, match="does not open"):
        verify_opening(make_opening(SALT, "alice"), "\ud800")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":{}}', b'{"a":{"salt":1,"value":""}}', b"\xff"])
def test_malformed_openings_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="JSON object"):
        parse_openings(data)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_salt_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit(bytes(size), "alice")
