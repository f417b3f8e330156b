"""Client assertions: an application proves itself by signing (RFC 7523 section 2.2)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import msgspec

from caracal.authority.outcomes import Reason
from caracal.tokens import base64url, jws
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import InvalidKey
from caracal.tokens.mandates import LEEWAY
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.subject_keys import IssuerKeys, parse_issuer_keys

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION_BYTES = 8_192
MAX_ASSERTION_LIFETIME = timedelta(minutes=5)
_SEGMENTS = 3
_LAST_SECOND = 253_370_764_799  # 9998-12-31T23:59:59Z: leeway can still be added
_TYPES = frozenset({"jwt", "client-authentication+jwt"})

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]


class _Header(msgspec.Struct, frozen=True):
    """What is read of a header. Keys that it brings along (`jwk`, `jku`, `x5c`) are never looked at."""

    alg: str
    kid: str = ""
    typ: str = "JWT"
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    """What is read of the claims; no other means anything here."""

    iss: Text
    sub: Text
    aud: tuple[str, ...] | str
    exp: Seconds
    iat: Seconds
    jti: Text
    nbf: Seconds | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """Who signed, and what makes the assertion the same as another one."""

    client_id: str
    issued_at: datetime
    expires_at: datetime
    fingerprint: bytes


@lru_cache(maxsize=1024)  # the same few on every request
def parse_client_keys(keys: tuple[str, ...]) -> IssuerKeys:
    """Read the public keys of an application, each a JWK as JSON.

    Raises:
        InvalidKey: one of them can not verify anything here.
    """
    parsed = [_usable(key) for key in keys]
    return IssuerKeys(tuple(key for found in parsed for key in found.keys))


def _usable(key: str) -> IssuerKeys:
    try:
        return parse_issuer_keys(b'{"keys":[' + key.encode() + b"]}")
    except InvalidKey:
        raise InvalidKey(
            "is no public JWK with a kid for signatures: RSA of 2048 bits or more, or EC P-256, P-384, "
            "P-521; leave private members out"
        ) from None


def claimed_client(raw: RawToken) -> str:
    """Whose assertion it says it is. Good for finding keys, nothing else.

    Raises:
        TokenRefused: with CLIENT_ASSERTION_INVALID.
    """
    return _claims(_split(raw)[1]).sub


def verify_assertion(
    raw: RawToken, *, keys: IssuerKeys, client_id: str, audience: str, now: datetime
) -> VerifiedAssertion:
    """Prove that `client_id` signed `raw` for `audience`, and that it is valid at `now`.

    Whether it was used before is the caller's next question. Source: RFC 7523 section 3, with the audience
    that its revision asks for: the authorization server's issuer identifier and nothing besides.

    Raises:
        TokenRefused: with CLIENT_ASSERTION_INVALID and what is wrong.
    """
    head, payload, signature = _split(raw)
    header, claims = _header(head), _claims(payload)
    named = keys.named(header.kid) if header.kid else keys.keys
    signed = raw.rpartition(b".")[0]
    if not any(key.verifies(header.alg, signature, signed) for key in named):
        raise _invalid("no key of the application verifies it")
    if claims.iss != client_id or claims.sub != client_id:
        raise _invalid("its iss and sub are not the client_id")
    if claims.aud not in (audience, (audience,)):
        raise _invalid(f"its aud must be {audience} alone")
    _check_time(claims, now)
    fingerprint = hashlib.sha256(f"{client_id}\x00{claims.jti}".encode()).digest()
    return VerifiedAssertion(client_id, _instant(claims.iat), _instant(claims.exp), fingerprint)


def _check_time(claims: _Claims, now: datetime) -> None:
    begins = claims.iat if claims.nbf is msgspec.UNSET else max(claims.iat, claims.nbf)
    if now >= _instant(claims.exp) + LEEWAY:
        raise _invalid("it has expired")
    if _instant(begins) > now + LEEWAY:
        raise _invalid("it is dated in the future")
    if claims.exp - claims.iat > MAX_ASSERTION_LIFETIME.total_seconds():
        raise _invalid("it is good for more than five minutes")


def _split(raw: RawToken) -> tuple[bytes, bytes, bytes]:
    if len(raw) > MAX_ASSERTION_BYTES:
        raise _invalid(f"it has {len(raw)} bytes; at most {MAX_ASSERTION_BYTES} are read")
    segments = raw.split(b".")
    if len(segments) != _SEGMENTS:
        raise _invalid("it has three segments")
    try:
        head, payload, signature = map(base64url.decode, segments)
    except ValueError:
        raise _invalid("a segment is not canonical base64url without padding") from None
    return head, payload, signature


def _header(text: bytes) -> _Header:
    try:
        header = msgspec.json.decode(text, type=_Header)
        jws.refuse_repeated_members(text)
    except (ValueError, RecursionError, TokenRefused) as error:
        raise _invalid(f"header: {error}") from None
    if header.crit is not msgspec.UNSET:
        raise _invalid("its header has extensions that have to be understood, and none is")
    if header.typ.lower() not in _TYPES:
        raise _invalid("its typ is that of another kind of token")
    return header


def _claims(payload: bytes) -> _Claims:
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
        jws.refuse_repeated_members(payload)
    except (ValueError, RecursionError, TokenRefused) as error:
        raise _invalid(f"claims: {error}") from None
    return claims


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _invalid(detail: str) -> TokenRefused:
    return TokenRefused(Reason.CLIENT_ASSERTION_INVALID, detail[:160])
