"""Changing a sealing key: the next key, everything sealed anew, and then the end of the key before.

A crash in between leaves both keys, which open everything; doing it again goes on from there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal_server.adapters.sealing.credentials import HpkeOpener, HpkeSealer
from caracal_server.adapters.sealing.key_files import KEY_BYTES
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.adapters.sealing.succession import key_files_as_store
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import KeyStore, SealedCredential


@dataclass(frozen=True, slots=True)
class SigningKeysResealed:
    """A `SigningSealRotation`."""

    ring: KeyRing
    store: KeyStore
    seal: PrivateKeySeal
    entropy: Entropy

    async def reseal(self) -> int:
        succession = self.ring.signing_seal_succession()
        with key_files_as_store():
            succession.begin(self.entropy.token_bytes(KEY_BYTES))
            current = succession.current()
            self.seal.use(current, succession.before())
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
            alone = PrivateKeySeal(succession.current(), self.entropy)
            for key in await self.store.load_all():
                alone.open(key.zone_id, key.kid, key.sealed_private)
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
        succession = self.ring.opening_succession()
        with key_files_as_store():
            succession.begin(self.entropy.token_bytes(KEY_BYTES))
            current = X25519PrivateKey.from_private_bytes(succession.current())
            before = succession.before()
            self.ring.publish_sealing(current.public_key().public_bytes_raw())
        self.opener.use(
            current, None if before is None else X25519PrivateKey.from_private_bytes(before)
        )
        self.sealer.use(current.public_key())

    def reseal(self, zone_id: ZoneId, provider_id: ProviderId, sealed: bytes) -> bytes:
        return self.sealer.seal(
            zone_id, provider_id, self.opener.open(zone_id, provider_id, sealed)
        )

    def finish(self, kept: Iterable[SealedCredential]) -> None:
        succession = self.ring.opening_succession()
        with key_files_as_store():
            alone = HpkeOpener(X25519PrivateKey.from_private_bytes(succession.current()))
            for credential in kept:
                alone.open(*credential)
            succession.finish()
        self.opener.forget_before()
