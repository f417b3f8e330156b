"""A new secret for an application, when the one before is lost or known to others."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from caracal.authority.events import Kind
from caracal.authority.identifiers import ApplicationId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Application
from caracal.tokens.client_secrets import Argon2idHash, InvalidStoredSecret, parse_stored
from caracal.tokens.secret import Secret
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.custody import ApplicationSecrets
from caracal_server.control.publication import Publication
from caracal_server.ports.clock import Clock
from caracal_server.ports.zones import RetiringSecret, ZoneRecord


@dataclass(frozen=True, slots=True)
class Renewed:
    """An application and its secret, to be shown once; `until` is when the one before ends."""

    application: Application
    secret: Secret
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RenewSecret:
    """Replaces a generated secret; sessions go on.

    The one before opens nothing from then on, or after an overlap that was asked for. One that was
    already retiring ends in either case.
    """

    clock: Clock
    publication: Publication
    acts: ActLog
    secrets: ApplicationSecrets

    async def __call__(
        self, zone: str, application: str, act: Act, overlap: timedelta = timedelta()
    ) -> Renewed | Refused:
        """Make a new secret.

        Args:
            zone: the zone's name.
            application: its name or id.
            act: on whose behalf.
            overlap: how long the secret before still counts.

        Raises:
            Unavailable: evidence or store can not be reached; try again.
        """
        refused = self.publication.take_turn(zone)
        if refused is not None:
            return refused
        try:
            return await self._renew(zone, application, act, overlap)
        finally:
            self.publication.end_turn(zone)

    async def _renew(
        self, zone: str, reference: str, act: Act, overlap: timedelta
    ) -> Renewed | Refused:
        record = await self.publication.find(zone)
        if record is None:
            return Refused(Reason.ZONE_UNKNOWN, "there is no zone of that id or name")
        application = _find(record, reference)
        if application is None:
            return Refused(Reason.CLIENT_UNKNOWN, "the zone has no application of that id or name")
        before = record.secret_hashes.get(application.id, "")
        if application.keys and not before:
            return Refused(
                Reason.REQUEST_MALFORMED,
                "the application signs with its own key; change keys in the zone file and apply",
            )
        if _is_brought(before):
            return Refused(
                Reason.REQUEST_MALFORMED,
                "the secret comes from the zone file; change it there and apply",
            )
        secret, stored = self.secrets.generate()
        retiring = (
            RetiringSecret(before, self.clock.now() + overlap) if overlap and before else None
        )
        await self.acts.record(
            Kind.ZONE_APPLY,
            record.id,
            act,
            target=record.name,
            detail=f"update application {application.name} (secret)" + _said(retiring),
        )
        changed = replace(
            record,
            revision=record.revision + 1,
            secret_hashes={**record.secret_hashes, application.id: stored},
            retiring_secrets=_with(record.retiring_secrets, application.id, retiring),
        )
        refused = await self.publication.publish(changed, expected_revision=record.revision)
        if refused is not None:
            return refused
        return Renewed(application, secret, None if retiring is None else retiring.until)


def _with(
    present: dict[ApplicationId, RetiringSecret],
    application_id: ApplicationId,
    retiring: RetiringSecret | None,
) -> dict[ApplicationId, RetiringSecret]:
    others = {key: value for key, value in present.items() if key != application_id}
    return others if retiring is None else {**others, application_id: retiring}


def _said(retiring: RetiringSecret | None) -> str:
    if retiring is None:
        return ""
    return f"; the one before counts until {retiring.until.isoformat(timespec='seconds')}"


def _find(record: ZoneRecord, reference: str) -> Application | None:
    return next(
        (entry for entry in record.applications if reference in {entry.id, entry.name}), None
    )


def _is_brought(stored: str) -> bool:
    try:
        return isinstance(parse_stored(stored), Argon2idHash)
    except InvalidStoredSecret:
        return False
