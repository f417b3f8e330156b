"""Secrets of applications: the ones we generate, and how both kinds are stored."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import NoReturn, final

from caracal.tokens import base64url
from caracal.tokens.secret import Secret

PREFIX = "cs_"
ENTROPY_BYTES = 32
_HMAC_TAG = "hmac-sha256$"
_ARGON2ID_TAG = "argon2id$"
_DOMAIN = b"caracal/client-secret/1\x00"


class InvalidStoredSecret(ValueError):
    """The stored text has no known tag, or is cut short."""


@dataclass(frozen=True, slots=True)
class GeneratedHash:
    """A keyed hash of a secret with 256 bits of entropy: nothing to guess, so a fast hash will do."""

    digest: bytes

    def render(self) -> str:
        return _HMAC_TAG + base64url.encode(self.digest).decode()


@dataclass(frozen=True, slots=True)
class Argon2idHash:
    """The slow hash of a secret that a person chose; an adapter verifies it.

    Attributes:
        phc: as argon2 libraries write it, `$argon2id$v=19$m=...,t=...,p=...$salt$hash`.
    """

    phc: str

    def render(self) -> str:
        return self.phc.removeprefix("$")


@final
class GeneratedHasher:
    """Hashes generated secrets under one pepper, whose part of the work is done once."""

    __slots__ = ("_keyed",)

    def __init__(self, pepper: Secret) -> None:
        self._keyed = hmac.new(pepper.reveal().encode(), _DOMAIN, "sha256")

    def hash(self, secret: Secret) -> GeneratedHash:
        keyed = self._keyed.copy()
        keyed.update(secret.reveal().encode())
        return GeneratedHash(keyed.digest())

    def matches(self, secret: Secret, stored: GeneratedHash) -> bool:
        """Whether `stored` is the hash of this secret; in constant time."""
        return hmac.compare_digest(self.hash(secret).digest, stored.digest)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a pepper is not pickled or copied")


def generated_secret(entropy: bytes) -> Secret:
    """The secret that is shown once: `cs_` and 32 random bytes in base64url."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a client secret takes {ENTROPY_BYTES} bytes of entropy")
    return Secret(PREFIX + base64url.encode(entropy).decode())


def hash_generated(secret: Secret, pepper: Secret) -> str:
    """The text to store for a generated secret: HMAC-SHA-256 under the server's pepper, tagged."""
    return GeneratedHasher(pepper).hash(secret).render()


def matches_generated(secret: Secret, stored: str, pepper: Secret) -> bool:
    """Whether `stored` came from `hash_generated` of this secret; in constant time."""
    return hmac.compare_digest(hash_generated(secret, pepper).encode(), stored.encode())


def parse_stored(text: str) -> GeneratedHash | Argon2idHash:
    """Read a stored hash by its tag. A tag, once used, keeps its meaning.

    Raises:
        InvalidStoredSecret: when the tag is unknown or the rest does not fit it.
    """
    if text.startswith(_HMAC_TAG):
        try:
            digest = base64url.decode(text.removeprefix(_HMAC_TAG).encode())
        except ValueError as error:
            raise InvalidStoredSecret("the keyed hash is not base64url") from error
        if len(digest) != hashlib.sha256().digest_size:
            raise InvalidStoredSecret("the keyed hash is cut short")
        return GeneratedHash(digest)
    if text.startswith(_ARGON2ID_TAG):
        return Argon2idHash("$" + text)
    raise InvalidStoredSecret("a stored secret starts with hmac-sha256$ or argon2id$")
