"""ID tokens of OpenID providers: bytes to a user whom a trusted issuer vouches for.

Source: OpenID Connect Core 1.0 section 3.1.3.7, RFC 7519, RFC 8725; `docs/wire.md` has the table.
"""

import hashlib
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, NoReturn, final

import msgspec

from caracal.authority.outcomes import Reason
from caracal.authority.subjects import SubjectIssuer, User, name_fault
from caracal.tokens import base64url, jws
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import LEEWAY
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.subject_keys import ALGORITHMS, IssuerKeys

MAX_TOKEN_BYTES = 16_384
MAX_KEY_ID_LENGTH = 512
MAX_LIFETIME = timedelta(hours=24)
_SEGMENTS = 3
_LAST_SECOND = 253_370_764_799  # 9998-12-31T23:59:59Z: leeway can still be added
_PROVEN = object()

Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]


class _Header(msgspec.Struct, frozen=True):
    """What is read of a header. Keys that it brings along (`jwk`, `jku`, `x5c`) are never looked at."""

    alg: str
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_ID_LENGTH)]
    typ: str = "JWT"
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    """What is read of the claims; the others are about the user and mean nothing here."""

    iss: str
    sub: str
    aud: tuple[str, ...] | str
    exp: Seconds
    iat: Seconds
    nbf: Seconds | msgspec.UnsetType = msgspec.UNSET
    nonce: str = ""


class _Issuer(msgspec.Struct, frozen=True):
    iss: str


_HEADERS = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(_Claims)
_ISSUERS = msgspec.json.Decoder(_Issuer)


@dataclass(frozen=True, slots=True)
class UnverifiedOrigin:
    """Who a token says issued it, and under which key. Good for finding keys, nothing else."""

    issuer: str
    kid: str


@final
@dataclass(frozen=True, slots=True)
class VerifiedSubject:
    """A user, proven by an ID token. Only `verify_subject_token` makes one.

    Attributes:
        fingerprint: of what was signed; it stays the same when a signature is replaced by another one
            that verifies, which anyone can do with ECDSA.
        nonce: of the sign-in that it answers; empty without one.
    """

    user: User
    issued_at: datetime
    expires_at: datetime
    fingerprint: bytes
    nonce: str
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROVEN:
            raise TypeError("only verify_subject_token makes a VerifiedSubject")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a proof is made by verifying, not by copying")


@dataclass(frozen=True, slots=True)
class _Parts:
    header: _Header
    payload: bytes
    signature: bytes
    signed: bytes


def unverified_origin(raw: RawToken) -> UnverifiedOrigin:
    """Where the keys of a token are to be looked for. Proves nothing.

    Raises:
        TokenRefused: with SUBJECT_TOKEN_MALFORMED, or SUBJECT_TOKEN_SIGNATURE for an algorithm that is
            not accepted.
    """
    parts = _split(raw)
    try:
        return UnverifiedOrigin(_ISSUERS.decode(parts.payload).iss, parts.header.kid)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"claims: {error}") from None


def verify_subject_token(
    raw: RawToken,
    *,
    keys: IssuerKeys,
    trusted: SubjectIssuer,
    now: datetime,
    leeway: timedelta = LEEWAY,
) -> VerifiedSubject:
    """Prove that `raw` is an ID token of `trusted` for its audience, valid at `now`.

    Whether it was federated before is the caller's next question.

    Raises:
        TokenRefused: with the reason of the first check that failed, in this order: size and shape,
            algorithm, key, signature, claims, issuer, audience, time, the user's name.
    """
    parts = _split(raw)
    named = keys.named(parts.header.kid)
    if not named:
        raise TokenRefused(
            Reason.SUBJECT_TOKEN_KEY_UNKNOWN, "the issuer publishes no key of this key id"
        )
    if not any(key.verifies(parts.header.alg, parts.signature, parts.signed) for key in named):
        raise TokenRefused(Reason.SUBJECT_TOKEN_SIGNATURE, "the signature does not match")
    claims = _claims(parts.payload)
    if claims.iss != trusted.issuer:
        raise TokenRefused(Reason.SUBJECT_ISSUER_UNKNOWN, f"it is not of {trusted.issuer}")
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if trusted.audience not in audience:
        raise TokenRefused(Reason.SUBJECT_TOKEN_AUDIENCE, f"it is not meant for {trusted.audience}")
    _check_time(claims, now, leeway)
    fault = name_fault(claims.sub)
    if fault is not None:
        raise TokenRefused(Reason.SUBJECT_NAME_INVALID, f"its sub will not do: {fault}")
    fingerprint = hashlib.sha256(parts.signed).digest()
    user = User(claims.iss, claims.sub)
    return VerifiedSubject(
        user, _instant(claims.iat), _instant(claims.exp), fingerprint, claims.nonce, _PROVEN
    )


def _split(raw: RawToken) -> _Parts:
    if len(raw) > MAX_TOKEN_BYTES:
        raise _malformed(f"{len(raw)} bytes; at most {MAX_TOKEN_BYTES} are read")
    segments = raw.split(b".")
    if len(segments) != _SEGMENTS:
        raise _malformed("an ID token has three segments; encrypted ones are not read")
    try:
        head, payload, signature = map(base64url.decode, segments)
    except ValueError:
        raise _malformed("a segment is not canonical base64url without padding") from None
    return _Parts(_header(head), payload, signature, b".".join(segments[:2]))


def _header(text: bytes) -> _Header:
    try:
        header = _HEADERS.decode(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"header: {error}") from None
    _refuse_repeated(text)
    if header.alg not in ALGORITHMS:
        raise TokenRefused(
            Reason.SUBJECT_TOKEN_SIGNATURE,
            f"signatures are accepted of {', '.join(sorted(ALGORITHMS))}",
        )
    if header.crit is not msgspec.UNSET:
        raise _malformed("its header has extensions that have to be understood, and none is")
    if header.typ.lower().endswith("+jwt"):
        raise _malformed("its typ is that of another kind of token")
    return header


def _claims(payload: bytes) -> _Claims:
    try:
        claims = _CLAIMS.decode(payload)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"claims: {error}") from None
    _refuse_repeated(payload)
    return claims


def _refuse_repeated(text: bytes) -> None:
    try:
        jws.refuse_repeated_members(text)
    except TokenRefused as refused:
        raise _malformed(refused.detail) from None


def _check_time(claims: _Claims, now: datetime, leeway: timedelta) -> None:
    if now - leeway >= _instant(claims.exp):
        raise TokenRefused(
            Reason.SUBJECT_TOKEN_EXPIRED, f"it expired at {_instant(claims.exp).isoformat()}"
        )
    if claims.exp - claims.iat > MAX_LIFETIME.total_seconds():
        raise _malformed("claims: from iat to exp it is more than 24 hours")
    begins = claims.iat if claims.nbf is msgspec.UNSET else max(claims.iat, claims.nbf)
    if _instant(begins) > now + leeway:
        raise TokenRefused(
            Reason.SUBJECT_TOKEN_NOT_YET_VALID, f"it is valid from {_instant(begins).isoformat()}"
        )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _malformed(detail: str) -> TokenRefused:
    return TokenRefused(Reason.SUBJECT_TOKEN_MALFORMED, detail[:120])
