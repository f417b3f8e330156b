"""Only a token that the trusted issuer signed, for the audience, now, names a user."""

import copy
import pickle
from base64 import urlsafe_b64encode
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.authority.subjects import User, name_fault
from caracal.tokens.keys import InvalidKey
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.subject_keys import MAX_KEYS, parse_issuer_keys
from caracal.tokens.subject_tokens import (
    MAX_TOKEN_BYTES,
    UnverifiedOrigin,
    VerifiedSubject,
    unverified_origin,
)
from tests.tokens.id_tokens import (
    ALGORITHMS,
    AT,
    CURVES,
    KID,
    NOW,
    TRUSTED,
    claims,
    document,
    ec_key,
    jwk,
    rsa_key,
    signed,
    token,
    verify,
)


def refusal(raw: bytes, **changes) -> Reason:
    with pytest.raises(TokenRefused) as refused:
        verify(raw, **changes)
    return refused.value.reason


def segment(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_signed_with_each_accepted_algorithm_names_its_user(algorithm):
    raw = token(algorithm)
    proven = verify(raw)
    assert proven.user == User(TRUSTED.issuer, "user-1")
    assert (proven.issued_at, proven.expires_at) == (
        NOW - timedelta(seconds=5),
        NOW + timedelta(seconds=600),
    )
    assert unverified_origin(raw) == UnverifiedOrigin(TRUSTED.issuer, KID.format(algorithm))


@pytest.mark.parametrize("alg", ["none", "HS256", "PS256", "EdDSA", "ES256K", "rs256", ""])
def test_no_other_algorithm_is_even_tried(alg):
    header = segment(msgspec.json.encode({"alg": alg, "kid": KID.format("RS256")}))
    raw = header + b"." + token().split(b".", 1)[1]
    assert refusal(raw) is Reason.SUBJECT_TOKEN_SIGNATURE
    with pytest.raises(TokenRefused):
        unverified_origin(raw)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_of_another_key_does_not_verify(algorithm):
    assert refusal(token(algorithm, number=1)) is Reason.SUBJECT_TOKEN_SIGNATURE


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claimed", ALGORITHMS)
def test_a_key_verifies_only_with_its_own_algorithm(algorithm, claimed):
    """Whatever the header says: a key published for one algorithm never serves for another."""
    entry = jwk(algorithm, kid="one")
    keys = parse_issuer_keys(document(entry))
    raw = token(claimed, {"kid": "one"})
    if claimed == algorithm:
        assert verify(raw, keys=keys).user.name == "user-1"
    else:
        assert refusal(raw, keys=keys) is Reason.SUBJECT_TOKEN_SIGNATURE


@pytest.mark.parametrize("claimed", ALGORITHMS)
@pytest.mark.parametrize("algorithm", ["RS256", *CURVES])
def test_a_key_without_an_algorithm_serves_the_algorithms_of_its_kind(algorithm, claimed):
    keys = parse_issuer_keys(document(jwk(algorithm, kid="one", alg=None)))
    raw = token(claimed, {"kid": "one"})
    fits = claimed == algorithm or (algorithm, claimed[:2]) == ("RS256", "RS")
    if fits:
        assert verify(raw, keys=keys).user.name == "user-1"
    else:
        assert refusal(raw, keys=keys) is Reason.SUBJECT_TOKEN_SIGNATURE


def test_two_keys_of_one_id_are_both_tried():
    entries = (jwk("ES256", kid="one"), jwk("RS256", kid="one"))
    keys = parse_issuer_keys(document(*entries))
    assert verify(token("RS256", {"kid": "one"}), keys=keys).user.name == "user-1"
    assert verify(token("ES256", {"kid": "one"}), keys=keys).user.name == "user-1"


def test_a_key_id_is_needed_and_has_to_be_published():
    assert refusal(token(header={"kid": None})) is Reason.SUBJECT_TOKEN_MALFORMED
    assert refusal(token(header={"kid": ""})) is Reason.SUBJECT_TOKEN_MALFORMED
    assert refusal(token(header={"kid": "other"})) is Reason.SUBJECT_TOKEN_KEY_UNKNOWN


def test_keys_that_a_token_brings_along_prove_nothing():
    own = rsa_key(2048, 1).as_dict(private=False)
    raw = token(header={"jwk": own, "jku": "https://evil.example/keys"}, number=1)
    assert refusal(raw) is Reason.SUBJECT_TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "header", [{"typ": "at+jwt"}, {"typ": "application/AT+JWT"}, {"typ": "logout+jwt"}]
)
def test_tokens_of_other_kinds_are_not_id_tokens(header):
    assert refusal(token(header=header)) is Reason.SUBJECT_TOKEN_MALFORMED


