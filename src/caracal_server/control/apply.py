"""Applying a zone document: all of it takes effect, or nothing does. A second time changes nothing."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from caracal.authority.events import Kind
from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.tokens.secret import Secret
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.compilation import PolicyCompilation
from caracal_server.control.custody import (
    ApplicationSecrets,
    CredentialCustody,
    KeptSecrets,
    SecretStep,
)
from caracal_server.control.desired_zone import DesiredZone, desire
from caracal_server.control.publication import Publication
from caracal_server.control.tool_pins import kept_pins
from caracal_server.control.zone_document import ZoneDocument, public_digest
from caracal_server.control.zone_plan import SecretChanges, ZonePlan, plan_zone, policy_digest
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.zones import PolicyVersion, RetiringSecret, ZoneRecord


class ZoneKeys(Protocol):
    """Whoever makes the zones' signing keys. Control sees none of them."""

    async def ensure(self, zone_id: ZoneId) -> object:
        """Make a zone's first signing key, durably, unless it has one.

        Raises:
            Unavailable: there may be none.
        """
        ...

    async def rotate(self, zone_id: ZoneId) -> object:
        """Make a zone's next signing key, durably; the one before stays valid while they overlap.

        Raises:
            Unavailable: the key before may still be the active one.
        """
        ...


OnApplicationRemoved = Callable[[ZoneId, ApplicationId], Awaitable[None]]
"""Revokes all that an application holds; returns once it is durable."""

_UNCHANGED = frozenset({SecretStep.KEEP, SecretStep.NONE})


@dataclass(frozen=True, slots=True)
class Applied:
    """A zone after an apply, or before one that was only planned.

    Attributes:
        zone_id, revision: of the zone as it is; `None` and 0 when it was only planned.
        secrets: to be shown once, now, and never again.
    """

    desired: DesiredZone
    plan: ZonePlan
    zone_id: ZoneId | None
    revision: int
    applications: Mapping[str, ApplicationId]
    secrets: Mapping[ApplicationId, Secret] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Preparation:
    document: ZoneDocument
    record: ZoneRecord | None
    desired: DesiredZone
    steps: Mapping[str, SecretStep]
    engine: PolicyEngine | None
    changed_credentials: frozenset[str]
    plan: ZonePlan

    @property
    def revision(self) -> int:
        return 0 if self.record is None else self.record.revision


