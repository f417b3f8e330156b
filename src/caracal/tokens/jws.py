"""Compact JWS with ES256 and no other algorithm (RFC 7515 section 3.1, RFC 8725 section 3.1)."""

import json
from functools import lru_cache
from typing import NewType

import msgspec

from caracal.authority.outcomes import Reason
from caracal.tokens import base64url
from caracal.tokens.keys import ALGORITHM, KeySet, SigningKey
from caracal.tokens.refusal import TokenRefused

RawToken = NewType("RawToken", bytes)
"""A token as it came in: nothing about it has been proven."""

MAX_TOKEN_BYTES = 8_192
_SEGMENTS = 3
_TYPES = frozenset({"at+jwt", "application/at+jwt"})


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every member a header may have: so `crit`, `jwk`, `jku`, `x5c` and `b64` are refused."""

    alg: str
    kid: str
    typ: str


_HEADERS = msgspec.json.Decoder(Header)


def sign(payload: bytes, key: SigningKey) -> bytes:
    signed = key.header + b"." + base64url.encode(payload)
    return signed + b"." + base64url.encode(key.sign(signed))


def verify(token: RawToken, keys: KeySet) -> bytes:
    """The payload of `token`, after its signature was verified with one of `keys`.

    Raises:
        TokenRefused: with MANDATE_TOO_LARGE, MANDATE_MALFORMED, MANDATE_KEY_UNKNOWN or
            MANDATE_SIGNATURE (which also stands for a forbidden algorithm).
    """
    header, payload, signature = split(token)
    key = keys.find(read_header(header).kid)
    if key is None:
        raise TokenRefused(Reason.MANDATE_KEY_UNKNOWN, "no accepted key has this key id")
    signed = token[: len(header) + 1 + len(payload)]
    if not key.verifies(decode_segment(signature, "signature"), signed):
        raise TokenRefused(Reason.MANDATE_SIGNATURE, "the signature does not match")
    return decode_segment(payload, "payload")


def split(token: RawToken) -> tuple[bytes, bytes, bytes]:
    """The three encoded segments of a token of acceptable size; none of them is proven."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(
            Reason.MANDATE_TOO_LARGE, f"{len(token)} bytes; at most {MAX_TOKEN_BYTES} are read"
        )
    segments = token.split(b".")
    if len(segments) != _SEGMENTS:
        raise TokenRefused(Reason.MANDATE_MALFORMED, "a mandate has three segments")
    return segments[0], segments[1], segments[2]


def decode_segment(segment: bytes, name: str) -> bytes:
    try:
        return base64url.decode(segment)
    except ValueError:
        raise TokenRefused(
            Reason.MANDATE_MALFORMED, f"the {name} is not canonical base64url without padding"
        ) from None


def refuse_repeated_members(text: bytes) -> None:
    """Refuse JSON that states a member twice: readers differ in which one they believe.

    Raises:
        TokenRefused: with MANDATE_MALFORMED.
    """
    try:
        json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"{error}"[:120]) from None


@lru_cache(maxsize=128)  # a key signs many mandates and all of them begin alike
def read_header(segment: bytes) -> Header:
    """Decode and check a header; the algorithm is judged before any key is looked up.

    Raises:
        TokenRefused: with MANDATE_MALFORMED or MANDATE_SIGNATURE.
    """
    text = decode_segment(segment, "header")
    try:
        header = _HEADERS.decode(text)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(Reason.MANDATE_MALFORMED, f"header: {error}"[:120]) from None
    refuse_repeated_members(text)
    if header.alg != ALGORITHM:
        raise TokenRefused(Reason.MANDATE_SIGNATURE, f"only {ALGORITHM} signatures are accepted")
    if header.typ.lower() not in _TYPES:
        raise TokenRefused(Reason.MANDATE_MALFORMED, "the type of a mandate is at+jwt")
    return header


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is stated twice")
    return members
