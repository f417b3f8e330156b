"""The signing keys of all zones: loaded at start, published ahead of their use, rotated with an overlap."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import KeyStore, StoredSigningKey

OVERLAP = timedelta(hours=24)
"""How long after a rotation the key before is still accepted. No mandate lives that long."""


@dataclass(frozen=True, slots=True)
class _ZoneKeys:
    """A zone's newest three. `following` is published and signs nothing until the next rotation."""

    active: SigningKey
    newest_at: datetime
    following: SigningKey | None = None
    before: SigningKey | None = None

    @property
    def overlap_ends(self) -> datetime:
        """A rotation makes the newest key, so it was then that `before` stopped signing."""
        return self.newest_at + OVERLAP

    def key_set(self, now: datetime) -> KeySet:
        before = self.before if now < self.overlap_ends else None
        return KeySet(
            self.active.public,
            () if before is None else (before.public,),
            () if self.following is None else (self.following.public,),
        )

    def with_newest(self, key: SigningKey, created_at: datetime) -> "_ZoneKeys":
        if self.following is None:
            return _ZoneKeys(self.active, created_at, key, self.before)
        return _ZoneKeys(self.following, created_at, key, self.active)


class ZoneSigningKeys:
    """`SigningKeys` and `VerifyingKeys` over a `KeyStore`. Reads never wait."""

    def __init__(
        self, store: KeyStore, seal: PrivateKeySeal, clock: Clock, entropy: Entropy
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._entropy = entropy
        self._zones: dict[ZoneId, _ZoneKeys] = {}
        self._sets: dict[ZoneId, tuple[datetime, KeySet]] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read every zone's keys.

        Raises:
            Unavailable: the store can not be read, or a key not be opened.
        """
        for stored in await self._store.load_all():
            private = self._seal.open(stored.zone_id, stored.kid, stored.sealed_private)
            key = SigningKey.from_pem(KeyId(stored.kid), private)
            self._install(stored.zone_id, key, stored.created_at)

    def active(self, zone_id: ZoneId) -> SigningKey:
        zone = self._zones.get(zone_id)
        if zone is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "the zone has no signing key")
        return zone.active

    def key_set(self, zone_id: ZoneId) -> KeySet | None:
        zone = self._zones.get(zone_id)
        if zone is None:
            return None
        now = self._clock.now()
        valid_until, keys = self._sets.get(zone_id, (now, None))
        if keys is None or valid_until <= now:
            keys = zone.key_set(now)
            forever = now + timedelta(days=3650)
            self._sets[zone_id] = (zone.overlap_ends if keys.retiring else forever, keys)
        return keys

    def zones(self) -> tuple[ZoneId, ...]:
        """The zones that have a key."""
        return tuple(self._zones)

    def retiring_until(self, zone_id: ZoneId) -> datetime | None:
        """Until when a zone's key before is accepted; `None` when there is none."""
        zone = self._zones.get(zone_id)
        return None if zone is None or zone.before is None else zone.overlap_ends

    async def ensure(self, zone_id: ZoneId) -> None:
        """Give a zone its first key and the one that will follow it, unless it has them.

        Raises:
            Unavailable: a key may or may not have been stored.
        """
        async with self._changing:
            if zone_id not in self._zones:
                await self._add(zone_id)
            if self._zones[zone_id].following is None:
                await self._add(zone_id)

    async def rotate(self, zone_id: ZoneId) -> KeyId:
        """Let the following key sign and make another to follow it.

        The one before is accepted for another 24 hours, older ones no more.

        Returns:
            The key that signs from here on.

        Raises:
            Unavailable: the zone has no key, or the new one may or may not have been stored.
        """
        async with self._changing:
            self.active(zone_id)
            if self._zones[zone_id].following is None:
                await self._add(zone_id)
            await self._add(zone_id)
            return self.active(zone_id).kid

    async def _add(self, zone_id: ZoneId) -> None:
        kid = KeyId(self._entropy.new_id())
        key = SigningKey.generate(kid)
        created_at = self._clock.now()
        zone = self._zones.get(zone_id)
        if zone is not None:
            # Keys take their turns in the order they were made, whatever the clock did meanwhile.
            created_at = max(created_at, zone.newest_at + timedelta(microseconds=1))
        await self._store.add(
            StoredSigningKey(
                kid=kid,
                zone_id=zone_id,
                sealed_private=self._seal.seal(zone_id, kid, key.to_pem()),
                public_jwk=msgspec.json.encode(key.public.jwk()).decode(),
                created_at=created_at,
            )
        )
        self._install(zone_id, key, created_at)

    def _install(self, zone_id: ZoneId, key: SigningKey, created_at: datetime) -> None:
        present = self._zones.get(zone_id)
        self._zones[zone_id] = (
            _ZoneKeys(key, created_at) if present is None else present.with_newest(key, created_at)
        )
        self._sets.pop(zone_id, None)
