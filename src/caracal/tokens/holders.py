"""Keys of holders: who may narrow a mandate further (RFC 7800 section 3.2, RFC 7638)."""

import hashlib
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from caracal.authority.mandates import Bound, Holder
from caracal.tokens import base64url
from caracal.tokens.keys import InvalidKey, KeyId, PublicKey, SigningKey

_COORDINATE_BYTES: Final = 32
_FIELD: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The prime of P-256 (SP 800-186 section 3.2.1.3)."""
_KID: Final = KeyId("holder")
"""Holders' keys are named by a mandate or a link, never by an id."""

Coordinate = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_\-]{43}\Z")]


class HolderJwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly the members that make the key, so one key has one spelling (RFC 7638 section 3.2)."""

    crv: Literal["P-256"]
    kty: Literal["EC"]
    x: Coordinate
    y: Coordinate


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claim `cnf`."""

    jwk: HolderJwk


_ENCODER: Final = msgspec.json.Encoder()
_JWK: Final = msgspec.json.Decoder(HolderJwk)


def confirmation_of(bound: Bound | None) -> Confirmation | msgspec.UnsetType:
    """The claim that names the holder, left out where there is none."""
    return msgspec.UNSET if bound is None else Confirmation(_jwk(bound.holder))


def bound_of(confirmation: Confirmation | msgspec.UnsetType, hand_ons: int) -> Bound | None:
    """Who `cnf` and `hand_ons` name; whether the key is a point of the curve is seen when it verifies.

    Raises:
        ValueError: a coordinate is not in canonical base64url, or nobody could hand on.
    """
    if confirmation is msgspec.UNSET:
        if hand_ons:
            raise ValueError("it may be handed on, and names nobody who could")
        return None
    jwk = confirmation.jwk
    for text in (jwk.x, jwk.y):
        base64url.decode(text.encode())
    return Bound(Holder(jwk.x, jwk.y), hand_ons)


def parse_holder(document: bytes) -> Holder:
    """Read a holder's public key: a JWK with `crv`, `kty`, `x` and `y`, and nothing else.

    Raises:
        InvalidKey: it is not one, or not a point of P-256.
    """
    try:
        jwk = _JWK.decode(document)
    except (ValueError, RecursionError) as error:
        raise InvalidKey(f"not the key of a holder: {error}"[:160]) from None
    holder = Holder(jwk.x, jwk.y)
    public_key(holder)
    return holder


def render_holder(holder: Holder) -> bytes:
    """The JWK that `parse_holder` reads: of one key always the same bytes."""
    return _ENCODER.encode(_jwk(holder))


def thumbprint(holder: Holder) -> str:
    """The key's name in evidence (RFC 7638 section 3)."""
    return base64url.encode(hashlib.sha256(render_holder(holder)).digest()).decode()


def public_key(holder: Holder) -> PublicKey:
    """The key that verifies what the holder signed.

    Raises:
        InvalidKey: it is not a point of P-256.
    """
    try:
        x, y = _coordinate(holder.x), _coordinate(holder.y)
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise InvalidKey(f"not the key of a holder: {error}") from None
    return PublicKey(_KID, key)


def _coordinate(text: str) -> int:
    number = int.from_bytes(base64url.decode(text.encode()))
    if number >= _FIELD:
        # OpenSSL takes it for the remainder: one key would have two thumbprints.
        raise ValueError("a coordinate is no element of the field")
    return number


def _jwk(holder: Holder) -> HolderJwk:
    return HolderJwk("P-256", "EC", holder.x, holder.y)


@dataclass(frozen=True, slots=True, eq=False)
class HolderKey:
    """The private half: whoever has it can use and hand on what is bound to `holder`."""

    private: SigningKey = field(repr=False)
    holder: Holder = field(init=False)

    def __post_init__(self) -> None:
        point = self.private.public.key.public_numbers()
        x, y = (
            base64url.encode(n.to_bytes(_COORDINATE_BYTES)).decode() for n in (point.x, point.y)
        )
        object.__setattr__(self, "holder", Holder(x, y))

    @classmethod
    def generate(cls) -> "HolderKey":
        """Make a new key. Not pure: called by adapters and by the SDK only."""
        return cls(SigningKey.generate(_KID))

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)
