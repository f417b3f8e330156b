"""Mandates made without our code: they verify, mean what they say, and we mint the same bytes."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jwk import KeySet as OracleKeySet

from caracal.authority.mandates import MandateClass
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeyId, KeySet, SigningKey, parse_jwk
from caracal.tokens.mandates import mint, verify_mandate
from tests.tokens.mandate_examples import KEY, KEYS, mandate_of_hops, verify
from tests.tokens.vectors.make_mandates import FILE, document

VECTORS = json.loads(FILE.read_text())
PUBLIC = KeySet(parse_jwk(json.dumps(VECTORS["public_jwk"]).encode()))
SIGNER = SigningKey(
    KeyId(VECTORS["public_jwk"]["kid"]),
    ec.derive_private_key(int(VECTORS["private_scalar"], 16), ec.SECP256R1()),
)
AT = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_the_file_is_what_its_script_makes():
    assert FILE.read_text() == document() + "\n"


@pytest.mark.parametrize("vector", VECTORS["mandates"], ids=lambda v: v["name"])
def test_a_vector_verifies_and_is_minted_again_byte_for_byte(vector):
    proven = verify_mandate(
        RawToken(vector["token"].encode()),
        keys=PUBLIC,
        issuer=VECTORS["issuer"],
        zone_id=VECTORS["zone_id"],
        mandate_classes=(MandateClass(vector["claims"]["use"]),),
        audience=vector["claims"]["aud"][0],
        now=AT,
    )
    assert mint(proven.mandate, SIGNER) == vector["token"]


def test_another_library_verifies_what_we_mint():
    token = jwt.decode(
        mint(mandate_of_hops(2), KEY),
        OracleKeySet.import_key_set(json.loads(KEYS.jwks())),
        algorithms=["ES256"],
    )
    assert token.header == {"alg": "ES256", "kid": "key-1", "typ": "at+jwt"}
    assert token.claims["hop_count"] == 2


def test_we_verify_what_another_library_mints():
    key = ECKey.import_key(KEY.to_pem().reveal())
    ours = jwt.decode(mint(mandate_of_hops(2), KEY), key, algorithms=["ES256"])
    header = {"typ": "at+jwt", "kid": "key-1", "alg": "ES256"}
    theirs = jwt.encode(header, dict(sorted(ours.claims.items())), key, algorithms=["ES256"])
    assert verify(theirs).mandate == mandate_of_hops(2)