@dataclass(frozen=True, slots=True)
class ApplyZone:
    """Brings a zone to what a document says.

    Commit order: the policy compiles; the act is in the evidence; the zone has a signing key; removed
    applications are revoked; the record is stored, compare and swap; it is installed. What fails before
    the record is stored leaves the zone as it was, and applying again goes on from there.

    Attributes:
        on_application_removed: revokes all that an application holds.
    """

    clock: Clock
    entropy: Entropy
    publication: Publication
    acts: ActLog
    secrets: ApplicationSecrets
    credentials: CredentialCustody
    zone_keys: ZoneKeys
    on_application_removed: OnApplicationRemoved
    _compile: PolicyCompilation = field(default_factory=PolicyCompilation, init=False, repr=False)

    async def plan(self, document: ZoneDocument) -> Applied:
        """Say what applying would change, and change nothing.

        Raises:
            ZoneDocumentInvalid: there are too many policies.
            PolicyInvalid: the policy does not fit the zone.
            Unavailable: the zone as it is can not be read.
        """
        prepared = await self._prepare(document)
        known = {} if prepared.record is None else _ids(prepared.record)
        zone_id = None if prepared.record is None else prepared.record.id
        return Applied(prepared.desired, prepared.plan, zone_id, prepared.revision, known, {})

    async def __call__(
        self,
        document: ZoneDocument,
        act: Act,
        *,
        expected_revision: int | None = None,
        archive: bool = False,
    ) -> Applied | Refused:
        """Apply a document.

        Args:
            document: as `parse_document` returned it.
            act: on whose behalf.
            expected_revision: what the operator believes the zone's revision to be; `None` for any.
            archive: put the zone away as well; the next document that is applied brings it back.

        Returns:
            `Refused` when the revision is another, or the zone is being applied by someone else.

        Raises:
            ZoneDocumentInvalid: there are too many policies; nothing changed.
            PolicyInvalid: the policy does not fit the zone; nothing changed.
            Unavailable: evidence or store can not be reached; apply again to be sure.
        """
        refused = self.publication.take_turn(document.zone)
        if refused is not None:
            return refused
        try:
            return await self._apply(document, act, expected_revision, archive=archive)
        finally:
            self.publication.end_turn(document.zone)

    async def _apply(
        self, document: ZoneDocument, act: Act, expected_revision: int | None, *, archive: bool
    ) -> Applied | Refused:
        prepared = await self._prepare(document)
        if expected_revision not in {None, prepared.revision}:
            return Refused(
                Reason.ZONE_CHANGED,
                f"the zone is at revision {prepared.revision}, not {expected_revision}",
            )
        if prepared.record is not None and not prepared.plan.changes and not archive:
            await self.zone_keys.ensure(prepared.record.id)
            await self.publication.ensure_in_effect(prepared.record)
            return _applied(prepared, prepared.record, {})
        return await self._commit(prepared, act, archive=archive)

    async def _prepare(self, document: ZoneDocument) -> _Preparation:
        record = await self.publication.find(document.zone)
        desired = desire(document, record, new_id=self.entropy.new_id)
        engine = None
        if desired.policy is not None:
            engine = await self._compile(desired.policy, desired.vocabulary)
        steps = await self.secrets.steps(document, record)
        changed = self.credentials.changed(desired, document, record)
        differing = SecretChanges(
            frozenset(name for name, step in steps.items() if step not in _UNCHANGED), changed
        )
        plan = plan_zone(desired, record, differing)
        return _Preparation(document, record, desired, steps, engine, changed, plan)

    async def _commit(
        self, prepared: _Preparation, act: Act, *, archive: bool
    ) -> Applied | Refused:
        kept = await self.secrets.make(
            prepared.desired, prepared.document, prepared.record, prepared.steps
        )
        record = self._record(prepared, kept)
        if archive:
            record = replace(record, archived_at=self.clock.now())
        await self.acts.record(
            Kind.ZONE_APPLY,
            record.id,
            act,
            target=record.name,
            detail=("archive zone; " if archive else "") + prepared.plan.summary(),
            digest=public_digest(prepared.document),
            policy="" if record.policy is None else record.policy.digest,
        )
        await self.zone_keys.ensure(record.id)
        for application_id in _removed(prepared):
            await self.on_application_removed(record.id, application_id)
        refused = await self.publication.publish(record, expected_revision=prepared.revision)
        if refused is not None:
            return refused
        return _applied(prepared, record, kept.to_show)

    def _record(self, prepared: _Preparation, kept: KeptSecrets) -> ZoneRecord:
        desired, record = prepared.desired, prepared.record
        now = self.clock.now()
        sealed = self.credentials.seal(
            desired, prepared.document, record, prepared.changed_credentials
        )
        after = ZoneRecord(
            id=desired.id,
            name=desired.name,
            revision=prepared.revision + 1,
            created_at=now if record is None else record.created_at,
            applications=desired.applications,
            providers=desired.providers,
            resources=desired.resources,
            policy=self._policy(prepared),
            secret_hashes=kept.hashes,
            sealed_credentials=sealed.sealed,
            credential_fingerprints=sealed.fingerprints,
            retiring_secrets=_retiring(prepared),
            subject_issuers=desired.subject_issuers,
            title=desired.title,
        )
        return replace(after, tool_pins=kept_pins(record, after))

    def _policy(self, prepared: _Preparation) -> PolicyVersion | None:
        text = prepared.desired.policy
        if text is None:
            return None
        digest = policy_digest(text)
        before = None if prepared.record is None else prepared.record.policy
        if before is not None and before.digest == digest:
            return before
        return PolicyVersion(
            digest=digest, text=text, created_at=self.clock.now(), engine=prepared.engine
        )


def _retiring(prepared: _Preparation) -> dict[ApplicationId, RetiringSecret]:
    """A secret before goes on counting only as long as the present one stays."""
    if prepared.record is None:
        return {}
    kept = {
        entry.id
        for entry in prepared.desired.applications
        if prepared.steps[entry.name] is SecretStep.KEEP
    }
    return {key: value for key, value in prepared.record.retiring_secrets.items() if key in kept}


def _ids(record: ZoneRecord) -> dict[str, ApplicationId]:
    return {entry.name: entry.id for entry in record.applications}


def _removed(prepared: _Preparation) -> list[ApplicationId]:
    if prepared.record is None:
        return []
    staying = {entry.id for entry in prepared.desired.applications}
    return [entry.id for entry in prepared.record.applications if entry.id not in staying]


def _applied(
    prepared: _Preparation, record: ZoneRecord, secrets: Mapping[ApplicationId, Secret]
) -> Applied:
    return Applied(
        prepared.desired, prepared.plan, record.id, record.revision, _ids(record), secrets
    )
