"""Assertions of clients that sign: proven for one server, for a few minutes, by a key that was listed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from caracal.authority.outcomes import Reason
from caracal.tokens import base64url
from caracal.tokens.client_assertions import claimed_client, parse_client_keys, verify_assertion
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import InvalidKey
from caracal.tokens.refusal import TokenRefused

SERVER = "https://sts.example/oauth/zones/shop"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})
KEYS = tuple(json.dumps(key.as_dict(private=False)) for key in (EC, RSA))
TRUSTED = parse_client_keys(KEYS)


def signed(key=EC, algorithm="ES256", header=None, **changes):
    at = int(NOW.timestamp())
    good = {
        "iss": "app",
        "sub": "app",
        "aud": SERVER,
        "iat": at,
        "exp": at + 300,
        "jti": "one",
    }
    claims = {name: value for name, value in (good | changes).items() if value is not None}
    head = {"alg": algorithm} | ({"kid": key.kid} if header is None else header)
    return RawToken(jwt.encode(head, claims, key, algorithms=[algorithm]).encode())


def verified(raw, now=NOW, client="app"):
    return verify_assertion(raw, keys=TRUSTED, client_id=client, audience=SERVER, now=now)


def refused(raw, **more):
    with pytest.raises(TokenRefused) as caught:
        verified(raw, **more)
    assert caught.value.reason is Reason.CLIENT_ASSERTION_INVALID
    return caught.value.detail


def test_a_listed_key_proves_its_application():
    proven = verified(signed())
    assert (proven.client_id, proven.issued_at, proven.expires_at) == (
        "app",
        NOW,
        NOW + timedelta(minutes=5),
    )
    assert verified(signed(RSA, "RS256")).client_id == "app"
    assert verified(signed(aud=[SERVER])).client_id == "app"
    assert verified(signed(header={})).client_id == "app"
    assert verified(signed(header={"typ": "client-authentication+jwt"})).client_id == "app"
    assert claimed_client(signed()) == "app"


def test_one_jti_of_one_client_is_one_assertion():
    assert verified(signed()).fingerprint == verified(signed(aud=[SERVER])).fingerprint
    assert verified(signed()).fingerprint != verified(signed(jti="two")).fingerprint


AT = int(NOW.timestamp())
WRONG = {
    "another audience": {"aud": f"{SERVER}/token"},
    "one audience too many": {"aud": [SERVER, "https://elsewhere"]},
    "no audience": {"aud": None},
    "another issuer": {"iss": "other"},
    "another subject": {"sub": "other"},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "no iat": {"iat": None},
    "a long life": {"exp": AT + 301},
    "no end": {"exp": None},
    "its end past": {"iat": AT - 400, "exp": AT - 100},
    "not yet": {"iat": AT + 100, "exp": AT + 200},
    "not before": {"nbf": AT + 100},
    "a time that is none": {"exp": "soon"},
}


@pytest.mark.parametrize("name", WRONG)
def test_claims_that_do_not_fit_are_refused(name):
    assert refused(signed(**WRONG[name]))


def test_clocks_may_differ_by_a_minute():
    assert verified(signed(nbf=AT + 59), now=NOW)
    assert verified(signed(), now=NOW + timedelta(minutes=5, seconds=59))
    assert refused(signed(), now=NOW + timedelta(minutes=6))


def test_somebody_elses_signature_is_refused():
    assert "no key" in refused(signed(STRANGER))
    assert "no key" in refused(signed(header={"kid": "unknown"}))
    assert refused(signed(), client="other")


def test_other_kinds_of_token_are_refused():
    assert "typ" in refused(signed(header={"kid": "ec", "typ": "at+jwt"}))
    assert "extensions" in refused(raw(b'{"alg":"ES256","crit":["x"]}', b"{}"))


def raw(header, payload):
    return RawToken(b".".join(map(base64url.encode, (header, complete(payload), b"x" * 64))))


def complete(payload):
    good = {"iss": "a", "sub": "a", "aud": SERVER, "iat": AT, "exp": AT, "jti": "j"}
    return json.dumps(good).encode() if payload == b"{}" else payload


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"a.b",
        b"a.b.c",
        b"x" * 9000,
        raw(b"[]", b"{}"),
        raw(b'{"alg":"ES256","alg":"none"}', b"{}"),
        raw(b'{"alg":"ES256"}', b'{"iss":"a","iss":"b"}'),
        raw(b'{"alg":"none"}', b"{}"),
    ],
)
def test_what_can_not_be_read_in_one_way_is_refused(token):
    assert refused(RawToken(token))


def test_a_name_that_is_no_text_is_refused():
    payload = complete(b"{}").replace(b'"j"', b'"\\ud800"')
    assert refused(raw(b'{"alg":"ES256"}', payload))


@given(st.binary(max_size=200))
def test_whatever_comes_is_refused(token):
    assert refused(RawToken(token))


@pytest.mark.parametrize(
    "key",
    [
        "{}",
        "not json",
        json.dumps(EC.as_dict(private=True)),
        json.dumps({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}),
        json.dumps({**EC.as_dict(private=False), "use": "enc"}),
        json.dumps({k: v for k, v in EC.as_dict(private=False).items() if k != "kid"}),
    ],
)
def test_a_key_that_can_not_verify_is_not_taken(key):
    with pytest.raises(InvalidKey):
        parse_client_keys((key,))
