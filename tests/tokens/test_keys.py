import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from caracal.tokens import base64url
from caracal.tokens.keys import (
    InvalidKey,
    KeyId,
    KeySet,
    SigningKey,
    parse_jwk,
    parse_jwks,
)
from caracal.tokens.secret import Secret
from tests.tokens.mandate_examples import KEY, KEYS, OTHER_KEY

JWK = json.loads(KEYS.jwks())["keys"][0]


def test_a_public_key_survives_its_document():
    assert parse_jwk(json.dumps(JWK).encode()) == KEY.public
    both = KeySet(OTHER_KEY.public, (KEY.public,))
    assert parse_jwks(both.jwks()) == both
    assert [entry["kid"] for entry in json.loads(both.jwks())["keys"]] == ["key-2", "key-1"]


def test_the_published_members_are_exactly_these():
    assert set(JWK) == {"kty", "crv", "use", "kid", "alg", "x", "y"}
    assert (JWK["kty"], JWK["crv"], JWK["use"], JWK["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert len(JWK["x"]) == len(JWK["y"]) == 43


def test_small_coordinates_are_padded_to_their_full_length():
    scalar = next(
        n
        for n in range(1, 2_000)
        if ec.derive_private_key(n, ec.SECP256R1()).public_key().public_numbers().x < 2**248
    )
    key = SigningKey(KeyId("small"), ec.derive_private_key(scalar, ec.SECP256R1()))
    assert len(key.public.jwk().x) == 43
    assert parse_jwks(KeySet(key.public).jwks()).active == key.public


@given(st.sampled_from(sorted(JWK)), st.sampled_from([None, 1, "", "x", "AAAA", "=", "A" * 43]))
def test_a_changed_member_refuses_or_renames(member, value):
    changed = JWK | {member: value}
    try:
        key = parse_jwk(json.dumps(changed).encode())
    except InvalidKey:
        return
    assert (key.key, key.kid) == (KEY.public.key, changed["kid"])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps(JWK | {"d": "AAAA"}).encode(),
        json.dumps(JWK | {"x": JWK["x"][:-4]}).encode(),
        json.dumps(JWK | {"x": "AAAA" + JWK["x"]}).encode(),
        json.dumps(JWK | {"x": JWK["y"], "y": JWK["x"]}).encode(),
        json.dumps(JWK | {"kid": "with space"}).encode(),
    ],
    ids=range(8),
)
def test_what_is_not_a_public_signing_key_is_refused(document):
    with pytest.raises(InvalidKey):
        parse_jwk(document)


def test_a_longer_spelling_of_the_same_coordinate_is_refused():
    padded = base64url.encode(b"\x00" + base64url.decode(JWK["x"].encode())).decode()
    with pytest.raises(InvalidKey, match="32 bytes"):
        parse_jwk(json.dumps(JWK | {"x": padded}).encode())


def test_other_kinds_of_keys_in_a_document_are_skipped():
    others = [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, JWK | {"alg": "ES384"}, JWK]
    assert parse_jwks(json.dumps({"keys": others}).encode()) == KEYS


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"{}",
        {"keys": []},
        {"keys": [{"kty": "RSA"}]},
        {"keys": [1]},
        {"keys": [JWK, JWK]},
        {"keys": [JWK | {"d": "AAAA"}]},
        {"keys": [{"kty": "RSA", "d": "AAAA"}, JWK]},
        {"keys": [JWK | {"crv": "P-384"}]},
    ],
    ids=range(9),
)
def test_a_document_without_usable_keys_is_refused(document):
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(InvalidKey):
        parse_jwks(text)


def test_a_private_key_survives_its_sealed_form():
    again = SigningKey.from_pem(KEY.kid, KEY.to_pem())
    assert again.sign(b"data") == KEY.sign(b"data")
    assert again.public == KEY.public


def _pem(key, encryption=None) -> Secret:
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            encryption or serialization.NoEncryption(),
        ).decode()
    )


def test_only_an_open_p256_key_is_read_for_signing():
    encrypted = _pem(KEY.private, serialization.BestAvailableEncryption(b"x"))
    for pem in (
        Secret("nothing"),
        encrypted,
        _pem(ed25519.Ed25519PrivateKey.generate()),
        _pem(ec.generate_private_key(ec.SECP384R1())),
    ):
        with pytest.raises(InvalidKey):
            SigningKey.from_pem(KeyId("key-9"), pem)


def test_a_private_key_is_not_shown():
    assert "Secret(***)" in repr(KEY.to_pem())
    assert "private" not in repr(KEY)
    assert f"{KEY.private.private_numbers().private_value:x}" not in repr(KEY)


def test_rotation_overlaps_and_forgets():
    third = SigningKey.generate(KeyId("key-3")).public
    once = KEYS.rotated(OTHER_KEY.public)
    assert [key.kid for key in once.accepted] == ["key-2", "key-1"]
    twice = once.rotated(third)
    assert [key.kid for key in twice.accepted] == ["key-3", "key-2"]
    assert twice.find("key-1") is None
    assert twice.find("key-2") == OTHER_KEY.public
    assert [key.kid for key in once.rotated(third, keep=2).accepted] == ["key-3", "key-2", "key-1"]
    assert once.without(KeyId("key-2")) == once, "the active key stays"


def test_two_keys_may_not_share_a_name():
    with pytest.raises(InvalidKey, match="same key id"):
        KeySet(KEY.public, (KEY.public,))


@given(st.binary(max_size=100))
def test_base64url_has_one_spelling_for_each_value(data):
    assert base64url.decode(base64url.encode(data)) == data


@given(st.binary(max_size=40) | st.text("ABab01-_=+/", max_size=12).map(str.encode))
def test_what_base64url_reads_it_would_write_the_same(text):
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64url.encode(data) == text
