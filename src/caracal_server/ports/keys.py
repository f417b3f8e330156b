"""Keys: signing for the STS, verifying for everyone, sealing for Control, opening for the Gateway."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal.authority.mandates import Mandate
from caracal.tokens.keys import KeySet, SigningKey
from caracal.tokens.secret import Secret


class SigningKeys(Protocol):
    """Only the STS holds one."""

    def active(self, zone_id: ZoneId) -> SigningKey:
        """The key that signs now.

        Raises:
            Unavailable: the zone has none.
        """
        ...


class VerifyingKeys(Protocol):
    """The public keys of every zone: the active one, the one to follow, and the one before for a while."""

    def key_set(self, zone_id: ZoneId) -> KeySet | None: ...


class MintedMandates(Protocol):
    """Where STS and Gateway share a process: a mandate that was just signed need not be verified.

    A token is recalled only when every byte is the one that was signed, which is what its signature
    would show. Across processes nothing is ever recalled.
    """

    def remember(self, token: str, mandate: Mandate) -> None:
        """Keep what was signed, for a while."""
        ...

    def recall(self, token: bytes) -> Mandate | None:
        """The mandate of a token, at most once; `None` says nothing about the token."""
        ...


@dataclass(frozen=True, slots=True)
class StoredSigningKey:
    """A zone's key as kept: the private half sealed under the STS's own key."""

    kid: str
    zone_id: ZoneId
    sealed_private: bytes
    public_jwk: str
    created_at: datetime


class KeyStore(Protocol):
    async def load_all(self) -> tuple[StoredSigningKey, ...]: ...

    async def add(self, key: StoredSigningKey) -> None:
        """Store a new key durably; the newest of a zone follows its active one."""
        ...

    async def replace_sealed(self, sealed: Mapping[str, bytes]) -> None:
        """Replace the sealed halves of keys, by key id, durably and all or none.

        Raises:
            Unavailable: nothing was replaced.
        """
        ...


class SigningSealRotation(Protocol):
    """The STS seals the zones' signing keys under a key of its own; this changes that key."""

    async def reseal(self) -> int:
        """Seal every key anew under the next one and drop the one before; nobody may add a key meanwhile.

        Begun before and cut off, it goes on.

        Returns:
            How many keys were sealed.

        Raises:
            Unavailable: it is not finished. Both keys open what they sealed.
        """
        ...


class SealedCredential(NamedTuple):
    zone_id: ZoneId
    provider_id: ProviderId
    sealed: bytes


class CredentialSealRotation(Protocol):
    """The Gateway's key that credentials are sealed to; this changes it.

    All raise `Unavailable`. Between `begin` and `finish` both keys open.
    """

    def begin(self) -> None:
        """Make the next key, durably, and seal to it from here on; go on with one that was begun."""
        ...

    def reseal(self, zone_id: ZoneId, provider_id: ProviderId, sealed: bytes) -> bytes:
        """Seal anew what either key opens."""
        ...

    def finish(self, kept: Iterable[SealedCredential]) -> None:
        """Drop the key before, once all that is kept opens without it."""
        ...


class CredentialSealer(Protocol):
    """Control holds one: it can seal and never open."""

    def seal(self, zone_id: ZoneId, provider_id: ProviderId, credential: Secret) -> bytes: ...


class CredentialOpener(Protocol):
    """Only the Gateway holds one."""

    def open(self, zone_id: ZoneId, provider_id: ProviderId, sealed: bytes) -> Secret:
        """Raises:
        Unavailable: the bytes were not sealed for this zone and provider, or the key is another.
        """
        ...


class Credentials(Protocol):
    """The upstream credentials, opened, in the Gateway's memory only."""

    def credential(self, zone_id: ZoneId, provider_id: ProviderId) -> Secret | None: ...
