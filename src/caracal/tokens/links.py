"""Links on the wire: what holders sign to narrow a mandate (docs/wire.md, Narrowing).

A chain is a mandate and its links, joined by `~`, which base64url does not use.
"""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from caracal.authority.identifiers import MandateId
from caracal.authority.mandates import Holder
from caracal.authority.narrowing import MAX_LINKS, Link
from caracal.authority.outcomes import Reason
from caracal.authority.resources import parse_resource_uri
from caracal.authority.scopes import ScopeSet
from caracal.tokens import base64url
from caracal.tokens.claims import Count, Id, Seconds, Text
from caracal.tokens.holders import (
    Confirmation,
    HolderKey,
    bound_of,
    confirmation_of,
    public_key,
)
from caracal.tokens.jws import (
    MAX_TOKEN_BYTES,
    RawToken,
    decode_segment,
    refuse_repeated_members,
    split,
)
from caracal.tokens.keys import ALGORITHM
from caracal.tokens.refusal import TokenRefused

SEPARATOR: Final = b"~"
TYPE: Final = "caracal-narrowing+jwt"


class LinkHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every member a header may have: the key is named by what comes before, never by the link."""

    alg: str
    typ: str


class LinkClaims(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Required claims have no default. `prev` is the SHA-256 of what comes before, as it is sent."""

    prev: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_\-]{43}\Z")]
    jti: Id
    iat: Seconds
    exp: Seconds
    scope: Annotated[str, msgspec.Meta(min_length=1)]
    target: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    cnf: Confirmation | msgspec.UnsetType = msgspec.UNSET
    hand_ons: Count = 0


_ENCODER: Final = msgspec.json.Encoder()
_HEADERS: Final = msgspec.json.Decoder(LinkHeader)
_CLAIMS: Final = msgspec.json.Decoder(LinkClaims)
_HEADER: Final = base64url.encode(_ENCODER.encode(LinkHeader(ALGORITHM, TYPE)))


def is_chain(token: bytes) -> bool:
    """Whether a bearer value is more than one mandate. Proves nothing."""
    return SEPARATOR in token


def split_chain(token: RawToken) -> tuple[RawToken, tuple[bytes, ...]]:
    """The mandate that a chain begins with, and its links; none of them is proven.

    Raises:
        TokenRefused: with MANDATE_TOO_LARGE, or NARROWING_TOO_DEEP when there are more than ten links.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(
            Reason.MANDATE_TOO_LARGE, f"{len(token)} bytes; at most {MAX_TOKEN_BYTES} are read"
        )
    root, *links = token.split(SEPARATOR)
    if len(links) > MAX_LINKS:
        raise TokenRefused(
            Reason.NARROWING_TOO_DEEP, f"{len(links)} links; at most {MAX_LINKS} are read"
        )
    return RawToken(root), tuple(links)


def sign_link(before: bytes, link: Link, key: HolderKey) -> bytes:
    """The link that follows `before`, the last part of a chain; `link.id` makes it unlike any other."""
    claims = LinkClaims(
        prev=_digest(before),
        jti=link.id,
        iat=int(link.issued_at.timestamp()),
        exp=int(link.expires_at.timestamp()),
        scope=link.scopes.render(),
        target=link.resources,
        cnf=confirmation_of(link.bound),
        hand_ons=0 if link.bound is None else link.bound.hand_ons,
    )
    signed = _HEADER + b"." + base64url.encode(_ENCODER.encode(claims))
    return signed + b"." + base64url.encode(key.sign(signed))


def verify_link(token: bytes, before: bytes, holder: Holder) -> Link:
    """The link that `holder` signed to follow `before`. Whether it narrows is the next question.

    Its id is the digest of what was signed, without the signature: ECDSA has two signatures for one
    text, and both must be one link.

    Raises:
        TokenRefused: with MANDATE_MALFORMED, MANDATE_SIGNATURE or NARROWING_BROKEN.
    """
    header, payload, signature = split(RawToken(token))
    _check_header(header)
    signed = token[: len(header) + 1 + len(payload)]
    # An issuer takes no key that is not a point; other holders may name one, and sign nothing then.
    try:
        key = public_key(holder)
    except ValueError:
        raise TokenRefused(
            Reason.MANDATE_SIGNATURE, "the one before names no key of P-256"
        ) from None
    if not key.verifies(decode_segment(signature, "signature"), signed):
        raise TokenRefused(
            Reason.MANDATE_SIGNATURE, "it is not signed by the key that the one before names"
        )
    link, prev = _read(decode_segment(payload, "payload"), signed)
    if prev != _digest(before):
        raise TokenRefused(Reason.NARROWING_BROKEN, "it follows something else")
    return link


def _read(payload: bytes, signed: bytes) -> tuple[Link, str]:
    try:
        claims = _CLAIMS.decode(payload)
        link = Link(
            id=MandateId(_digest(signed)),
            scopes=ScopeSet.parse(claims.scope),
            resources=tuple(parse_resource_uri(text) for text in claims.target),
            issued_at=datetime.fromtimestamp(claims.iat, UTC),
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
            bound=bound_of(claims.cnf, claims.hand_ons),
        )
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"link: {error}"[:120]) from None
    refuse_repeated_members(payload)
    if not link.scopes or link.expires_at <= link.issued_at:
        raise TokenRefused(Reason.MANDATE_MALFORMED, "a link has scopes, and ends after it begins")
    return link, claims.prev


@lru_cache(maxsize=8)
def _check_header(segment: bytes) -> None:
    text = decode_segment(segment, "header")
    try:
        header = _HEADERS.decode(text)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"header: {error}"[:120]) from None
    refuse_repeated_members(text)
    if header.alg != ALGORITHM:
        raise TokenRefused(Reason.MANDATE_SIGNATURE, f"only {ALGORITHM} signatures are accepted")
    if header.typ != TYPE:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"the type of a link is {TYPE}")


def _digest(data: bytes) -> str:
    return base64url.encode(hashlib.sha256(data).digest()).decode()
