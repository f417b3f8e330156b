"""Keys that OpenID providers publish, and the signatures they verify (RFC 7517, RFC 7518 section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from caracal.tokens import base64url
from caracal.tokens.keys import InvalidKey

MAX_KEYS = 100
RSA_BITS = range(2048, 8193)
RSA_EXPONENTS = range(3, 2**31, 2)

_HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: dict[str, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_CURVE_OF = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", *_CURVE_OF})
_BITS_OF_A_BYTE = 8


class _Jwk(msgspec.Struct, frozen=True):
    """What is read of an entry; members that say nothing about its use are passed over."""

    kty: str
    kid: str
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""
    d: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Jwks(msgspec.Struct):
    keys: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One key. `algorithm` is the only one it may be used with, `""` for any of its kind."""

    kid: str
    algorithm: str
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey = field(repr=False)

    def verifies(self, algorithm: str, signature: bytes, data: bytes) -> bool:
        """Whether `signature` of `data` was made with this algorithm by this key's other half."""
        if self.algorithm not in {"", algorithm} or algorithm not in ALGORITHMS:
            return False
        digest = _HASHES[algorithm[2:]]
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                if algorithm in _CURVE_OF:
                    return False
                self.key.verify(signature, data, padding.PKCS1v15(), digest)
                return True
            size = -(-self.key.key_size // _BITS_OF_A_BYTE)
            if _CURVE_OF.get(algorithm) != self.key.curve.name or len(signature) != 2 * size:
                return False
            r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
            self.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """The usable keys of one issuer."""

    keys: tuple[IssuerKey, ...]

    def named(self, kid: str) -> tuple[IssuerKey, ...]:
        """The keys of that id: issuers may give one to several."""
        return tuple(key for key in self.keys if key.kid == kid)


def parse_issuer_keys(document: bytes) -> IssuerKeys:
    """Read what an issuer publishes. Entries that can not verify tokens here are passed over.

    Raises:
        InvalidKey: it is no key document, or holds no usable key or too many entries.
    """
    try:
        entries = msgspec.json.decode(document, type=_Jwks).keys
    except (ValueError, RecursionError) as error:
        raise InvalidKey(f"not a JWKS document: {error}"[:120]) from error
    if len(entries) > MAX_KEYS:
        raise InvalidKey(f"the document has {len(entries)} entries, at most {MAX_KEYS} are read")
    keys = tuple(_usable(entries))
    if not keys:
        raise InvalidKey("the document holds no key that could verify a token")
    return IssuerKeys(keys)


def _usable(entries: list[msgspec.Raw]) -> Iterator[IssuerKey]:
    for entry in entries:
        try:
            jwk = msgspec.json.decode(entry, type=_Jwk)
            key = _public_key(jwk)
        except (ValueError, RecursionError):
            continue
        public_only = jwk.d is msgspec.UNSET
        if key is not None and jwk.use == "sig" and "verify" in jwk.key_ops and public_only:
            yield IssuerKey(jwk.kid, jwk.alg, key)


def _public_key(jwk: _Jwk) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None:
    """The key, if it is of a kind and strength that is accepted.

    Raises:
        ValueError: it is none.
    """
    if jwk.kty == "RSA":
        n, e = _number(jwk.n), _number(jwk.e)
        if n.bit_length() not in RSA_BITS or e not in RSA_EXPONENTS:
            return None
        return rsa.RSAPublicNumbers(e, n).public_key()
    curve = _CURVES.get(jwk.crv)
    if jwk.kty != "EC" or curve is None:
        return None
    return ec.EllipticCurvePublicNumbers(_number(jwk.x), _number(jwk.y), curve).public_key()


def _number(text: str) -> int:
    return int.from_bytes(base64url.decode(text.encode()))
