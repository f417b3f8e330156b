"""Forgery: whatever was not signed by an accepted key with ES256 is refused, by reason."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.tokens import base64url
from caracal.tokens.jws import MAX_TOKEN_BYTES, RawToken, verify
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import mint, unverified_routing
from caracal.tokens.refusal import TokenRefused
from tests.tokens.mandate_examples import KEY, KEYS, OTHER_KEY, mandate_of_hops

TOKEN = mint(mandate_of_hops(1), KEY).encode()
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(b".")


def reason_of(token: bytes, keys: KeySet = KEYS) -> Reason:
    with pytest.raises(TokenRefused) as refused:
        verify(RawToken(token), keys)
    return refused.value.reason


def with_header(header: object, signature: bytes | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = base64url.encode(text) + b"." + PAYLOAD
    made = KEY.sign(signed) if signature is None else signature
    return signed + b"." + base64url.encode(made)


def test_the_payload_comes_back_as_it_was_signed():
    assert verify(RawToken(TOKEN), KEYS) == base64url.decode(PAYLOAD)


@given(st.integers(0, len(TOKEN) - 1), st.integers(0, 7))
def test_one_flipped_bit_anywhere_refuses(at, bit):
    changed = bytearray(TOKEN)
    changed[at] ^= 1 << bit
    reason_of(bytes(changed))


@pytest.mark.parametrize("alg", ["none", "None", "", "HS256", "RS256", "ES384", "ES256K", "es256"])
@pytest.mark.parametrize("kid", ["key-1", "no-such-key"])
def test_another_algorithm_is_refused_before_a_key_is_looked_up(alg, kid):
    token = with_header({"alg": alg, "kid": kid, "typ": "at+jwt"})
    assert reason_of(token) is Reason.MANDATE_SIGNATURE
    with pytest.raises(TokenRefused):
        unverified_routing(RawToken(token))


def test_an_unsigned_token_is_refused():
    header = base64url.encode(b'{"alg":"none","kid":"key-1","typ":"at+jwt"}')
    assert reason_of(header + b"." + PAYLOAD + b".") is Reason.MANDATE_SIGNATURE
    assert reason_of(HEADER + b"." + PAYLOAD + b".") is Reason.MANDATE_SIGNATURE


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "point"])
def test_the_public_key_used_as_a_shared_secret_is_refused(form):
    public = KEY.public.key
    secrets = {
        "pem": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "der": public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "jwk": KEYS.jwks(),
        "point": public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        ),
    }
    for alg in ("HS256", "ES256"):
        header = base64url.encode(b'{"alg":"%s","kid":"key-1","typ":"at+jwt"}' % alg.encode())
        signed = header + b"." + PAYLOAD
        forged = hmac.digest(secrets[form], signed, hashlib.sha256)
        for signature in (forged, forged * 2):
            token = signed + b"." + base64url.encode(signature)
            assert reason_of(token) is Reason.MANDATE_SIGNATURE


@pytest.mark.parametrize("member", ["crit", "jwk", "jku", "x5c", "x5u", "b64", "zip", "cty"])
def test_a_header_member_we_do_not_know_is_refused(member):
    header = {"alg": "ES256", "kid": "key-1", "typ": "at+jwt", member: "x"}
    assert reason_of(with_header(header)) is Reason.MANDATE_MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"a":' * 500,
        {"alg": "ES256", "kid": "key-1"},
        {"alg": "ES256", "typ": "at+jwt"},
        {"alg": "ES256", "kid": 1, "typ": "at+jwt"},
        {"alg": ["ES256"], "kid": "key-1", "typ": "at+jwt"},
        {"alg": "ES256", "kid": "key-1", "typ": "JWT"},
        {"alg": "ES256", "kid": "key-1", "typ": "dpop+jwt"},
        b'{"alg":"none","alg":"ES256","kid":"key-1","typ":"at+jwt"}',
        b'{"alg":"ES256","kid":"x","kid":"key-1","typ":"at+jwt"}',
    ],
    ids=lambda header: repr(header)[:50],
)
def test_a_malformed_header_is_refused_though_the_signature_is_right(header):
    assert reason_of(with_header(header)) is Reason.MANDATE_MALFORMED


def test_the_long_form_of_the_type_is_read():
    token = with_header({"kid": "key-1", "typ": "application/AT+JWT", "alg": "ES256"})
    assert verify(RawToken(token), KEYS) == base64url.decode(PAYLOAD)


def test_a_key_id_of_another_key_does_not_verify():
    both = KeySet(KEY.public, (OTHER_KEY.public,))
    token = with_header({"alg": "ES256", "kid": "key-2", "typ": "at+jwt"})
    assert reason_of(token, both) is Reason.MANDATE_SIGNATURE
    assert reason_of(token) is Reason.MANDATE_KEY_UNKNOWN


def _signature_forms() -> dict[str, bytes]:
    raw = base64url.decode(SIGNATURE)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    return {
        "DER": encode_dss_signature(r, s),
        "zeros": bytes(64),
        "zero r": bytes(32) + raw[32:],
        "all ones": b"\xff" * 64,
        "short": raw[:-1],
        "long": raw + b"\x00",
        "swapped": raw[32:] + raw[:32],
        "empty": b"",
    }


@pytest.mark.parametrize("form", _signature_forms())
def test_another_form_of_signature_is_refused(form):
    token = HEADER + b"." + PAYLOAD + b"." + base64url.encode(_signature_forms()[form])
    assert reason_of(token) is Reason.MANDATE_SIGNATURE


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"....",
        HEADER + b"." + PAYLOAD,
        TOKEN + b".",
        TOKEN + b"=",
        TOKEN + b"\n",
        b" " + TOKEN,
        HEADER + b"." + PAYLOAD + b"." + SIGNATURE + b"==",
        base64.b64encode(b'{"alg":"ES256","kid":"~~~?","typ":"at+jwt"}') + b"." + PAYLOAD + b".AA",
        "é.é.é".encode(),
    ],
    ids=[
        "empty",
        "two segments, empty",
        "three segments, empty",
        "five segments",
        "no signature",
        "a fourth segment",
        "padding at the end",
        "a line break at the end",
        "a space in front",
        "a padded signature",
        "the other base64 alphabet",
        "letters outside ASCII",
    ],
)
def test_another_shape_is_refused(token):
    assert reason_of(token) is Reason.MANDATE_MALFORMED


def test_the_stray_bits_of_a_last_character_are_refused():
    last = SIGNATURE[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(last) ^ 1 : (alphabet.index(last) ^ 1) + 1]
    twin_token = TOKEN[:-1] + twin
    assert base64.urlsafe_b64decode(SIGNATURE + b"==") == base64.urlsafe_b64decode(
        SIGNATURE[:-1] + twin + b"=="
    )
    assert reason_of(twin_token) is Reason.MANDATE_MALFORMED


def test_a_token_over_the_limit_is_not_looked_at():
    assert reason_of(b"a" * (MAX_TOKEN_BYTES + 1)) is Reason.MANDATE_TOO_LARGE
    assert reason_of(b"a" * MAX_TOKEN_BYTES) is Reason.MANDATE_MALFORMED


@given(st.binary(max_size=200) | st.text(".abcXYZ-_=\n", max_size=60).map(str.encode))
def test_noise_is_refused_with_a_reason(noise):
    reason_of(noise)


@given(st.data())
def test_mutated_tokens_are_refused_with_a_reason(data):
    mutated = bytearray(TOKEN)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        if data.draw(st.booleans()):
            del mutated[at : at + data.draw(st.integers(1, 5))]
        else:
            mutated[at:at] = data.draw(st.binary(min_size=1, max_size=5))
    if bytes(mutated) != TOKEN:
        reason_of(bytes(mutated))


def test_a_refusal_does_not_repeat_the_token():
    with pytest.raises(TokenRefused) as refused:
        verify(RawToken(TOKEN + b"x"), KEYS)
    assert SIGNATURE.decode() not in str(refused.value)
