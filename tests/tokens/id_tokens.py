"""An OpenID provider that signs whatever it is told to, with joserfc: a second implementation of JWS."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, RSAKey

from caracal.authority.subjects import SubjectIssuer
from caracal.tokens.subject_keys import IssuerKeys, parse_issuer_keys
from caracal.tokens.subject_tokens import VerifiedSubject, verify_subject_token

TRUSTED = SubjectIssuer("https://id.example", "https://id.example/keys", "the-app")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
AT = int(NOW.timestamp())
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
ALGORITHMS = ("RS256", "RS384", "RS512", *CURVES)
KID = "k-{}"


@lru_cache
def rsa_key(bits: int = 2048, number: int = 0) -> RSAKey:
    return RSAKey.generate_key(bits, auto_kid=False)


@lru_cache
def ec_key(curve: str, number: int = 0) -> ECKey:
    return ECKey.generate_key(curve, auto_kid=False)


def key_of(algorithm: str, number: int = 0) -> RSAKey | ECKey:
    if algorithm in CURVES:
        return ec_key(CURVES[algorithm], number)
    return rsa_key(2048, number)


def jwk(algorithm: str, **changes: Any) -> dict[str, Any]:
    """The public key for an algorithm, as it is published; `None` leaves a member out."""
    entry = key_of(algorithm).as_dict(private=False)
    entry |= {"kid": KID.format(algorithm), "use": "sig", "alg": algorithm} | changes
    return {name: value for name, value in entry.items() if value is not None}


def document(*entries: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"keys": entries or [jwk(algorithm) for algorithm in ALGORITHMS]})


@lru_cache
def published() -> IssuerKeys:
    return parse_issuer_keys(document())


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; `None` leaves one out."""
    good = {"iss": TRUSTED.issuer, "sub": "user-1", "aud": TRUSTED.audience}
    times = {"exp": AT + 600, "iat": AT - 5, "email": "someone@id.example", "nonce": "n"}
    return {key: value for key, value in (good | times | changes).items() if value is not None}


def signed(
    payload: bytes, algorithm: str = "RS256", header: dict[str, Any] | None = None, number: int = 0
) -> bytes:
    protected = {"alg": algorithm, "kid": KID.format(algorithm), "typ": "JWT"} | (header or {})
    protected = {name: value for name, value in protected.items() if value is not None}
    registry = joserfc_jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    key = key_of(algorithm, number)
    return joserfc_jws.serialize_compact(protected, payload, key, registry=registry).encode()


def token(
    algorithm: str = "RS256", header: dict[str, Any] | None = None, number: int = 0, **changes: Any
) -> bytes:
    return signed(msgspec.json.encode(claims(**changes)), algorithm, header, number)


def verify(raw: bytes, **changes: Any) -> VerifiedSubject:
    wanted = {"keys": published(), "trusted": TRUSTED, "now": NOW}
    return verify_subject_token(raw, **(wanted | changes))
