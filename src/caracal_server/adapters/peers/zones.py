"""The zones as they are at Control, in step with it or refused."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import UNSET

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.zones import Zone
from caracal_server.adapters.memory.zone_directory import MemoryZones
from caracal_server.adapters.peers.follower import Follower
from caracal_server.ports.zones import RetiringSecret, ZoneInstaller, ZoneRecord
from caracal_server.web.peers.messages import Page, decode

Before = Callable[[tuple[ZoneRecord, ...]], Awaitable[None]]
"""What has to be done before these zones are in effect."""


async def _nothing(_records: tuple[ZoneRecord, ...]) -> None:
    """Nothing has to be done."""


class ZoneReplica:
    """Implements `NamedZones` and `ClientSecrets`. `follower` has to be set before anything is read."""

    __slots__ = ("_before", "_installers", "_zones", "follower")

    follower: Follower

    def __init__(self, *installers: ZoneInstaller, before: Before = _nothing) -> None:
        self._zones: Final = MemoryZones()
        self._installers: tuple[ZoneInstaller, ...] = (*installers, self._zones)
        self._before = before

    async def take(self, page: Page) -> None:
        """Put a page into effect."""
        if page.whole is not UNSET:
            records = decode(page.whole, tuple[ZoneRecord, ...])
        else:
            records = tuple(decode(part, ZoneRecord) for part in page.changes)
        await self._before(records)
        for record in records:
            for installer in self._installers:
                installer.install(record)

    def zone(self, zone_id: ZoneId) -> Zone | None:
        """A zone.

        Raises:
            Unavailable: the view is older than its bound. So do the others.
        """
        self.follower.require_fresh()
        return self._zones.zone(zone_id)

    def zones(self) -> tuple[Zone, ...]:
        self.follower.require_fresh()
        return self._zones.zones()

    def named(self, name: str) -> Zone | None:
        self.follower.require_fresh()
        return self._zones.named(name)

    def application_zone(self, application_id: ApplicationId) -> ZoneId | None:
        self.follower.require_fresh()
        return self._zones.application_zone(application_id)

    def secret_hash(self, application_id: ApplicationId) -> str | None:
        self.follower.require_fresh()
        return self._zones.secret_hash(application_id)

    def retiring_secret(self, application_id: ApplicationId) -> RetiringSecret | None:
        self.follower.require_fresh()
        return self._zones.retiring_secret(application_id)
