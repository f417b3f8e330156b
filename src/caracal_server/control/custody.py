"""Secrets of a document: which are new, and what is kept of them. Nothing of a secret is readable after."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from caracal.authority.identifiers import ApplicationId, ProviderId, ZoneId
from caracal.tokens.client_secrets import (
    ENTROPY_BYTES,
    Argon2idHash,
    GeneratedHash,
    InvalidStoredSecret,
    generated_secret,
    hash_generated,
    parse_stored,
)
from caracal.tokens.secret import Secret
from caracal_server.control.desired_zone import DesiredZone
from caracal_server.control.settings import ControlSettings
from caracal_server.control.zone_document import KEPT, ZoneDocument
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import CredentialSealer
from caracal_server.ports.zones import ZoneRecord

_FINGERPRINT_DOMAIN = b"caracal/credential-fingerprint/1\x00"


class BroughtSecrets(Protocol):
    """Slow hashes of secrets that people chose, off the event loop, a bounded number at a time."""

    async def hash(self, secret: Secret) -> str:
        """The text to store, `argon2id$...`."""
        ...

    async def verify(self, stored: str, secret: Secret) -> bool:
        """Whether `stored` came from `hash` of this secret."""
        ...


class SecretStep(Enum):
    """What has to be done about an application's secret."""

    KEEP = "keep"
    NONE = "none"
    """It has keys and no secret."""
    DROP = "drop"
    """It has keys instead of its secret from now on."""
    GENERATE = "generate"
    TAKE = "take"


@dataclass(frozen=True, slots=True)
class KeptSecrets:
    """What a zone's record holds of its applications' secrets, and those to show once."""

    hashes: dict[ApplicationId, str]
    to_show: dict[ApplicationId, Secret]


@dataclass(frozen=True, slots=True)
class ApplicationSecrets:
    """Decides on and makes the secrets of applications."""

    settings: ControlSettings
    entropy: Entropy
    brought: BroughtSecrets

    async def steps(
        self, document: ZoneDocument, record: ZoneRecord | None
    ) -> Mapping[str, SecretStep]:
        """What to do for each application, by name; a secret that is still the same is kept."""
        stored: dict[str, str] = {}
        if record is not None:
            hashes = record.secret_hashes
            stored = {entry.name: hashes.get(entry.id, "") for entry in record.applications}
        return {
            entry.name: await self._step(
                stored.get(entry.name, ""), entry.secret, signs=bool(entry.keys)
            )
            for entry in document.applications
        }

    async def _step(self, stored: str, secret: Secret | None, *, signs: bool) -> SecretStep:
        if secret is None and signs:
            return SecretStep.DROP if stored else SecretStep.NONE
        try:
            kind = parse_stored(stored)
        except InvalidStoredSecret:
            kind = None
        if secret is KEPT:
            return SecretStep.GENERATE if kind is None else SecretStep.KEEP
        if secret is None:
            # A secret that is not in the file any more must not open anything any more.
            return SecretStep.KEEP if isinstance(kind, GeneratedHash) else SecretStep.GENERATE
        if isinstance(kind, Argon2idHash) and await self.brought.verify(stored, secret):
            return SecretStep.KEEP
        return SecretStep.TAKE

    async def make(
        self,
        desired: DesiredZone,
        document: ZoneDocument,
        record: ZoneRecord | None,
        steps: Mapping[str, SecretStep],
    ) -> KeptSecrets:
        """Carry the steps out."""
        brought = {entry.name: entry.secret for entry in document.applications}
        kept = KeptSecrets({}, {})
        for application in desired.applications:
            secret = brought[application.name]
            match steps[application.name]:
                case SecretStep.KEEP if record is not None:
                    kept.hashes[application.id] = record.secret_hashes[application.id]
                case SecretStep.TAKE if secret is not None:
                    kept.hashes[application.id] = await self.brought.hash(secret)
                case SecretStep.NONE | SecretStep.DROP:
                    pass
                case _:
                    secret, kept.hashes[application.id] = self.generate()
                    kept.to_show[application.id] = secret
        return kept

    def generate(self) -> tuple[Secret, str]:
        """A new secret, and the text to store for it."""
        secret = generated_secret(self.entropy.token_bytes(ENTROPY_BYTES))
        return secret, hash_generated(secret, self.settings.pepper)


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    sealed: dict[ProviderId, bytes]
    fingerprints: dict[ProviderId, str]


@dataclass(frozen=True, slots=True)
class CredentialCustody:
    """Seals upstream credentials. What was sealed can not be opened here."""

    settings: ControlSettings
    sealer: CredentialSealer

    def changed(
        self, desired: DesiredZone, document: ZoneDocument, record: ZoneRecord | None
    ) -> frozenset[str]:
        """The names of the providers whose credential is not the one that is sealed."""
        given = {entry.name: entry.secret for entry in document.providers}
        kept = {} if record is None else record.credential_fingerprints
        return frozenset(
            provider.name
            for provider in desired.providers
            if given[provider.name] is not KEPT
            and not _same(
                kept.get(provider.id, ""),
                self.fingerprint(desired.id, provider.id, given[provider.name]),
            )
        )

    def seal(
        self,
        desired: DesiredZone,
        document: ZoneDocument,
        record: ZoneRecord | None,
        changed: frozenset[str],
    ) -> SealedCredentials:
        """Seal what changed and keep the rest; what a provider does not need any more is dropped."""
        given = {entry.name: entry.secret for entry in document.providers}
        result = SealedCredentials({}, {})
        for provider in desired.providers:
            secret = given[provider.name]
            if secret is None:
                continue
            if record is not None and provider.name not in changed:
                result.sealed[provider.id] = record.sealed_credentials[provider.id]
                result.fingerprints[provider.id] = record.credential_fingerprints[provider.id]
            else:
                result.sealed[provider.id] = self.sealer.seal(desired.id, provider.id, secret)
                result.fingerprints[provider.id] = self.fingerprint(desired.id, provider.id, secret)
        return result

    def fingerprint(self, zone_id: ZoneId, provider_id: ProviderId, secret: Secret | None) -> str:
        """A keyed digest that tells two credentials apart and nothing else; empty for none."""
        if secret is None:
            return ""
        key = self.settings.fingerprint_key.reveal().encode()
        place = f"{zone_id}\x00{provider_id}\x00".encode()
        message = _FINGERPRINT_DOMAIN + place + secret.reveal().encode()
        return hmac.digest(key, message, "sha256").hex()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
