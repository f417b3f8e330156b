"""May this call pass? The checks, in their order; the first that fails is the answer.

Order: bearer, its shape, routing headers, path, zone, signature and claims, remaining life, revocation of
what holders narrowed, single use, the message (for MCP servers), revocation, then the decision (liveness,
resource, operation, scopes, policy). A call that passes is recorded, durably, before anything is sent
upstream.

Until a call has spent its mandate nobody is known to stand behind it, or somebody stands behind it a
second time: such refusals are recorded within bounds, and never make anybody wait for the disk.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from caracal.authority.admission import AdmittedCall, Call, decide_admission
from caracal.authority.events import Entry
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.mcp import McpRequest, ResourceKind
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.tool_pins import Definition
from caracal.authority.zones import Zone
from caracal.tokens.jws import RawToken
from caracal.tokens.links import is_chain, split_chain
from caracal.tokens.mandates import unverified_routing, verify_chain, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal.wire.errors import WireError
from caracal.wire.paths import CallTarget, parse_target
from caracal_server.gateway import entries
from caracal_server.gateway.addressing import Address
from caracal_server.gateway.arrival import Arrival, Headers
from caracal_server.gateway.caller import Body
from caracal_server.gateway.definitions import Definitions
from caracal_server.gateway.inspection import inspect
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.passages import refused_by
from caracal_server.gateway.results import Results
from caracal_server.gateway.server_sessions import ServerSessions
from caracal_server.gateway.settings import GatewaySettings
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import MintedMandates, VerifyingKeys
from caracal_server.ports.peers import LiveAuthority
from caracal_server.ports.single_use import Claim, SingleUse
from caracal_server.ports.upstream import UpstreamResponse
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.web.receipts import RecordedRefusal
from caracal_server.web.refusals import UnprovenRefusals

_GATEWAY_ONLY: Final = frozenset({MandateClass.GATEWAY})
_ACCESS_ONLY: Final = frozenset({MandateClass.ACCESS})


class IncomingCall(msgspec.Struct, frozen=True):
    """A call before anything about it is believed.

    Attributes:
        address: the MCP server that its URL names; `None` when a header names the resource.
    """

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    request_id: str
    arrival: Arrival
    address: Address | None = None


class Admission(msgspec.Struct, frozen=True):
    """A call that may go upstream, the `entry` that has it on record, and the reference to that."""

    admitted: AdmittedCall
    target: CallTarget
    entry: Entry
    receipt: str = ""


class _Opened(msgspec.Struct, frozen=True):
    """A call whose mandate is proven and whose path is safe."""

    zone: Zone
    mandate: Mandate
    target: CallTarget


class _Stopped(msgspec.Struct, frozen=True):
    """A call that came no further, and what had been proven by then."""

    refused: Refused
    zone: Zone | None = None
    mandate: Mandate | None = None
    target: CallTarget | None = None


@dataclass(slots=True)
class Enforcement:
    """Admits or refuses calls."""

    settings: GatewaySettings
    clock: Clock
    directory: ZoneDirectory
    keys: VerifyingKeys
    minted: MintedMandates
    single_use: SingleUse
    authority: LiveAuthority
    evidence: EvidenceLog
    metrics: GatewayMetrics
    definitions: Definitions
    _results: Results = field(init=False)
    _unproven: UnprovenRefusals = field(init=False)
    _sessions: ServerSessions = field(default_factory=ServerSessions, init=False)

    def __post_init__(self) -> None:
        self._results = Results(self.clock, self.evidence, self.metrics)
        self._unproven = UnprovenRefusals(self.evidence, self.clock, self.metrics.unrecorded)

    async def admit(
        self, incoming: IncomingCall, body: Body | None = None
    ) -> Admission | Refused | RecordedRefusal:
        """Decide and record; of a message to an MCP server all of the `body` is taken first.

        Raises:
            Unavailable: something needed can not be reached, or the decision can not be recorded; the
                call must not go upstream.
        """
        now = self.clock.now()
        opened = self._open(incoming, now=now)
        if isinstance(opened, _Stopped):
            return self._turn_away(incoming, opened)
        zone, mandate, target = opened.zone, opened.mandate, opened.target
        claim = Claim.FIRST
        if incoming.address is None:
            claim = await self.single_use.claim(mandate, now=now)
        if claim is not Claim.FIRST:
            return self._turn_away(incoming, _Stopped(_claimed(claim), zone, mandate, target))
        call = Call(incoming.arrival.resource, incoming.method, target.segments)
        outcome: AdmittedCall | Refused | None = None
        if _is_mcp(zone, incoming):
            read = await inspect(
                incoming.method, target, incoming.headers, body, self.settings.max_inspected_bytes
            )
            if isinstance(read, Refused):
                outcome = read
            else:
                call = Call.to_mcp(incoming.arrival.resource, read)
            # The body may have been slow: what has changed meanwhile counts.
            now, current = self.clock.now(), self.directory.zone(zone.id)
            outcome = outcome or self._expiring(mandate, now)
            if current is None:
                outcome = Refused(Reason.MANDATE_ZONE, "no such zone here")
            else:
                zone = current
        outcome = outcome or self._decide(zone, mandate, call, now=now)
        if isinstance(outcome, AdmittedCall) and call.mcp is not None:
            outcome = self._sessions.claim(outcome, incoming.headers) or outcome
        if isinstance(outcome, Refused):
            return await self._refuse(incoming, zone, mandate, call, outcome)
        entry = entries.allowed(
            incoming.request_id, zone, outcome, at=self.clock.now_us(), query=incoming.query
        )
        receipt = await self._record(entry)
        return Admission(outcome, target, entry, receipt)

    def would_admit(self, admission: Admission, request: McpRequest) -> bool:
        """Whether the caller of an admitted call would be allowed another at the same MCP server, now."""
        mandate = admission.admitted.mandate
        zone = self.directory.zone(mandate.zone_id)
        if zone is None:
            return False
        call = Call.to_mcp(admission.admitted.resource.identifier, request)
        outcome = self._decide(zone, mandate, call, now=self.clock.now())
        return isinstance(outcome, AdmittedCall)

    def saw(self, admission: Admission, listed: tuple[Definition, ...]) -> Collection[str]:
        """Take note of the tools in the answer to an admitted call; returns those not to be shown."""
        zone = self.directory.zone(admission.admitted.mandate.zone_id)
        if zone is None:
            return tuple(one.tool for one in listed)
        return self.definitions.see(zone, admission.entry, admission.admitted, listed)

    def answered(self, admission: Admission, response: UpstreamResponse) -> None:
        """Take note of what an answer begins."""
        if admission.admitted.call.mcp is not None:
            self._sessions.answered(admission.admitted, response.status, response.headers)

    async def _refuse(
        self, incoming: IncomingCall, zone: Zone, mandate: Mandate, call: Call, refused: Refused
    ) -> RecordedRefusal:
        entry = entries.refused(
            incoming.request_id,
            zone,
            mandate,
            incoming.arrival.resource,
            call.name,
            refused,
            at=self.clock.now_us(),
            arguments=entries.arguments_of(call.mcp, incoming.query),
        )
        values = entries.values_of(zone.resource(call.resource), call.mcp)
        recorded = await self.evidence.append(
            msgspec.structs.replace(entry, argument_values=values)
        )
        return RecordedRefusal(refused, recorded.reference)

    async def _record(self, entry: Entry) -> str:
        try:
            return (await self.evidence.append(entry)).reference
        except BaseException as fault:
            # It may be on record all the same: then its result says that nothing was sent.
            self._results.record(entry, Refused(_reason(fault), "nothing was sent"))
            raise

    def _open(self, incoming: IncomingCall, *, now: datetime) -> _Opened | _Stopped:
        """From bytes to a proven mandate and a safe path, or how far it came and why not."""
        arrival = incoming.arrival
        bearer = arrival.bearer
        if bearer is None:
            return _Stopped(Refused(Reason.MANDATE_MISSING, "send Authorization: Bearer <mandate>"))
        zone: Zone | None = None
        target: CallTarget | None = None
        address = incoming.address
        known = self.minted.recall(bearer) if address is None else None
        raw = RawToken(bearer)
        try:
            chained = known is None and address is None and is_chain(bearer)
            first = split_chain(raw)[0] if chained else raw
            zone_id = unverified_routing(first).zone_id if known is None else known.zone_id
            zone = self.directory.zone(zone_id)
            routing = _routing(arrival)
            if routing is not None:
                return _Stopped(routing, zone)
            target = parse_target(incoming.raw_path, incoming.query)
            keys = self.keys.key_set(zone_id)
            if zone is None or keys is None:
                return _Stopped(Refused(Reason.MANDATE_ZONE, "no such zone here"), zone)
            prove = verify_chain if chained else verify_mandate
            mandate = (
                known
                or prove(
                    raw,
                    keys=keys,
                    issuer=self.settings.issuer,
                    zone_id=zone_id,
                    mandate_classes=_GATEWAY_ONLY if address is None else _ACCESS_ONLY,
                    audience=self.settings.issuer if address is None else address.url,
                    now=now,
                ).mandate
            )
        except WireError as error:
            return _Stopped(Refused(error.reason, error.description), zone)
        except TokenRefused as error:
            return _Stopped(Refused(error.reason, error.detail), zone, None, target)
        if address is not None and address.zone.id != zone_id:
            return _Stopped(Refused(Reason.MANDATE_ZONE, "it is of another zone"), zone)
        refused = self._expiring(mandate, now) or self._ended(mandate)
        if refused is not None:
            return _Stopped(refused, zone, mandate, target)
        return _Opened(zone, mandate, target)

    def _expiring(self, mandate: Mandate, now: datetime) -> Refused | None:
        if mandate.expires_at - now >= self.settings.minimum_remaining:
            return None
        seconds = self.settings.minimum_remaining.total_seconds()
        return Refused(
            Reason.MANDATE_EXPIRING, f"it expires within {seconds:.0f} s: mint one for each call"
        )

    def _ended(self, mandate: Mandate) -> Refused | None:
        """Why nothing narrowed from this counts any more.

        A holder makes chains without asking anybody, also after the end of what they descend from:
        they are turned away before they are spent, and recorded within bounds.
        """
        revocation = self.authority.revocation(mandate) if mandate.origins else None
        return None if revocation is None else refused_by(revocation)

    def _decide(
        self, zone: Zone, mandate: Mandate, call: Call, *, now: datetime
    ) -> AdmittedCall | Refused:
        revocation = self.authority.revocation(mandate)
        if revocation is not None:
            return refused_by(revocation)
        if mandate.session_id is None:
            return Refused(Reason.SESSION_NOT_LIVE, "the mandate names no session")
        session = self.authority.session(mandate.zone_id, mandate.session_id)
        if call.mcp is not None:
            zone = self.definitions.over(zone)
        return decide_admission(zone, mandate, session, call, now=now)

    def _turn_away(self, incoming: IncomingCall, stopped: _Stopped) -> Refused:
        """Record a refusal in the zone it claims; without a zone there is no log to write to."""
        if stopped.zone is not None:
            self._unproven.record(
                entries.refused(
                    incoming.request_id,
                    stopped.zone,
                    stopped.mandate,
                    incoming.arrival.resource,
                    _operation(incoming, stopped.target),
                    stopped.refused,
                    at=self.clock.now_us(),
                    arguments=entries.arguments_of(None, incoming.query),
                )
            )
        return stopped.refused


def _is_mcp(zone: Zone, incoming: IncomingCall) -> bool:
    resource = zone.resource(incoming.arrival.resource)
    return resource is not None and resource.kind is ResourceKind.MCP


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


def _reason(fault: BaseException) -> Reason:
    if isinstance(fault, Unavailable):
        return fault.reason
    return Reason.INTERNAL if isinstance(fault, Exception) else Reason.DRAINING


def _operation(incoming: IncomingCall, target: CallTarget | None) -> str:
    if target is None:
        return incoming.method
    return f"{incoming.method} /{'/'.join(target.segments)}"
