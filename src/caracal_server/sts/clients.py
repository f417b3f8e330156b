"""Who asks: the application behind a client id and secret."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Application, Zone
from caracal.tokens.client_secrets import (
    Argon2idHash,
    GeneratedHash,
    GeneratedHasher,
    InvalidStoredSecret,
    parse_stored,
)
from caracal.tokens.secret import Secret
from caracal_server.ports.zones import ClientSecrets, ZoneDirectory


class PasswordVerifier(Protocol):
    """Checks secrets that people brought, off the event loop, a bounded number at a time."""

    async def verify(self, stored: str, secret: Secret) -> bool: ...


class ProvenClient(msgspec.Struct, frozen=True):
    zone: Zone
    application: Application


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """Proves a client. Which of zone, application and secret is wrong is told to nobody else."""

    directory: ZoneDirectory
    secrets: ClientSecrets
    pepper: Secret
    passwords: PasswordVerifier
    _hasher: GeneratedHasher = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hasher", GeneratedHasher(self.pepper))

    async def __call__(
        self,
        zone_id: ZoneId,
        application_id: ApplicationId,
        secret: Secret,
        *,
        now: datetime,
        held_off: bool = False,
    ) -> ProvenClient | Refused:
        """Prove that a request comes from an application of a zone.

        Args:
            zone_id: as claimed.
            application_id: as claimed.
            secret: as sent.
            now: the instant to judge the registration at, UTC.
            held_off: too many have failed lately. A slow hash is not spent then; a generated secret,
                which nobody guesses, still proves its application, so that others can not lock it out.
        """
        home = self.directory.application_zone(application_id)
        stored = None if home is None else self.secrets.secret_hash(application_id)
        if stored is None:
            # The same work as for a generated secret, so that the time tells nothing.
            self._hasher.matches(secret, _NO_CLIENT)
            return Refused(Reason.CLIENT_UNKNOWN, _BAD_CREDENTIALS)
        if not (
            await self._matches(stored, secret, held_off=held_off)
            or self._matches_retiring(application_id, secret, now)
        ):
            return Refused(Reason.CLIENT_SECRET_WRONG, _BAD_CREDENTIALS)
        if home != zone_id:
            return Refused(
                Reason.CLIENT_ZONE_MISMATCH,
                "this application belongs to another zone: check zone_id",
            )
        zone = self.directory.zone(zone_id)
        application = None if zone is None else zone.applications.get(application_id)
        if zone is None or application is None or not application.usable(now):
            return Refused(Reason.CLIENT_UNKNOWN, _BAD_CREDENTIALS)
        return ProvenClient(zone, application)

    def _matches_retiring(
        self, application_id: ApplicationId, secret: Secret, now: datetime
    ) -> bool:
        """Whether it is the secret before, which still counts. Only generated ones overlap."""
        retiring = self.secrets.retiring_secret(application_id)
        if retiring is None or now >= retiring.until:
            return False
        kind = _kind(retiring.stored)
        return isinstance(kind, GeneratedHash) and self._hasher.matches(secret, kind)

    async def _matches(self, stored: str, secret: Secret, *, held_off: bool) -> bool:
        kind = _kind(stored)
        match kind:
            case GeneratedHash():
                return self._hasher.matches(secret, kind)
            case Argon2idHash():
                return not held_off and await self.passwords.verify(stored, secret)
            case None:
                return False


@lru_cache(maxsize=4096)  # the same few on every request
def _kind(stored: str) -> GeneratedHash | Argon2idHash | None:
    try:
        return parse_stored(stored)
    except InvalidStoredSecret:
        return None


_BAD_CREDENTIALS = "zone_id, application_id and client_secret do not belong together"
_NO_CLIENT = GeneratedHash(bytes(32))
