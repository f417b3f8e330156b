"""Making and revoking delegations."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from caracal.authority.delegation import Delegation
from caracal.authority.delegation_rules import revoked
from caracal.authority.events import Kind
from caracal.authority.graph import CreateDelegation, GraphChange, ZoneGraph
from caracal.authority.held_authority import UNKNOWN_DELEGATION
from caracal.authority.identifiers import DelegationId
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Resource
from caracal.authority.revocation import AnchorKind, Revocation
from caracal.authority.scopes import ScopeSet
from caracal.authority.zones import Zone
from caracal.evidence.canonical import JsonValue
from caracal.wire.delegations import (
    CreateDelegationBody,
    render_created_delegation,
    render_revoked,
)
from caracal_server.coordinator import entries
from caracal_server.coordinator.callers import OPERATOR, Caller, OperatorCaller, owns
from caracal_server.coordinator.commitment import Undo
from caracal_server.coordinator.coordination import REQUESTED, Coordination
from caracal_server.coordinator.entries import Act, Asked
from caracal_server.coordinator.idempotency import (
    Answered,
    Draft,
    IdempotencyKey,
    IdempotencyReceipts,
    Operation,
)
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem

NOT_STORED = "creation_not_stored"
"""Why a delegation was revoked that could not be recorded and stored."""

_OPERATION = "delegation.create.v2"
_OK = 200
_CREATED = 201
_NOT_ISSUER = Refused(Reason.DELEGATION_ISSUER_FOREIGN, "another application is the issuer")
_DISAGREE = Refused(
    Reason.REQUEST_MALFORMED, "resource_id and constraints.resources name different resources"
)


@dataclass(frozen=True, slots=True)
class Delegate:
    """An application hands a grant from a session of its own to another session."""

    coordination: Coordination
    receipts: IdempotencyReceipts

    async def __call__(
        self, act: Act, caller: Caller, body: CreateDelegationBody, key: IdempotencyKey | None
    ) -> Answered | Problem:
        """Make it, or answer as the first time the key was used.

        Raises:
            Unavailable: it could not be recorded or stored; nothing was delegated.
        """
        resources = self._check(act, caller, body)
        outcome: Answered | Refused
        if isinstance(resources, Refused):
            outcome = resources
        else:
            outcome = await self.receipts.once(
                Operation(act.zone_id, _OPERATION, body.issuer),
                key,
                lambda: _request(caller, body),
                now=act.at,
                live=lambda row: self._is_live(act, DelegationId(row)),
                make=lambda draft: self._delegate(act, caller, body, resources, draft),
            )
        if isinstance(outcome, Answered):
            return outcome
        variant = Variant.DELEGATION_RESOURCE_MISMATCH if outcome is _DISAGREE else None
        return await self.coordination.refuse(
            act, Kind.DELEGATION_CREATE, outcome, _asked(body), variant
        )

    def _check(
        self, act: Act, caller: Caller, body: CreateDelegationBody
    ) -> tuple[Resource, ...] | Refused:
        if body.expires_at is None and body.ttl is None:
            return Refused(Reason.DELEGATION_EXPIRY_MISSING, "state expires_at or ttl_seconds")
        if not owns(caller, body.issuer):
            return _NOT_ISSUER
        zone = self.coordination.directory.zone(act.zone_id)
        if zone is None:
            return Refused(Reason.ZONE_UNKNOWN, f"there is no zone {act.zone_id}")
        receiver = zone.applications.get(body.receiver)
        if receiver is None or not receiver.usable(act.at):
            return Refused(Reason.CLIENT_UNKNOWN, "the receiving application is not usable")
        return _resources(zone, body)

    async def _delegate(
        self,
        act: Act,
        caller: Caller,
        body: CreateDelegationBody,
        resources: tuple[Resource, ...],
        draft: Draft | None,
    ) -> Answered | Refused:
        parts = self.coordination
        parts.commitment.require_settled()
        graph = parts.graph(act.zone_id)
        act = replace(act, at=parts.clock.now())
        wanted = self._wanted(caller, body, resources)
        change = graph.plan_delegate(wanted, now=act.at)
        if isinstance(change, Refused):
            return change
        delegation = change.delegations[0]
        answer = Answered(_CREATED, render_created_delegation(delegation))
        recorded = await parts.commitment.give(
            act.zone_id,
            change,
            entries.delegated(act, delegation),
            lambda: self._undo(act, graph, delegation),
            None if draft is None else draft.receipt(answer, delegation.id),
        )
        return replace(answer, receipt=recorded.reference)

    def _wanted(
        self, caller: Caller, body: CreateDelegationBody, resources: tuple[Resource, ...]
    ) -> CreateDelegation:
        return CreateDelegation(
            id=DelegationId(self.coordination.entropy.new_id()),
            source=body.source,
            target=body.target,
            issuer=body.issuer,
            receiver=body.receiver,
            scopes=body.scopes,
            resources=frozenset(row.identifier for row in resources) or None,
            declared=_declared(resources),
            hops=body.max_hops,
            expires_at=body.expires_at,
            ttl=body.ttl,
            max_ttl=body.max_ttl,
            budget=body.budget,
            reason=body.broad_reason,
            may_be_broad=isinstance(caller, OperatorCaller),
            parent_id=body.parent_edge_id,
        )

    def _undo(self, act: Act, graph: ZoneGraph, delegation: Delegation) -> Undo:
        """Take back this delegation alone: the session that received it did nothing to end for."""
        at = self.coordination.clock.now()
        live = graph.delegation(delegation.id)
        change = GraphChange() if live is None else _withdrawn(graph, live, at)
        entry = entries.revoked(replace(act, at=at), delegation, change, reason=NOT_STORED)
        return Undo(change, entry)

    def _is_live(self, act: Act, delegation_id: DelegationId) -> bool:
        row = self.coordination.graph(act.zone_id).delegation(delegation_id)
        return row is not None and row.live(self.coordination.clock.now())


@dataclass(frozen=True, slots=True)
class Revoke:
    """The issuer, or an operator, ends a delegation and all that rests on it."""

    coordination: Coordination

    async def __call__(
        self, act: Act, caller: Caller, delegation_id: DelegationId
    ) -> Answered | Problem:
        """Revoke it.

        Raises:
            Unavailable: it is revoked, and that is not recorded or not stored yet.
        """
        commitment = self.coordination.commitment
        owed = commitment.owes(act.zone_id, Kind.DELEGATION_REVOKE, delegation_id)
        if owed is not None and owns(caller, owed.change.delegations[0].issuer):
            await commitment.settle_everywhere()
            return _revocation_answer(owed.change)
        graph = self.coordination.graph(act.zone_id)
        delegation = graph.delegation(delegation_id)
        if delegation is None:
            return await self._refuse(act, delegation_id, UNKNOWN_DELEGATION)
        if not owns(caller, delegation.issuer):
            return await self._refuse(act, delegation_id, _NOT_ISSUER)
        change = graph.plan_revoke(delegation_id, reason=REQUESTED, now=act.at)
        if isinstance(change, Refused):
            return await self._refuse(act, delegation_id, change)
        entry = entries.revoked(act, delegation, change, reason=REQUESTED)
        recorded = await commitment.take(act.zone_id, change, entry)
        return replace(_revocation_answer(change), receipt=recorded.reference)

    async def _refuse(self, act: Act, delegation_id: DelegationId, refused: Refused) -> Problem:
        asked = Asked(delegations=(delegation_id,), target=delegation_id)
        return await self.coordination.refuse(act, Kind.DELEGATION_REVOKE, refused, asked)


def _revocation_answer(change: GraphChange) -> Answered:
    records = {session.record for session in change.sessions}
    body = render_revoked(
        delegations=len(change.delegations),
        records=len(records),
        sessions=len(change.sessions),
    )
    return Answered(_OK, body)


def _withdrawn(graph: ZoneGraph, delegation: Delegation, at: datetime) -> GraphChange:
    anchor = Revocation(AnchorKind.DELEGATION, delegation.id, at, NOT_STORED)
    return GraphChange((), (revoked(delegation, at),), (anchor,), epoch=graph.epoch + 1)


def _resources(zone: Zone, body: CreateDelegationBody) -> tuple[Resource, ...] | Refused:
    """The resources named; none when none was, which asks for a broad grant."""
    named = sorted(body.resources or ())
    found = [*_find(zone, named)]
    if body.resource_id is not None:
        one = zone.resource(body.resource_id)
        if one is None:
            return _no_resource(body.resource_id)
        if named and found != [one]:
            return _DISAGREE
        return (one,)
    missing = next((name for name, row in zip(named, found, strict=True) if row is None), None)
    if missing is not None:
        return _no_resource(missing)
    return tuple(row for row in found if row is not None)


def _find(zone: Zone, names: Iterable[str]) -> Iterable[Resource | None]:
    return (zone.resource(name) for name in names)


def _no_resource(name: str) -> Refused:
    return Refused(Reason.RESOURCE_UNKNOWN, f"the zone has no resource {name!r}")


def _declared(resources: tuple[Resource, ...]) -> ScopeSet:
    return ScopeSet(frozenset(scope for row in resources for scope in row.scopes))


def _asked(body: CreateDelegationBody) -> Asked:
    named = {*(body.resources or ()), *filter(None, (body.resource_id,))}
    return Asked(
        session=body.source,
        delegations=tuple(filter(None, (body.parent_edge_id,))),
        resources=tuple(sorted(named)),
        scopes=body.scopes,
        target=body.target,
    )


def _request(caller: Caller, body: CreateDelegationBody) -> JsonValue:
    """What makes two requests the same; not the mandate, which a repeated request may have renewed."""
    return {
        "caller": OPERATOR if isinstance(caller, OperatorCaller) else caller.application.id,
        "source": body.source,
        "target": body.target,
        "issuer": body.issuer,
        "receiver": body.receiver,
        "parent_edge_id": body.parent_edge_id,
        "resource_id": body.resource_id,
        "scopes": body.scopes.render(),
        "resources": None if body.resources is None else sorted(body.resources),
        "max_hops": body.max_hops,
        "ttl_seconds": None if body.ttl is None else int(body.ttl.total_seconds()),
        "max_ttl_seconds": None if body.max_ttl is None else int(body.max_ttl.total_seconds()),
        "expires_at": None if body.expires_at is None else body.expires_at.isoformat(),
        "budget": body.budget,
        "broad_reason": body.broad_reason,
    }
