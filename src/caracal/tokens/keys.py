"""Keys: P-256 for ES256 and nothing else (RFC 7518 section 3.4), named by a key id."""

from dataclasses import dataclass, field
from typing import NewType

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from caracal.authority.identifiers import parse_id
from caracal.tokens import base64url
from caracal.tokens.secret import Secret

KeyId = NewType("KeyId", str)

ALGORITHM = "ES256"
SIGNATURE_BYTES = 64
_COORDINATE_BYTES = 32
_VERIFYING = ec.ECDSA(hashes.SHA256())
# RFC 6979: signing needs no randomness, so a bad or forked random source cannot leak the key.
_SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class InvalidKey(ValueError):
    """The text or document is not a key, or not one that may be used here."""


class Jwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public signing key as JSON (RFC 7517), with exactly the members that are published."""

    kty: str
    crv: str
    use: str
    kid: str
    alg: str
    x: str
    y: str


class _KindOfKey(msgspec.Struct):
    """Enough of a JWK to tell whether it is one of ours; others are skipped (RFC 7517 section 5)."""

    kty: str
    alg: str = ""
    d: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Jwks(msgspec.Struct):
    keys: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class PublicKey:
    kid: KeyId
    key: ec.EllipticCurvePublicKey = field(repr=False)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (r and s, 64 bytes) of `data` was made by this key's other half."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        r = int.from_bytes(signature[:_COORDINATE_BYTES])
        s = int.from_bytes(signature[_COORDINATE_BYTES:])
        try:
            self.key.verify(encode_dss_signature(r, s), data, _VERIFYING)
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> Jwk:
        numbers = self.key.public_numbers()
        x, y = (
            base64url.encode(n.to_bytes(_COORDINATE_BYTES)).decode() for n in (numbers.x, numbers.y)
        )
        return Jwk("EC", "P-256", "sig", self.kid, ALGORITHM, x, y)


def parse_jwk(document: bytes) -> PublicKey:
    """Read one public key.

    Raises:
        InvalidKey: unless it is an EC P-256 key for ES256 signatures, with no private part.
    """
    try:
        jwk = msgspec.json.decode(document, type=Jwk)
        kid = parse_id(KeyId, jwk.kid)
        x, y = (base64url.decode(text.encode()) for text in (jwk.x, jwk.y))
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x), int.from_bytes(y), ec.SECP256R1()
        )
        key = numbers.public_key()
    except ValueError as error:
        raise InvalidKey(f"not a usable JWK: {error}") from error
    if (jwk.kty, jwk.crv, jwk.use, jwk.alg) != ("EC", "P-256", "sig", ALGORITHM):
        raise InvalidKey("only EC P-256 signature keys for ES256 are used")
    if len(x) != _COORDINATE_BYTES or len(y) != _COORDINATE_BYTES:
        raise InvalidKey("a P-256 coordinate has 32 bytes")
    return PublicKey(kid, key)


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """The private half. `header` is the protected header of every mandate it signs, encoded once."""

    kid: KeyId
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    header: bytes = field(init=False, repr=False)
    public: PublicKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.private.curve, ec.SECP256R1):
            raise InvalidKey("mandates are signed with P-256 keys only")
        object.__setattr__(self, "header", protected_header(self.kid))
        object.__setattr__(self, "public", PublicKey(self.kid, self.private.public_key()))

    @classmethod
    def generate(cls, kid: KeyId) -> "SigningKey":
        """Make a new key. Not pure: called by adapters only."""
        return cls(kid, ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, kid: KeyId, pem: Secret) -> "SigningKey":
        """Read what `to_pem` wrote.

        Raises:
            InvalidKey: when it is not an unencrypted P-256 private key.
        """
        try:
            private = serialization.load_pem_private_key(pem.reveal().encode(), password=None)
        except (ValueError, TypeError) as error:
            raise InvalidKey("not an unencrypted private key") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise InvalidKey("mandates are signed with P-256 keys only")
        return cls(kid, private)

    def to_pem(self) -> Secret:
        """The private key as PKCS #8 PEM, to be sealed before it is stored."""
        return Secret(
            self.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
        )

    def sign(self, data: bytes) -> bytes:
        """The signature over `data` as r and s, 64 bytes (RFC 7518 section 3.4)."""
        r, s = decode_dss_signature(self.private.sign(data, _SIGNING))
        return r.to_bytes(_COORDINATE_BYTES) + s.to_bytes(_COORDINATE_BYTES)


def protected_header(kid: KeyId) -> bytes:
    """The first segment of a mandate signed with `kid`: `typ` is that of RFC 9068 section 2.1."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": "at+jwt"}
    return base64url.encode(msgspec.json.encode(header))


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a zone whose mandates are accepted: the active one, and those after and before it.

    Rotation overlaps: a key is published before it signs anything, because some verifiers look at
    published keys only every few minutes, and is accepted for a while after another took over.
    """

    active: PublicKey
    retiring: tuple[PublicKey, ...] = ()
    upcoming: tuple[PublicKey, ...] = ()
    _by_kid: dict[str, PublicKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kid: dict[str, PublicKey] = {key.kid: key for key in self.accepted}
        if len(by_kid) != len(self.accepted):
            raise InvalidKey("two keys have the same key id")
        object.__setattr__(self, "_by_kid", by_kid)

    @property
    def accepted(self) -> tuple[PublicKey, ...]:
        """The active one, those that will be, those that were."""
        return (self.active, *self.upcoming, *self.retiring)

    def find(self, kid: str) -> PublicKey | None:
        return self._by_kid.get(kid)

    def rotated(self, new: PublicKey, *, keep: int = 1) -> "KeySet":
        """`new` active, and the `keep` newest of the present keys still accepted."""
        return KeySet(new, self.accepted[:keep])

    def without(self, kid: KeyId) -> "KeySet":
        """Stop accepting a retiring key; the active one stays."""
        kept = tuple(key for key in self.retiring if key.kid != kid)
        return KeySet(self.active, kept, self.upcoming)

    def jwks(self) -> bytes:
        """The document that verifiers fetch (RFC 7517 section 5), the active key first."""
        return msgspec.json.encode({"keys": [key.jwk() for key in self.accepted]})


def parse_jwks(document: bytes) -> KeySet:
    """Read a zone's published keys; kinds of keys that are not ours are skipped.

    Raises:
        InvalidKey: when there is no usable key, one of ours is wrong, or a private part is published.
    """
    try:
        entries = msgspec.json.decode(document, type=_Jwks).keys
        kinds = [msgspec.json.decode(entry, type=_KindOfKey) for entry in entries]
    except ValueError as error:
        raise InvalidKey(f"not a JWKS document: {error}") from error
    if any(kind.d is not msgspec.UNSET for kind in kinds):
        raise InvalidKey("the document publishes a private key")
    keys = [
        parse_jwk(bytes(entry))
        for entry, kind in zip(entries, kinds, strict=True)
        if (kind.kty, kind.alg) == ("EC", ALGORITHM)
    ]
    if not keys:
        raise InvalidKey("the document holds no ES256 key")
    return KeySet(keys[0], tuple(keys[1:]))
