"""Rotating keys: recorded first, then done."""

from dataclasses import dataclass
from typing import Protocol

from caracal.authority.events import Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Refused
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.apply import ZoneKeys
from caracal_server.control.publication import Publication
from caracal_server.control.settings import SYSTEM_LOG


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


class LogKeySuccession(Protocol):
    """Audit, which holds the key that signs checkpoints. Control sees none of it.

    All raise `Unavailable` when it is not finished; it can then be asked for again.
    """

    async def rotate(self, actor: str, request: str) -> Refused | None:
        """Sign every log with the next key and with the present one."""
        ...

    async def retire(self, actor: str, request: str) -> Refused | None:
        """Sign with the key before no more."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeLogKey:
    """Changes the key of the evidence logs in two acts, between which both keys sign."""

    acts: ActLog
    succession: LogKeySuccession

    async def rotate(self, act: Act) -> Refused | None:
        """Begin.

        Raises:
            Unavailable: it was not recorded, or is not finished.
        """
        await self._record(act, "make the next key of the evidence logs")
        return await self.succession.rotate(act.actor, act.request)

    async def retire(self, act: Act) -> Refused | None:
        """End.

        Raises:
            Unavailable: it was not recorded, or is not finished.
        """
        await self._record(act, "retire the key of the evidence logs before the present one")
        return await self.succession.retire(act.actor, act.request)

    async def _record(self, act: Act, detail: str) -> None:
        await self.acts.record(
            Kind.KEY_ROTATE, SYSTEM_LOG, act, target="evidence logs", detail=detail
        )
