"""New sealing keys, and everything that is kept sealed anew under them: recorded first, then done."""

from dataclasses import dataclass, replace

from caracal.authority.events import Kind
from caracal.authority.outcomes import Refused
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.publication import Publication
from caracal_server.control.settings import SYSTEM_LOG
from caracal_server.ports.keys import (
    CredentialSealRotation,
    SealedCredential,
    SigningSealRotation,
)
from caracal_server.ports.zones import ZoneRecord


@dataclass(frozen=True, slots=True)
class Resealed:
    """How much was sealed anew."""

    signing_keys: int
    credentials: int


@dataclass(frozen=True, slots=True)
class Reseal:
    """Changes the keys that signing keys and upstream credentials are sealed under.

    Calls and mints go on meanwhile: they use what was opened before. A zone can not be applied until it
    is done. What is cut off goes on the next time.
    """

    acts: ActLog
    publication: Publication
    signing_keys: SigningSealRotation
    credentials: CredentialSealRotation

    async def __call__(self, act: Act) -> Resealed | Refused:
        """Reseal.

        Raises:
            Unavailable: it was not recorded, or is not finished; both keys open what they sealed.
        """
        refused = self.publication.take_every_turn()
        if refused is not None:
            return refused
        try:
            return await self._reseal(act)
        finally:
            self.publication.end_every_turn()

    async def _reseal(self, act: Act) -> Resealed | Refused:
        detail = "make the next sealing keys, and seal signing keys and credentials anew"
        await self.acts.record(
            Kind.KEY_ROTATE, SYSTEM_LOG, act, target="sealing keys", detail=detail
        )
        signing_keys = await self.signing_keys.reseal()
        self.credentials.begin()
        count = 0
        for record in await self.publication.store.load_all():
            if record.sealed_credentials:
                refused = await self._reseal_zone(record)
                if refused is not None:
                    return refused
                count += len(record.sealed_credentials)
        self.credentials.finish(
            SealedCredential(record.id, provider_id, kept)
            for record in await self.publication.store.load_all()
            for provider_id, kept in record.sealed_credentials.items()
        )
        return Resealed(signing_keys, count)

    async def _reseal_zone(self, record: ZoneRecord) -> Refused | None:
        sealed = {
            provider_id: self.credentials.reseal(record.id, provider_id, kept)
            for provider_id, kept in record.sealed_credentials.items()
        }
        changed = replace(record, revision=record.revision + 1, sealed_credentials=sealed)
        return await self.publication.publish(changed, expected_revision=record.revision)
