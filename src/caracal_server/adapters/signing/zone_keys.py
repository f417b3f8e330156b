"""The signing keys of all zones: loaded at start, rotated with an overlap."""

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
    active: SigningKey
    before: SigningKey | None
    active_since: datetime

    def key_set(self, now: datetime) -> KeySet:
        overlapping = self.before is not None and now < self.active_since + OVERLAP
        return KeySet(
            self.active.public,
            (self.before.public,) if self.before is not None and overlapping else (),
        )


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
            overlap_ends = zone.active_since + OVERLAP
            forever = now + timedelta(days=3650)
            self._sets[zone_id] = (overlap_ends if keys.retiring else forever, keys)
        return keys

    def zones(self) -> tuple[ZoneId, ...]:
        """The zones that have a key."""
        return tuple(self._zones)

    def retiring_until(self, zone_id: ZoneId) -> datetime | None:
        """Until when a zone's key before is accepted; `None` when there is none."""
        zone = self._zones.get(zone_id)
        return None if zone is None or zone.before is None else zone.active_since + OVERLAP

    async def ensure(self, zone_id: ZoneId) -> None:
        """Give a zone its first key, unless it has one.

        Raises:
            Unavailable: the key may or may not have been stored.
        """
        async with self._changing:
            if zone_id not in self._zones:
                await self._add(zone_id)

    async def rotate(self, zone_id: ZoneId) -> KeyId:
        """Make a new key active; the one before is accepted for another 24 hours, older ones no more.

        Raises:
            Unavailable: the zone has no key, or the new one may or may not have been stored.
        """
        async with self._changing:
            self.active(zone_id)
            return await self._add(zone_id)

    async def _add(self, zone_id: ZoneId) -> KeyId:
        kid = KeyId(self._entropy.new_id())
        key = SigningKey.generate(kid)
        created_at = self._clock.now()
        zone = self._zones.get(zone_id)
        if zone is not None:
            # The newest is the active one, whatever the clock did meanwhile.
            created_at = max(created_at, zone.active_since + timedelta(microseconds=1))
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
        return kid

    def _install(self, zone_id: ZoneId, key: SigningKey, created_at: datetime) -> None:
        present = self._zones.get(zone_id)
        before = None if present is None else present.active
        self._zones[zone_id] = _ZoneKeys(key, before, created_at)
        self._sets.pop(zone_id, None)
