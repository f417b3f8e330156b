"""Changing a sealing key: the next key, everything sealed anew, and then the end of the key before.

A crash in between leaves both keys, which open everything; doing it again goes on from there.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal_server.adapters.sealing.credentials import HpkeOpener, HpkeSealer
from caracal_server.adapters.sealing.key_files import KEY_BYTES
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.adapters.sealing.succession import key_files_as_store
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import KeyStore


@dataclass(frozen=True, slots=True)
class SigningKeysResealed:
    """A `SigningSealRotation`."""

    ring: KeyRing
    store: KeyStore
    seal: PrivateKeySeal
    entropy: Entropy

    async def reseal(self) -> int:
        succession = self.ring.signing_seal_succession()
        next_key = self.entropy.token_bytes(KEY_BYTES)
        with key_files_as_store():
            if succession.begin(next_key):
                self.seal.take_over(next_key)
        stored = await self.store.load_all()
        await self.store.replace_sealed(
            {
                key.kid: self.seal.seal(
                    key.zone_id, key.kid, self.seal.open(key.zone_id, key.kid, key.sealed_private)
                )
                for key in stored
            }
        )
        with key_files_as_store():
            succession.finish()
        self.seal.forget_before()
        return len(stored)


@dataclass(frozen=True, slots=True)
class CredentialsResealed:
    """A `CredentialSealRotation`, where Gateway and Control share a process."""

    ring: KeyRing
    opener: HpkeOpener
    sealer: HpkeSealer
    entropy: Entropy

    def begin(self) -> None:
        next_key = X25519PrivateKey.from_private_bytes(self.entropy.token_bytes(KEY_BYTES))
        with key_files_as_store():
            if self.ring.opening_succession().begin(next_key.private_bytes_raw()):
                self.ring.publish_sealing(next_key.public_key().public_bytes_raw())
                self.opener.take_over(next_key)
                self.sealer.take_over(next_key.public_key())

    def reseal(self, zone_id: ZoneId, provider_id: ProviderId, sealed: bytes) -> bytes:
        return self.sealer.seal(
            zone_id, provider_id, self.opener.open(zone_id, provider_id, sealed)
        )

    def finish(self) -> None:
        with key_files_as_store():
            self.ring.opening_succession().finish()
        self.opener.forget_before()