def test_extensions_that_must_be_understood_are_refused():
    raw = segment(b'{"alg":"RS256","kid":"k-RS256","crit":["x"],"x":1}') + b".e30.c2ln"
    assert refusal(raw) is Reason.SUBJECT_TOKEN_MALFORMED


def test_the_type_may_be_left_out():
    assert verify(token(header={"typ": None})).user.name == "user-1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://id.example/"}, Reason.SUBJECT_ISSUER_UNKNOWN),
        ({"aud": "another-app"}, Reason.SUBJECT_TOKEN_AUDIENCE),
        ({"aud": ["another-app"]}, Reason.SUBJECT_TOKEN_AUDIENCE),
        ({"aud": []}, Reason.SUBJECT_TOKEN_AUDIENCE),
        ({"aud": "the-app-2"}, Reason.SUBJECT_TOKEN_AUDIENCE),
        ({"exp": AT - 60}, Reason.SUBJECT_TOKEN_EXPIRED),
        ({"iat": AT + 61}, Reason.SUBJECT_TOKEN_NOT_YET_VALID),
        ({"nbf": AT + 61}, Reason.SUBJECT_TOKEN_NOT_YET_VALID),
        *(({name: None}, Reason.SUBJECT_TOKEN_MALFORMED) for name in ("iss", "sub", "aud")),
        *(({name: None}, Reason.SUBJECT_TOKEN_MALFORMED) for name in ("exp", "iat")),
        ({"exp": str(AT + 600)}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"exp": -1}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"exp": 1e300}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"exp": 253_402_300_799}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"exp": 253_370_764_799}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"exp": AT - 5 + 86_401}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"sub": 7}, Reason.SUBJECT_TOKEN_MALFORMED),
        ({"aud": {"the-app": 1}}, Reason.SUBJECT_TOKEN_MALFORMED),
    ],
)
def test_each_claim_is_judged(changes, reason):
    assert refusal(token(**changes)) is reason


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT - 59},
        {"iat": AT + 60},
        {"nbf": AT - 5},
        {"exp": AT + 0.5},
        {"exp": AT - 5 + 86_400},
        {"aud": ["x", "the-app"]},
    ],
)
def test_clocks_may_differ_by_a_minute_and_audiences_be_several(changes):
    assert verify(token(**changes)).user.name == "user-1"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 513,
        "é" * 257,
        "caracal:shared",
        " user",
        "user\n",
        "user\u00a0",
        "us\ter",
        "us\x7fer",
        "us\x85er",
        "us\ufffder",
        "us\u202eer",
        "us\u202aer",
        "us\u2066er",
        "us\u2069er",
    ],
)
def test_names_that_mislead_are_refused(name):
    assert refusal(token(sub=name)) is Reason.SUBJECT_NAME_INVALID


@pytest.mark.parametrize("name", ["x" * 512, "é" * 256, "auth0|5f7", "a b", "Caracal:x", "名前"])
def test_other_names_are_taken_to_the_letter(name):
    assert verify(token(sub=name)).user.name == name


def test_half_a_character_is_no_name():
    assert name_fault("\ud800") is not None
    payload = msgspec.json.encode(claims(sub="X")).replace(b'"X"', b'"\\ud800"')
    assert refusal(signed(payload)) in {
        Reason.SUBJECT_TOKEN_MALFORMED,
        Reason.SUBJECT_NAME_INVALID,
    }


