"""Upstream credentials: sealed to the Gateway's public key, opened with its private one (RFC 9180)."""

from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters.sealing.binding import bind

FORMAT = b"\x01"
"""First byte of what is sealed. Never reused for another suite or binding."""

_suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PURPOSE = "caracal/credential/1"


class HpkeSealer:
    """A `CredentialSealer`: holds the public key, so it can not open what it sealed."""

    def __init__(self, public_key: X25519PublicKey) -> None:
        self._public_key = public_key

    def use(self, public_key: X25519PublicKey) -> None:
        """Seal to `public_key` from here on."""
        self._public_key = public_key

    def seal(self, zone_id: ZoneId, provider_id: ProviderId, credential: Secret) -> bytes:
        info = bind(_PURPOSE, zone_id, provider_id)
        return FORMAT + _suite.encrypt(credential.reveal().encode(), self._public_key, info=info)


class HpkeOpener:
    """A `CredentialOpener`; with two keys while one takes over from the other."""

    def __init__(
        self, private_key: X25519PrivateKey, before: X25519PrivateKey | None = None
    ) -> None:
        self._private_key = private_key
        self._before = before

    def use(self, private_key: X25519PrivateKey, before: X25519PrivateKey | None) -> None:
        """Open with `private_key` and `before` from here on."""
        self._private_key, self._before = private_key, before

    def forget_before(self) -> None:
        self._before = None

    def open(self, zone_id: ZoneId, provider_id: ProviderId, sealed: bytes) -> Secret:
        info = bind(_PURPOSE, zone_id, provider_id)
        for key in (self._private_key, self._before):
            if key is None or sealed[:1] != FORMAT:
                continue
            with suppress(InvalidTag, ValueError):
                return Secret(_suite.decrypt(sealed[1:], key, info=info).decode())
        raise Unavailable(
            Reason.CREDENTIAL_UNAVAILABLE, "the provider's credential can not be opened"
        )
