"""Rotating a zone's signing key: recorded first, then done."""

from dataclasses import dataclass

from caracal.authority.events import Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.apply import ZoneKeys
from caracal_server.control.publication import Publication


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Makes a zone's next signing key. Mandates of the one before stay valid until they expire."""

    acts: ActLog
    zone_keys: ZoneKeys
    publication: Publication

    async def __call__(self, zone_id: ZoneId, name: str, act: Act) -> Refused | None:
        """Rotate; refused while the zone is being changed.

        Raises:
            Unavailable: it may not have been recorded or done; the key before may still sign.
        """
        refused = self.publication.take_turn(name)
        if refused is not None:
            return refused
        try:
            await self.acts.record(
                Kind.KEY_ROTATE,
                zone_id,
                act,
                target=name,
                detail="make the zone's next signing key",
            )
            await self.zone_keys.rotate(zone_id)
        finally:
            self.publication.end_turn(name)
        return None