def test_a_claim_that_is_stated_twice_is_refused():
    payload = msgspec.json.encode(claims())[:-1] + b',"sub":"user-2"}'
    assert refusal(signed(payload)) is Reason.SUBJECT_TOKEN_MALFORMED
    doubled = segment(b'{"alg":"RS256","kid":"k-RS256","kid":"k-RS256"}')
    assert refusal(doubled + b".e30.c2ln") is Reason.SUBJECT_TOKEN_MALFORMED


def test_size_and_segments_are_bounded():
    assert refusal(b"a" * (MAX_TOKEN_BYTES + 1)) is Reason.SUBJECT_TOKEN_MALFORMED
    assert refusal(token() + b".x") is Reason.SUBJECT_TOKEN_MALFORMED
    assert refusal(token() + b"=") is Reason.SUBJECT_TOKEN_MALFORMED
    with pytest.raises(TokenRefused) as refused:
        unverified_origin(signed(b'{"iss":7}'))
    assert refused.value.reason is Reason.SUBJECT_TOKEN_MALFORMED


@given(st.binary(max_size=200) | st.text("eyJ.-_{}", max_size=200).map(str.encode))
@settings(max_examples=100)
def test_whatever_comes_is_refused_with_a_reason(raw):
    assert refusal(raw).value.startswith("subject_token_")


SIGNED_ONCE = token("ES256")
"""ES256 signs differently each time; examples have to be drawn alike."""


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_token_that_was_changed_anywhere_proves_nothing(data):
    good = SIGNED_ONCE
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from(b"Aa0_-.=").filter(lambda byte: byte != good[at]))
    refusal(good[:at] + bytes([other]) + good[at + 1 :])


def test_another_signature_of_the_same_words_has_the_same_fingerprint():
    """ECDSA signatures can be changed by anyone into another that verifies."""
    one, two = token("ES256"), token("ES256")
    assert one != two
    assert verify(one).fingerprint == verify(two).fingerprint
    assert verify(token("ES256", sub="user-2")).fingerprint != verify(one).fingerprint


def test_a_proof_is_made_by_verifying_only():
    proven = verify(token())
    with pytest.raises(TypeError, match="only verify_subject_token"):
        VerifiedSubject(proven.user, NOW, NOW, b"", "", object())
    for copying in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            copying(proven)


def test_the_same_name_at_two_issuers_has_two_anchors():
    names = {User("https://a.example", "x").anchor, User("https://b.example", "x").anchor}
    assert len(names | {User("https://a.example", "x y").anchor}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"kid": None},
        {"kty": "oct"},
        {"kty": "OKP"},
        {"e": "AQ"},
        {"e": "BA"},
        {"n": ""},
        {"n": "AQAB"},
        {"n": "not base64url="},
        {"n": 7},
        {"d": "AQAB"},
    ],
)
def test_entries_that_can_not_verify_are_passed_over(changes):
    keys = parse_issuer_keys(document(jwk("RS256", **changes), jwk("ES256")))
    assert [key.kid for key in keys.keys] == [KID.format("ES256")]


@pytest.mark.parametrize("changes", [{"crv": "secp256k1"}, {"crv": "P-384"}, {"x": "AQ"}])
def test_points_off_the_curve_are_no_keys(changes):
    with pytest.raises(InvalidKey):
        parse_issuer_keys(document(jwk("ES256", **changes)))


def test_short_rsa_keys_are_passed_over():
    with pytest.raises(InvalidKey, match="no key"):
        parse_issuer_keys(document(jwk("RS256", n=segment((2**1023 + 1).to_bytes(128)).decode())))


@pytest.mark.parametrize("text", [b"", b"[]", b'{"keys":7}', b'{"keys":[]}', b"[" * 100_000])
def test_a_document_without_keys_is_refused(text):
    with pytest.raises(InvalidKey):
        parse_issuer_keys(text)


def test_a_document_with_too_many_entries_is_refused():
    with pytest.raises(InvalidKey, match="entries"):
        parse_issuer_keys(document(*[ec_key("P-256").as_dict(private=False)] * (MAX_KEYS + 1)))
