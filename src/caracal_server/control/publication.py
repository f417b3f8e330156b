"""Storing a zone's next revision and putting it into effect, one change of a zone at a time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.ports.zones import ZoneDirectory, ZoneInstaller, ZoneRecord, ZoneStore

_EVERY_ZONE = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """The only way to a new revision of a zone.

    Attributes:
        installers: in order; the one behind `directory` comes last, so that a revision that is in the
            directory is in effect everywhere.
        spread: returns once no service that runs apart acts on a revision before.
    """

    store: ZoneStore
    directory: ZoneDirectory
    installers: tuple[ZoneInstaller, ...]
    spread: Callable[[], Awaitable[None]] | None = None
    _changing: set[str] = field(default_factory=set, init=False, repr=False)

    def take_turn(self, name: str) -> Refused | None:
        """Begin to change the zone of a name, unless somebody else does; `end_turn` ends it.

        The store compares revisions, but a zone that does not exist yet has none.
        """
        if not self._changing.isdisjoint({name, _EVERY_ZONE}):
            return Refused(Reason.ZONE_CHANGED, f"the zone {name} is being changed by someone else")
        self._changing.add(name)
        return None

    def take_every_turn(self) -> Refused | None:
        """Begin to change all zones, those included that do not exist yet; `end_every_turn` ends it."""
        if self._changing:
            return Refused(Reason.ZONE_CHANGED, "a zone is being changed by someone else")
        self._changing.add(_EVERY_ZONE)
        return None

    def end_every_turn(self) -> None:
        self._changing.discard(_EVERY_ZONE)

    def end_turn(self, name: str) -> None:
        self._changing.discard(name)

    async def find(self, name: str) -> ZoneRecord | None:
        """The zone of that name, as it is stored."""
        records = await self.store.load_all()
        return next((record for record in records if record.name == name), None)

    async def publish(self, record: ZoneRecord, *, expected_revision: int) -> Refused | None:
        """Store a revision, compare and swap, and put it into effect.

        Returns:
            `Refused` when the zone is not at the expected revision any more; nothing changed.

        Raises:
            Unavailable: the store can not be reached.
        """
        try:
            await self.store.save(record, expected_revision=expected_revision)
        except Unavailable:
            stored = await self.find(record.name)
            if stored is not None and stored.revision != expected_revision:
                return Refused(Reason.ZONE_CHANGED, "someone else has just changed the zone")
            raise
        await self._install(record)
        return None

    async def ensure_in_effect(self, record: ZoneRecord) -> None:
        """Finish what was cut off between storing and installing."""
        zone = self.directory.zone(record.id)
        if zone is None or zone.revision != record.revision:
            await self._install(record)

    async def _install(self, record: ZoneRecord) -> None:
        for installer in self.installers:
            installer.install(record)
        if self.spread is not None:
            await self.spread()
