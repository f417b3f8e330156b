"""Whatever is done in whatever order, the graph and a naive model of it agree after every step."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from caracal.authority.outcomes import Refused
from caracal.authority.sessions import Session
from tests.authority.naive_graph import NaiveDelegation, NaiveGraph, NaiveSession
from tests.authority.worlds import World

APPLICATIONS = ("alpha", "beta")
LIMITS = {
    "sessions_per_zone": 14,
    "sessions_per_application": 10,
    "children_per_session": 3,
    "depth": 3,
}


class GraphMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(**LIMITS)
        self.model = NaiveGraph()
        self.minted = []
        self.rows = {}

    @initialize(data=st.data())
    def two_trees(self, data):
        """Services of both applications with two levels below: something to hand on between."""
        for application in APPLICATIONS:
            top = self.start(application, None, service=True, ttl=0)
            middle = self.start(application, top, service=True, ttl=0)
            self.start(application, middle, service=False, ttl=200)
        for _ in range(data.draw(st.integers(0, 3))):
            self.delegate_anywhere(data, 200)
            self.delegate_onward(data)

    # Starting

    @rule(
        application=st.sampled_from(APPLICATIONS),
        service=st.booleans(),
        ttl=st.integers(5, 300),
    )
    def start_root(self, application, service, ttl):
        self.start(application, None, service=service, ttl=ttl)

    @rule(data=st.data(), service=st.booleans(), ttl=st.integers(5, 300))
    def start_child(self, data, service, ttl):
        parent = self.pick(data, sorted(self.model.sessions))
        self.start(parent.application_id, parent, service=service, ttl=ttl)

    def start(self, application, parent, *, service, ttl):
        world, model = self.world, self.model
        expected = self.start_is_allowed(application, parent, service)
        outcome = world.ask_start(
            application, parent, service=service, **({} if service else {"ttl": ttl})
        )
        assert isinstance(outcome, Refused) != expected, outcome
        if isinstance(outcome, Refused):
            return None
        world.apply(outcome)
        (session,) = outcome.sessions
        name = None if parent is None else parent.id
        ends = world.now + timedelta(seconds=120 if service else ttl)
        if not service and name is not None and not model.sessions[name].service:
            ends = min(ends, model.sessions[name].ends)
        held = [] if name is None else self.inheritable(name)
        model.sessions[session.id] = NaiveSession(name, application, service, ends)
        assert len(outcome.delegations) == len(held)
        for taken in outcome.delegations:
            before = model.delegations[held[0]]
            model.delegations[taken.id] = NaiveDelegation(
                held[0],
                name,
                session.id,
                before.scopes,
                max(1, before.hops - 1),
                before.ends,
                inherited=True,
            )
        self.rows[session.id] = session
        self.mint_and_compare(session, next(iter(outcome.delegations), None))
        return session

    def start_is_allowed(self, application, parent, service) -> bool:
        model, now = self.model, self.world.now
        holding = [
            row
            for row in model.sessions.values()
            if row.status != "ended"
            and ((row.service and row.status == "suspended") or now < row.ends)
        ]
        if len(holding) >= 14 or sum(row.application == application for row in holding) >= 10:
            return False
        if parent is None:
            return True
        if not model.live(parent.id, now) or len(model.above(parent.id)) > 3:
            return False
        above = model.sessions[parent.id]
        if sum(row.parent == parent.id for row in holding) >= 3:
            return False
        if not above.service and (service or above.ends - now < timedelta(seconds=1)):
            return False
        held = self.inheritable(parent.id)
        ever = any(row.target == parent.id for row in model.delegations.values())
        return len(held) == 1 or not (held or ever)

    def inheritable(self, name):
        """What a session received and could hand to a child: whole up to its root (S7)."""
        received = self.model.received(name, self.world.now)
        return [each for each in received if self.model.whole(each, self.world.now)]

    # Handing on

    def pick(self, data, names) -> Session | None:
        """Mostly one that has not ended."""
        present = [name for name in names if self.model.present(name)]
        some = present if present and data.draw(st.integers(0, 9)) else sorted(names)
        return self.rows[data.draw(st.sampled_from(some))] if some else None

    @rule(data=st.data(), ttl=st.integers(60, 300))
    def delegate_anywhere(self, data, ttl):
        names = sorted(self.model.sessions)
        source, receiver = self.pick(data, names), self.pick(data, names)
        self.delegate(
            source,
            receiver,
            data.draw(st.sampled_from(["read", "read write"])),
            hops=data.draw(st.integers(1, 4)),
            ends=self.world.now + timedelta(seconds=ttl),
            named=data.draw(st.booleans()),
        )

    @rule(data=st.data())
    def delegate_onward(self, data):
        """From a session that received something, within what it received."""
        model, now = self.model, self.world.now
        able = {row.target for name, row in model.delegations.items() if model.in_force(name, now)}
        source = self.pick(data, sorted(able))
        receiver = self.pick(data, sorted(model.sessions))
        held = [] if source is None else model.received(source.id, now)
        if held:
            parent = model.delegations[held[0]]
            hops = max(1, parent.hops - 1)
            self.delegate(source, receiver, "read", hops=hops, ends=parent.ends, named=True)

    def delegate(self, source, receiver, scopes, *, hops, ends, named):
        world, model = self.world, self.model
        held = model.received(source.id, world.now)
        parent = held[0] if held and (named or len(held) == 1) else None
        wanted = frozenset(scopes.split())
        expected = (
            source.id != receiver.id
            and model.live(source.id, world.now)
            and model.live(receiver.id, world.now)
            and not model.leads(receiver.id, source.id, world.now)
            and (bool(parent) or not held)
            and (parent is None or self.is_narrower(parent, wanted, hops, ends))
        )
        outcome = world.ask_delegate(
            source,
            receiver,
            scopes,
            hops=hops,
            expires_at=ends,
            parent_id=parent if named else None,
        )
        assert isinstance(outcome, Refused) != expected, outcome
        if isinstance(outcome, Refused):
            return
        (made,) = world.apply(outcome).delegations
        model.delegations[made.id] = NaiveDelegation(
            parent, source.id, receiver.id, wanted, hops, ends
        )
        self.mint_and_compare(receiver, made)

    def is_narrower(self, parent, scopes, hops, ends) -> bool:
        held = self.model.delegations[parent]
        return (
            self.model.whole(parent, self.world.now)
            and scopes <= held.scopes
            and hops < held.hops
            and ends <= held.ends
        )

    # Ending and pausing

    @rule(data=st.data())
    def kill(self, data):
        session = self.pick(data, sorted(self.model.sessions))
        present = self.model.present(session.id)
        outcome = self.world.graph.plan_end(session.id, reason="test", now=self.world.now)
        assert isinstance(outcome, Refused) != present
        if present:
            self.world.apply(outcome)
            self.model.end({session.id})

    @precondition(lambda self: self.model.delegations)
    @rule(data=st.data())
    def revoke(self, data):
        name = data.draw(st.sampled_from(sorted(self.model.delegations)))
        expected = self.model.in_force(name, self.world.now)
        outcome = self.world.graph.plan_revoke(name, reason="test", now=self.world.now)
        assert isinstance(outcome, Refused) != expected
        if expected:
            self.world.apply(outcome)
            self.model.revoke(name)

    @rule(data=st.data())
    def suspend_or_resume(self, data):
        session = self.pick(data, sorted(self.model.sessions))
        self.suspend(session)
        if data.draw(st.booleans()):
            self.resume(self.pick(data, sorted(self.model.sessions)))

    def suspend(self, session):
        expected = self.model.sessions[session.id].status == "active"
        outcome = self.world.graph.plan_suspend(session.id, reason="test", now=self.world.now)
        assert isinstance(outcome, Refused) != expected
        if expected:
            self.world.apply(outcome)
            self.model.suspend(session.id)
        else:
            self.resume(session)

    def resume(self, session):
        row, now = self.model.sessions[session.id], self.world.now
        expected = (
            row.status == "suspended"
            and (row.service or now < row.ends)
            and (row.parent is None or self.model.sessions[row.parent].status == "active")
        )
        outcome = self.world.graph.plan_resume(session.id, now=now)
        assert isinstance(outcome, Refused) != expected
        if expected:
            self.world.apply(outcome)
            self.model.resume(session.id, now)

    # Time

    @rule(seconds=st.integers(1, 40), sweeping=st.booleans())
    def wait(self, seconds, sweeping):
        self.world.later(seconds)
        if sweeping:
            changes = self.world.sweep()
            touched = [row.id for change in changes for row in change.sessions]
            assert len(touched) == len(set(touched)), "each row is changed once"
            self.model.sweep(self.world.now)

    @rule(data=st.data())
    def beat(self, data):
        session = self.pick(data, sorted(self.model.sessions))
        row, now = self.model.sessions[session.id], self.world.now
        expected = row.service and row.status != "ended" and now < row.ends
        outcome = self.world.beat(session)
        assert isinstance(outcome, Refused) != expected
        if expected:
            self.world.apply(outcome)
            row.ends = now + timedelta(seconds=120)

    # Mandates

    @rule(data=st.data())
    def mint(self, data):
        session = self.pick(data, sorted(self.model.sessions))
        if self.world.graph.session(session.id) is not None:
            for delegation in (None, *self.world.graph.inbound(session.id, self.world.now)):
                self.mint_and_compare(session, delegation)

    def mint_and_compare(self, session, delegation):
        model, now = self.model, self.world.now
        expected = model.live(session.id, now) and (
            delegation is None or model.whole(delegation.id, now)
        )
        outcome = self.world.hold(session, delegation)
        assert isinstance(outcome, Refused) != expected, outcome
        if expected:
            self.minted.append(self.world.mint(session, delegation))

    # What holds after every step

    @invariant()
    def the_same_sessions_are_in_the_same_state(self):
        for name, row in self.model.sessions.items():
            session = self.world.graph.session(name)
            assert (session.status.value if session else "ended") == row.status
            assert session is None or session.expires_at == row.ends

    @invariant()
    def the_same_delegations_are_in_force(self):
        graph, now = self.world.graph, self.world.now
        for name in self.model.sessions:
            inbound = {row.id for row in graph.inbound(name, now)}
            assert inbound == set(self.model.received(name, now))

    @invariant()
    def no_chain_outlives_or_outreaches_its_root(self):
        for name, row in self.model.delegations.items():
            made = self.world.graph.delegation(name)
            if made is None:
                continue
            path = self.model.path(name)
            assert list(made.path) == path
            root = self.model.delegations[path[0]]
            assert made.grant.scopes.scopes <= root.scopes
            assert made.grant.expires_at <= root.ends
            handed_on = [step for step in path if not self.model.delegations[step].inherited]
            assert len(handed_on) <= root.hops
            assert row.hops == made.grant.constraints.hops

    @invariant()
    def a_mandate_is_revoked_exactly_when_something_it_rests_on_fell(self):
        model, now = self.model, self.world.now
        for minted in self.minted:
            if minted.expires_at <= now:
                continue
            rests_on = {each for hop in minted.chain for each in model.above(hop.session_id)}
            rests_on.update(minted.session_path)
            fell = any(model.sessions[each].status != "active" for each in rests_on) or any(
                not model.delegations[each].active for each in minted.delegation_path
            )
            assert self.world.revoked(minted) == fell


GraphMachine.TestCase.settings = settings(stateful_step_count=40)
TestGraph = GraphMachine.TestCase
