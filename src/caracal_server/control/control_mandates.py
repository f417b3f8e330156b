"""Control keys at the admin API: applications that operate their own zone, within their traits."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.control_keys import InvalidTrait, control_key
from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import Scope
from caracal.authority.zones import Application
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import unverified_routing, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal_server.control.acts import Act
from caracal_server.control.apply import ApplyZone
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.ports.clock import Clock
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.operators import OperatorScope, OperatorToken
from caracal_server.ports.single_use import Claim, SingleUse
from caracal_server.ports.zones import ZoneDirectory, ZoneRecord

_RESOURCE_ONLY: Final = frozenset({MandateClass.RESOURCE})
_SCOPES: Final = {
    Scope("control:zone:read"): OperatorScope.READ,
    Scope("control:zone:write"): OperatorScope.WRITE,
}
_DOTS_IN_A_MANDATE: Final = 2


@dataclass(frozen=True, slots=True)
class ControlKeyCaller:
    """A control key that was proven by its mandate."""

    application: Application
    mandate: Mandate

    @property
    def zone_id(self) -> ZoneId:
        return self.mandate.zone_id

    @property
    def operator(self) -> OperatorToken:
        """What it may do, as an operator of its zone."""
        scopes = (scope for name, scope in _SCOPES.items() if name in self.mandate.scopes)
        return OperatorToken(
            id=self.application.id,
            name=self.application.name,
            token_sha256="",
            scopes=frozenset(scopes),
            created_at=self.mandate.issued_at,
            expires_at=self.mandate.expires_at,
        )

    def act(self, request: str, receipts: list[str]) -> Act:
        name, application_id = self.application.name, self.application.id
        return Act(f"control key {name} ({application_id})", request, receipts)

    def lacks(self, scope: OperatorScope) -> Refused:
        return Refused(
            Reason.OPERATOR_SCOPE_MISSING, f"the mandate lacks the scope control:zone:{scope}"
        )


@dataclass(frozen=True, slots=True)
class ControlMandates:
    """Proves control keys: by mandates that the STS signed for this audience, each good for one request."""

    clock: Clock
    directory: ZoneDirectory
    keys: VerifyingKeys
    used: SingleUse
    issuer: str
    audience: str

    def prove(self, token: str) -> ControlKeyCaller | Refused:
        """Find the control key behind a mandate, as its application is registered now."""
        raw = RawToken(token.encode())
        try:
            zone_id = unverified_routing(raw).zone_id
            keys = self.keys.key_set(zone_id)
            if keys is None:
                return Refused(Reason.MANDATE_KEY_UNKNOWN, "no key of ours signed it")
            mandate = verify_mandate(
                raw,
                keys=keys,
                issuer=self.issuer,
                zone_id=zone_id,
                mandate_classes=_RESOURCE_ONLY,
                audience=self.audience,
                now=self.clock.now(),
            ).mandate
        except TokenRefused as refused:
            return Refused(refused.reason, refused.detail)
        if mandate.resources or mandate.chain:
            return Refused(
                Reason.MANDATE_AUDIENCE, "it is good for resources, and no control mandate"
            )
        return self._registered(mandate)

    def _registered(self, mandate: Mandate) -> ControlKeyCaller | Refused:
        zone = self.directory.zone(mandate.zone_id)
        application = None if zone is None else zone.applications.get(mandate.application_id)
        if application is None or not application.usable(self.clock.now()):
            return Refused(Reason.OPERATOR_UNKNOWN, "the application is not registered any more")
        try:
            key = control_key(application.traits)
        except InvalidTrait as fault:
            return Refused(Reason.CONTROL_KEY_REQUIRED, str(fault))
        if key is None or not mandate.scopes.within(key.scopes):
            return Refused(Reason.CONTROL_SCOPE_EXCEEDED, "the traits of the application changed")
        return ControlKeyCaller(application, mandate)

    async def spend(self, caller: ControlKeyCaller) -> Refused | None:
        """Use the mandate up; why it can not be, if it was used before.

        Raises:
            Unavailable: it can not be told.
        """
        match await self.used.claim(caller.mandate, now=self.clock.now()):
            case Claim.FIRST:
                return None
            case Claim.REPLAYED:
                return Refused(Reason.MANDATE_REPLAYED)
            case Claim.PREDATES_START:
                return Refused(Reason.MANDATE_PREDATES_START)


def is_mandate(token: str) -> bool:
    return token.count(".") == _DOTS_IN_A_MANDATE


def is_control_key(application: Application) -> bool:
    try:
        return control_key(application.traits) is not None
    except InvalidTrait:
        return True


async def revision_to_apply(
    apply: ApplyZone, document: ZoneDocument, record: ZoneRecord
) -> int | Refused:
    """The one revision at which a control key may apply a document: one that leaves control keys alone.

    Raises:
        ZoneDocumentInvalid, PolicyInvalid, Unavailable: as `ApplyZone.plan` does.
    """
    planned = await apply.plan(document)
    if planned.zone_id != record.id:
        return Refused(Reason.CONTROL_KEY_ZONE, "this is not about the zone of the control key")
    if planned.revision != record.revision:
        return Refused(Reason.ZONE_CHANGED, "someone else has just changed the zone")
    applications = (*record.applications, *planned.desired.applications)
    keys = {one.name for one in applications if is_control_key(one)}
    for change in planned.plan.changes:
        if change.kind == "application" and change.name in keys:
            return Refused(Reason.CONTROL_KEY_PROTECTED, f"it would {change}")
    return planned.revision
