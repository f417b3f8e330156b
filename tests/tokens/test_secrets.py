import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.tokens.client_secrets import (
    Argon2idHash,
    GeneratedHash,
    GeneratedHasher,
    InvalidStoredSecret,
    generated_secret,
    hash_generated,
    matches_generated,
    parse_stored,
)
from caracal.tokens.secret import Secret

PEPPER = Secret("pepper")
PHC = "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA"


def test_a_secret_is_mute():
    secret = Secret("hunter2")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", repr([secret])):
        assert "hunter2" not in shown
        assert "***" in shown
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy, hash, vars])
def test_a_secret_is_not_pickled_copied_or_hashed(act):
    with pytest.raises(TypeError):
        act(Secret("hunter2"))


def test_secrets_compare_by_what_they_hold():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("é").matches("é")
    assert not Secret("é").matches(Secret("e"))


def test_a_generated_secret_says_what_it_is():
    assert generated_secret(bytes(32)).reveal() == "cs_" + "A" * 43
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            generated_secret(bytes(size))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_stored_hash_matches_its_own_secret_only(one, other):
    secret, stranger = generated_secret(one), generated_secret(other)
    stored = hash_generated(secret, PEPPER)
    assert matches_generated(secret, stored, PEPPER)
    assert matches_generated(stranger, stored, PEPPER) is (one == other)
    assert not matches_generated(secret, stored, Secret("salt"))
    assert secret.reveal() not in stored


def test_the_stored_form_keeps_its_meaning():
    stored = hash_generated(generated_secret(bytes(32)), PEPPER)
    assert stored == "hmac-sha256$bjemfZnomFVHVXC9OPgjL-Q7505E6XnM9FvtDKwP9JA"


def test_stored_hashes_are_told_apart_by_their_tag():
    stored = hash_generated(generated_secret(bytes(32)), PEPPER)
    generated = parse_stored(stored)
    assert isinstance(generated, GeneratedHash)
    assert generated.render() == stored
    brought = parse_stored(PHC.removeprefix("$"))
    assert brought == Argon2idHash(PHC)
    assert brought.render() == PHC[1:]


@pytest.mark.parametrize(
    "text", ["", "plain", PHC, "hmac-sha256$", "hmac-sha256$AAAA", "hmac-sha256$=", "md5$x"]
)
def test_a_stored_hash_of_another_form_is_refused(text):
    with pytest.raises(InvalidStoredSecret):
        parse_stored(text)


def test_a_keyed_hasher_is_not_pickled_or_copied():
    with pytest.raises(TypeError, match="pepper"):
        pickle.dumps(GeneratedHasher(PEPPER))
