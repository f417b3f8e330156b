"""May this call pass? The checks, in their order; the first that fails is the answer.

Order: framing, bearer, remaining life, routing headers, path, signature and claims, single use,
revocation, then the decision (operation, scopes, liveness, policy). A call that passes is recorded,
durably, before anything is sent upstream.
"""

from dataclasses import dataclass
from datetime import datetime

from caracal.authority.admission import AdmittedCall, Call, decide_admission
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.identifiers import ZoneId
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import unverified_routing, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal.wire.errors import WireError
from caracal.wire.paths import CallTarget, parse_target
from caracal_server.gateway.arrival import MAX_BEARER_BYTES, Arrival, Headers, read_arrival
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.peers import LiveAuthority
from caracal_server.ports.single_use import Claim, SingleUse
from caracal_server.ports.zones import ZoneDirectory


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call before anything about it is believed."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    request_id: str


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that may go upstream, and whose decision is on record."""

    admitted: AdmittedCall
    arrival: Arrival
    target: CallTarget


@dataclass(frozen=True, slots=True)
class _Known:
    """How far a refused call had proven itself, for its entry."""

    zone_id: ZoneId | None = None
    mandate: Mandate | None = None
    resource: str = ""
    operation: str = ""


class Enforcement:
    """Admits or refuses calls."""

    __slots__ = (
        "_authority",
        "_clock",
        "_directory",
        "_evidence",
        "_keys",
        "_settings",
        "_single_use",
    )

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        clock: Clock,
        directory: ZoneDirectory,
        keys: VerifyingKeys,
        single_use: SingleUse,
        authority: LiveAuthority,
        evidence: EvidenceLog,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._keys = keys
        self._single_use = single_use
        self._authority = authority
        self._evidence = evidence

    async def admit(self, incoming: IncomingCall) -> Admission | Refused:
        """Decide and record.

        Raises:
            Unavailable: something needed can not be reached, or the decision can not be recorded; the
                call must not go upstream.
        """
        now = self._clock.now()
        arrival = read_arrival(incoming.headers)
        if isinstance(arrival, Refused):
            return await self._refuse(incoming, _Known(), arrival)
        opened = self._open(incoming, arrival, now=now)
        if isinstance(opened, tuple):
            return await self._refuse(incoming, opened[0], opened[1])
        mandate, target = opened.mandate, opened.target
        known = _Known(mandate.zone_id, mandate, arrival.resource, _describe(incoming, target))
        claim = await self._single_use.claim(mandate, now=now)
        if claim is not Claim.FIRST:
            return await self._refuse(incoming, known, _claimed(claim))
        revocation = self._authority.revocation(mandate)
        if revocation is not None:
            ended = f"the {revocation.kind} {revocation.anchor} has ended: {revocation.reason}"
            return await self._refuse(incoming, known, Refused(Reason.MANDATE_REVOKED, ended))
        outcome = self._decide(mandate, arrival, incoming, target, now=now)
        if isinstance(outcome, Refused):
            return await self._refuse(incoming, known, outcome)
        await self._evidence.append(self._allowed(incoming, outcome))
        return Admission(outcome, arrival, target)

    def _open(
        self, incoming: IncomingCall, arrival: Arrival, *, now: datetime
    ) -> "_Opened | tuple[_Known, Refused]":
        """From bytes to a proven mandate and a safe path, or how far it came and why not."""
        bearer = arrival.bearer
        if bearer is None:
            return _Known(), Refused(Reason.MANDATE_MISSING, "send Authorization: Bearer <mandate>")
        if len(bearer) > MAX_BEARER_BYTES:
            return _Known(), Refused(
                Reason.MANDATE_TOO_LARGE, f"a bearer token has at most {MAX_BEARER_BYTES} bytes"
            )
        raw = RawToken(bearer)
        try:
            zone_id = unverified_routing(raw).zone_id
        except TokenRefused as error:
            return _Known(resource=arrival.resource), Refused(error.reason, error.detail)
        known = _Known(zone_id, None, arrival.resource, incoming.method)
        routing = _routing(arrival)
        if routing is not None:
            return known, routing
        try:
            target = parse_target(incoming.raw_path, incoming.query)
            keys = self._keys.key_set(zone_id)
            if keys is None:
                return known, Refused(Reason.MANDATE_ZONE, "no such zone here")
            mandate = verify_mandate(
                raw,
                keys=keys,
                issuer=self._settings.issuer,
                zone_id=zone_id,
                mandate_classes=_GATEWAY_ONLY,
                audience=self._settings.issuer,
                now=now,
            ).mandate
        except WireError as error:
            return known, Refused(error.reason, error.description)
        except TokenRefused as error:
            return known, Refused(error.reason, error.detail)
        if mandate.expires_at - now < self._settings.minimum_remaining:
            return _Known(zone_id, mandate, arrival.resource), Refused(
                Reason.MANDATE_EXPIRING,
                f"it expires within {self._settings.minimum_remaining.total_seconds():.0f} s: "
                "mint one for each call",
            )
        return _Opened(mandate, target)

    def _decide(
        self,
        mandate: Mandate,
        arrival: Arrival,
        incoming: IncomingCall,
        target: CallTarget,
        *,
        now: datetime,
    ) -> AdmittedCall | Refused:
        zone = self._directory.zone(mandate.zone_id)
        if zone is None or mandate.session_id is None:
            return Refused(Reason.SESSION_NOT_LIVE, "the mandate names no live session")
        session = self._authority.session(mandate.zone_id, mandate.session_id)
        call = Call(arrival.resource, incoming.method, target.segments)
        return decide_admission(zone, mandate, session, call, now=now)

    async def _refuse(self, incoming: IncomingCall, known: _Known, refused: Refused) -> Refused:
        """Record a refusal in the zone it belongs to; without a zone there is no log to write to."""
        if known.zone_id is None or self._directory.zone(known.zone_id) is None:
            return refused
        entry = self._refused(incoming, known.zone_id, known, refused)
        if known.mandate is None:
            # Nobody is proven yet, so nobody may make the call wait for the disk.
            self._evidence.enqueue(entry)
        else:
            await self._evidence.append(entry)
        return refused

    def _allowed(self, incoming: IncomingCall, admitted: AdmittedCall) -> Entry:
        mandate = admitted.mandate
        zone = self._directory.zone(mandate.zone_id)
        application = None if zone is None else zone.applications.get(mandate.application_id)
        operation = admitted.operation
        return Entry(
            format=ENTRY_FORMAT,
            kind=Kind.CALL,
            zone=mandate.zone_id,
            at=self._clock.now_us(),
            request=incoming.request_id,
            verdict=Verdict.ALLOW,
            application=mandate.application_id,
            application_name="" if application is None else application.name,
            subject=mandate.subject,
            session=mandate.session_id or "",
            delegations=mandate.delegation_path,
            resource=admitted.resource.identifier,
            operation=f"{admitted.call.method} {admitted.call.path}"[:1024],
            scopes=operation.scope if operation is not None else mandate.scopes.render(),
            mandate=mandate.id,
            policy="" if zone is None or zone.policy is None else zone.policy.digest,
            policies=admitted.policies,
        )

    def _refused(
        self, incoming: IncomingCall, zone_id: ZoneId, known: _Known, refused: Refused
    ) -> Entry:
        mandate = known.mandate
        return Entry(
            format=ENTRY_FORMAT,
            kind=Kind.CALL,
            zone=zone_id,
            at=self._clock.now_us(),
            request=incoming.request_id,
            verdict=Verdict.REFUSE,
            reason=refused.reason,
            detail=refused.detail,
            application="" if mandate is None else mandate.application_id,
            subject="" if mandate is None else mandate.subject,
            session="" if mandate is None else mandate.session_id or "",
            delegations=() if mandate is None else mandate.delegation_path,
            resource=known.resource[:512],
            operation=known.operation[:1024],
            scopes="" if mandate is None else mandate.scopes.render(),
            mandate="" if mandate is None else mandate.id,
            policies=refused.policies,
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    mandate: Mandate
    target: CallTarget


_GATEWAY_ONLY = frozenset({MandateClass.GATEWAY})


def _routing(arrival: Arrival) -> Refused | None:
    if arrival.names_client:
        return Refused(
            Reason.ROUTING_FORBIDDEN_HEADER,
            "X-Caracal-Client-ID is not accepted: who calls is read from the mandate",
        )
    if not arrival.resource:
        return Refused(Reason.ROUTING_MISSING, "name the resource in X-Caracal-Resource")
    return None


def _claimed(claim: Claim) -> Refused:
    if claim is Claim.REPLAYED:
        return Refused(Reason.MANDATE_REPLAYED, "it was used before: mint one for each call")
    return Refused(
        Reason.MANDATE_PREDATES_START, "it was minted before the Gateway restarted: mint a new one"
    )


def _describe(incoming: IncomingCall, target: CallTarget) -> str:
    return f"{incoming.method} /{'/'.join(target.segments)}"
