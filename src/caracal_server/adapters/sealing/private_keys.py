"""The private halves of the zones' signing keys, sealed under the STS's own key."""

from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters.sealing.binding import bind
from caracal_server.ports.entropy import Entropy

FORMAT = b"\x01"
"""First byte of what is sealed. Never reused for another cipher or binding."""
NONCE_BYTES = 12
_PURPOSE = "caracal/signing-key/1"


class PrivateKeySeal:
    """AES-256-GCM with random nonces: one key seals far fewer than the 2**32 values that allows.

    While one key takes over from another, what either sealed is opened; only the present one seals.
    """

    def __init__(self, key: bytes, entropy: Entropy, before: bytes | None = None) -> None:
        self._cipher = AESGCM(key)
        self._before = None if before is None else AESGCM(before)
        self._entropy = entropy

    def use(self, key: bytes, before: bytes | None) -> None:
        """Seal under `key` from here on, and open with `before`, too."""
        self._cipher = AESGCM(key)
        self._before = None if before is None else AESGCM(before)

    def forget_before(self) -> None:
        self._before = None

    def seal(self, zone_id: ZoneId, kid: str, private: Secret) -> bytes:
        nonce = self._entropy.token_bytes(NONCE_BYTES)
        text = private.reveal().encode()
        return FORMAT + nonce + self._cipher.encrypt(nonce, text, bind(_PURPOSE, zone_id, kid))

    def open(self, zone_id: ZoneId, kid: str, sealed: bytes) -> Secret:
        """Open what `seal` made.

        Raises:
            Unavailable: it was sealed for another zone or key id, under another key, or was changed.
        """
        nonce, text = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        bound = bind(_PURPOSE, zone_id, kid)
        for cipher in (self._cipher, self._before):
            if cipher is None or sealed[:1] != FORMAT:
                continue
            with suppress(InvalidTag, ValueError):
                return Secret(cipher.decrypt(nonce, text, bound).decode())
        raise Unavailable(
            Reason.STORE_UNAVAILABLE, "a signing key can not be opened with this server's key"
        )
