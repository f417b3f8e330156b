"""A zone to act in, with a clock that moves when told to."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import Delegation
from caracal.authority.grants import Grant
from caracal.authority.graph import (
    CreateDelegation,
    GraphChange,
    GraphLimits,
    HeldAuthority,
    StartSession,
    ZoneGraph,
)
from caracal.authority.mandates import Mandate, MandateClass, SubjectType
from caracal.authority.outcomes import Refused
from caracal.authority.scopes import ScopeSet
from caracal.authority.sessions import Lifecycle, Session

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDERS = "https://orders.example"
STOCK = "https://stock.example"
DECLARED = ScopeSet.of("read", "write", "delete")

T = TypeVar("T")


def agreed(outcome: T | Refused) -> T:
    assert not isinstance(outcome, Refused), outcome
    return outcome


def grant(
    scopes="read",
    *,
    resources=frozenset({ORDERS}),
    hops=1,
    max_ttl=None,
    budget=None,
    ends=NOW + timedelta(minutes=10),
) -> Grant:
    return Grant(
        ScopeSet.parse(scopes),
        Constraints(None if resources is None else frozenset(resources), hops, max_ttl, budget),
        ends,
    )


class World:
    def __init__(self, **limits: int) -> None:
        self.graph = ZoneGraph("zone", GraphLimits(**limits))
        self.now = NOW
        self.made = count(1)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def apply(self, outcome: GraphChange | Refused) -> GraphChange:
        change = agreed(outcome)
        self.graph.apply(change)
        return change

    def ask_start(self, application="alpha", parent=None, **wanted) -> GraphChange | Refused:
        number = next(self.made)
        if wanted.pop("service", False):
            wanted["lifecycle"] = Lifecycle.SERVICE
        if isinstance(wanted.get("ttl"), int):
            wanted["ttl"] = timedelta(seconds=wanted["ttl"])
        request = StartSession(
            f"s{number:03}",
            f"i{number:03}",
            application,
            "record",
            parent_id=getattr(parent, "id", parent),
            **wanted,
        )
        return self.graph.plan_start(request, now=self.now)

    def start(self, application="alpha", parent=None, **wanted) -> Session:
        return self.apply(self.ask_start(application, parent, **wanted)).sessions[0]

    def ask_delegate(
        self, source: Session, target: Session, scopes="read", **wanted
    ) -> GraphChange | Refused:
        wanted.setdefault("resources", frozenset({ORDERS}))
        wanted.setdefault("declared", DECLARED)
        if "expires_at" not in wanted:
            wanted.setdefault("ttl", 600)
        for name in ("ttl", "max_ttl"):
            if wanted.get(name) is not None:
                wanted[name] = timedelta(seconds=wanted[name])
        request = CreateDelegation(
            f"d{next(self.made):03}",
            source.id,
            target.id,
            wanted.pop("issuer", source.application_id),
            wanted.pop("receiver", target.application_id),
            ScopeSet.parse(scopes),
            **wanted,
        )
        return self.graph.plan_delegate(request, now=self.now)

    def delegate(self, source: Session, target: Session, scopes="read", **wanted) -> Delegation:
        return self.apply(self.ask_delegate(source, target, scopes, **wanted)).delegations[0]

    def hold(
        self, session: Session, delegation: Delegation | None = None
    ) -> HeldAuthority | Refused:
        return self.graph.authority(
            application_id=session.application_id,
            session_id=session.id,
            delegation_id=None if delegation is None else delegation.id,
            now=self.now,
        )

    def mint(self, session: Session, delegation: Delegation | None = None) -> Mandate:
        return mandate(agreed(self.hold(session, delegation)), now=self.now)

    def status(self, session: Session) -> str:
        row = self.graph.session(session.id)
        return "ended" if row is None else row.status.value

    def end(self, session: Session, reason="requested") -> GraphChange:
        return self.apply(self.graph.plan_end(session.id, reason=reason, now=self.now))

    def suspend(self, session: Session, reason="requested") -> GraphChange:
        return self.apply(self.graph.plan_suspend(session.id, reason=reason, now=self.now))

    def resume(self, session: Session) -> GraphChange:
        return self.apply(self.graph.plan_resume(session.id, now=self.now))

    def revoke(self, delegation: Delegation, reason="requested") -> GraphChange:
        return self.apply(self.graph.plan_revoke(delegation.id, reason=reason, now=self.now))

    def sweep(self, limit=1000) -> tuple[GraphChange, ...]:
        changes = self.graph.plan_sweep(now=self.now, limit=limit)
        for change in changes:
            self.graph.apply(change)
        return changes

    def beat(self, session: Session, generation=1) -> GraphChange | Refused:
        return self.graph.plan_heartbeat(
            session.id, generation=generation, health="healthy", now=self.now
        )

    def revoked(self, minted: Mandate) -> bool:
        return self.graph.revocations.covering(minted) is not None


def mandate(held: HeldAuthority, *, now: datetime) -> Mandate:
    return Mandate(
        id=f"m-{held.session.id}",
        zone_id="zone",
        mandate_class=MandateClass.GATEWAY,
        issuer="https://caracal.example",
        subject=held.session.application_id,
        subject_type=SubjectType.APPLICATION,
        application_id=held.session.application_id,
        audience=("gateway",),
        scopes=ScopeSet.of("read"),
        resources=(ORDERS,),
        record=f"record-{held.session.id}",
        root_record="root-record",
        issued_at=now,
        expires_at=held.expires_at,
        session_path=held.session_path,
        delegation_path=() if held.delegation is None else held.delegation.path,
        chain=held.chain,
    )
