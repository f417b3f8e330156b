"""The life of a session: rules S1 to S10 of docs/delegation.md."""

from datetime import timedelta
from itertools import product

import pytest

from caracal.authority.graph import GraphLimits, ParentAuthority, ZoneGraph
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.revocation import AnchorKind
from caracal.authority.session_rules import illegal
from caracal.authority.sessions import (
    LEASE,
    TRANSITIONS,
    Event,
    Session,
    Status,
    next_status,
)
from tests.authority.worlds import NOW, World


@pytest.fixture
def world():
    return World()


def refused(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


class TestStates:
    def test_nothing_leaves_a_session_that_ended(self):
        for event in Event:
            assert next_status(Status.TERMINATED, event) is None
            assert next_status(Status.EXPIRED, event) is None

    @pytest.mark.parametrize(("status", "event"), list(product(Status, Event)))
    def test_every_pair_that_is_not_in_the_table_is_refused(self, status, event):
        session = Session("s", "z", "a", ("s",), "r", "task", (), status, NOW, timedelta(hours=1))
        refusal = illegal(session, event)
        assert (refusal is None) == ((status, event) in TRANSITIONS)
        if refusal is not None:
            resuming = event is Event.RESUME
            assert refusal.reason is (
                Reason.SESSION_NOT_SUSPENDED if resuming else Reason.SESSION_NOT_LIVE
            )

    def test_a_session_without_ttl_and_lease_was_never_live(self):
        session = Session("s", "z", "a", ("s",), "r", "task", (), Status.ACTIVE, NOW, None)
        assert not session.live(NOW)


class TestStarting:
    def test_a_task_lives_an_hour_unless_told_otherwise(self, world):
        assert world.start().expires_at == NOW + timedelta(hours=1)
        assert world.start(ttl=60).expires_at == NOW + timedelta(seconds=60)

    def test_a_service_lives_by_its_lease(self, world):
        service = world.start(service=True)
        assert (service.ttl, service.lease_generation) == (None, 1)
        assert service.expires_at == NOW + LEASE

    def test_what_was_asked_for_is_in_the_session(self, world):
        parent = world.start(service=True)
        child = world.start(parent=parent, labels=("x", "y"), metadata='{"task":"sum"}')
        assert (child.labels, child.metadata) == (("x", "y"), '{"task":"sum"}')
        assert (child.parent_id, child.depth) == (parent.id, 1)
        assert child.path == (parent.id, child.id)
        assert (child.zone_id, child.record, child.lease_generation) == ("zone", "record", 0)
        assert parent.parent_id is None
        assert world.graph.children(parent.id) == (child,)

    @pytest.mark.parametrize(
        "wanted",
        [
            {"labels": ("x",) * 33},
            {"labels": ("",)},
            {"labels": ("x" * 65,)},
            {"ttl": 0},
            {"ttl": 86_401},
            {"ttl": timedelta(milliseconds=999)},
            {"ttl": 60, "service": True},
        ],
    )
    def test_a_request_out_of_bounds_is_malformed(self, world, wanted):
        assert refused(world.ask_start(**wanted)) is Reason.REQUEST_MALFORMED

    @pytest.mark.parametrize("wanted", [{"labels": ("x" * 64,) * 32}, {"ttl": 1}, {"ttl": 86_400}])
    def test_the_bounds_themselves_are_allowed(self, world, wanted):
        assert world.start(**wanted)

    def test_an_id_is_used_once(self, world):
        first = world.start()
        world.end(first)
        world.made = iter([1])
        with pytest.raises(ValueError, match="used in this zone before"):
            world.ask_start()

    def test_a_task_under_a_task_ends_no_later_than_it(self, world):
        parent = world.start(ttl=100)
        world.later(40.5)
        assert world.start(parent=parent, ttl=30).ttl == timedelta(seconds=30)
        child = world.start(parent=parent)
        assert child.ttl == timedelta(seconds=59), "whole seconds, never beyond"
        assert child.expires_at <= parent.expires_at

    def test_a_task_under_a_service_has_its_own_time(self, world):
        parent = world.start(service=True)
        assert world.start(parent=parent, ttl=3000).ttl == timedelta(seconds=3000)

    def test_a_task_in_its_last_second_has_no_children_any_more(self, world):
        parent = world.start(ttl=10)
        world.later(9.5)
        assert refused(world.ask_start(parent=parent)) is Reason.SESSION_PARENT_UNKNOWN

    def test_the_parent_is_a_live_session_of_the_same_application(self, world):
        parent = world.start("alpha", service=True)
        assert refused(world.ask_start(parent="nobody")) is Reason.SESSION_PARENT_UNKNOWN
        assert refused(world.ask_start("beta", parent)) is Reason.SESSION_PARENT_FOREIGN
        world.suspend(parent)
        assert refused(world.ask_start(parent=parent)) is Reason.SESSION_PARENT_UNKNOWN
        world.end(parent)
        assert refused(world.ask_start(parent=parent)) is Reason.SESSION_PARENT_UNKNOWN

    def test_a_session_is_not_live_when_one_above_it_is_not(self, world):
        top = world.start(service=True)
        below = world.start(parent=top)
        world.later(LEASE.total_seconds())
        assert world.graph.session(below.id).live(world.now)
        assert refused(world.hold(below)) is Reason.SESSION_NOT_LIVE
        assert refused(world.ask_start(parent=below)) is Reason.SESSION_PARENT_UNKNOWN

    def test_a_task_starts_no_service(self, world):
        task, service = world.start(), world.start(service=True)
        outcome = world.ask_start(parent=task, service=True)
        assert refused(outcome) is Reason.SESSION_SERVICE_UNDER_TASK
        assert world.start(parent=service, service=True).depth == 1


class TestLimits:
    def test_the_zone_is_full_until_something_ends(self):
        world = World(sessions_per_zone=2)
        first, _ = world.start("alpha"), world.start("beta")
        assert refused(world.ask_start("gamma")) is Reason.SESSION_LIMIT_ZONE
        world.end(first)
        assert world.start("gamma")

    def test_each_application_has_its_own_limit(self):
        world = World(sessions_per_application=2)
        world.start(), world.start()
        assert refused(world.ask_start()) is Reason.SESSION_LIMIT_APPLICATION
        assert world.start("beta")

    def test_a_session_has_a_limit_of_children(self):
        world = World(children_per_session=2)
        parent = world.start(service=True)
        first, _ = world.start(parent=parent), world.start(parent=parent)
        assert refused(world.ask_start(parent=parent)) is Reason.SESSION_LIMIT_CHILDREN
        world.end(first)
        assert world.start(parent=parent)

    def test_the_tree_has_a_limit_of_depth(self):
        world = World(depth=2)
        leaf = world.start(parent=world.start(parent=world.start()))
        assert leaf.depth == 2
        assert refused(world.ask_start(parent=leaf)) is Reason.SESSION_LIMIT_DEPTH

    @pytest.mark.parametrize(
        "limit", ["sessions_per_zone", "sessions_per_application", "children_per_session"]
    )
    def test_what_has_lapsed_holds_no_capacity_though_nobody_swept(self, limit):
        world = World(**{limit: 3})
        top = world.start(service=True)
        tasks = [world.start(parent=top, ttl=60) for _ in range(2)]
        if limit == "children_per_session":
            world.start(parent=top)
        assert isinstance(world.ask_start(parent=top), Refused)
        world.later(60)
        assert world.start(parent=top)
        assert [world.status(task) for task in tasks] == ["active", "active"]

    def test_a_lapsed_session_of_another_application_makes_no_room(self):
        world = World(sessions_per_application=1)
        world.start("beta", ttl=10)
        world.start("alpha")
        world.later(10)
        assert refused(world.ask_start("alpha")) is Reason.SESSION_LIMIT_APPLICATION
        assert world.start("beta")

    def test_a_suspended_service_keeps_its_place(self):
        world = World(sessions_per_zone=1)
        service = world.start(service=True)
        world.suspend(service)
        world.later(1000)
        assert refused(world.ask_start()) is Reason.SESSION_LIMIT_ZONE
        assert world.graph.session(service.id).holds_capacity(world.now)

    def test_a_suspended_task_loses_its_place_with_its_time(self):
        world = World(sessions_per_zone=1)
        task = world.start(ttl=60)
        world.suspend(task)
        assert refused(world.ask_start()) is Reason.SESSION_LIMIT_ZONE
        world.later(60)
        assert world.start()

    @pytest.mark.parametrize(
        "field", ["sessions_per_zone", "sessions_per_application", "children_per_session", "depth"]
    )
    def test_a_limit_is_positive(self, field):
        with pytest.raises(ValueError, match="at least 1"):
            GraphLimits(**{field: 0})

    def test_no_tree_is_deeper_than_ten(self):
        assert GraphLimits().depth == 10
        with pytest.raises(ValueError, match="at most 10"):
            GraphLimits(depth=11)


class TestSuspending:
    def test_the_tree_below_is_suspended_and_resumes_with_it(self, world):
        top = world.start(service=True)
        middle = world.start(parent=top, service=True)
        leaf = world.start(parent=middle)
        held = world.mint(leaf)
        world.suspend(top)
        assert [world.status(row) for row in (top, middle, leaf)] == ["suspended"] * 3
        assert world.revoked(held)
        assert refused(world.hold(leaf)) is Reason.SESSION_NOT_LIVE
        world.later(500)
        world.resume(top)
        assert [world.status(row) for row in (top, middle, leaf)] == ["active"] * 3
        assert not world.revoked(held)
        for service in (top, middle):
            assert world.graph.session(service.id).lease_expires_at == world.now + LEASE
        assert world.hold(leaf).session.id == leaf.id

    def test_resuming_the_parent_leaves_a_child_that_was_suspended_for_itself(self, world):
        top = world.start(service=True)
        child = world.start(parent=top, service=True)
        leaf = world.start(parent=child)
        held = world.mint(leaf)
        world.suspend(child)
        change = world.suspend(top)
        assert [row.id for row in change.sessions] == [top.id]
        assert world.resume(top).lifted == ((AnchorKind.SESSION, top.id),)
        assert [world.status(row) for row in (top, child, leaf)] == [
            "active",
            "suspended",
            "suspended",
        ]
        assert world.revoked(held)
        world.resume(child)
        assert world.status(leaf) == "active"
        assert not world.revoked(held)

    def test_a_child_does_not_resume_under_a_suspended_parent(self, world):
        top = world.start(service=True)
        child = world.start(parent=top)
        world.suspend(top)
        outcome = world.graph.plan_resume(child.id, now=world.now)
        assert refused(outcome) is Reason.SESSION_NOT_LIVE

    def test_the_time_of_a_task_runs_on_while_it_is_suspended(self, world):
        top = world.start(service=True)
        short, long = world.start(parent=top, ttl=60), world.start(parent=top, ttl=600)
        world.suspend(top)
        world.later(60)
        world.resume(top)
        assert world.status(short) == "suspended"
        assert world.status(long) == "active"
        outcome = world.graph.plan_resume(short.id, now=world.now)
        assert refused(outcome) is Reason.SESSION_NOT_LIVE
        assert [row.status for row in world.sweep()[0].sessions] == [Status.EXPIRED]

    def test_only_an_active_one_is_suspended_and_only_a_suspended_one_resumed(self, world):
        session = world.start()
        outcome = world.graph.plan_resume(session.id, now=world.now)
        assert refused(outcome) is Reason.SESSION_NOT_SUSPENDED
        world.suspend(session)
        outcome = world.graph.plan_suspend(session.id, reason="again", now=world.now)
        assert refused(outcome) is Reason.SESSION_NOT_LIVE

    def test_a_session_nobody_knows_is_neither_suspended_resumed_nor_ended(self, world):
        for outcome in (
            world.graph.plan_suspend("nobody", reason="x", now=NOW),
            world.graph.plan_resume("nobody", now=NOW),
            world.graph.plan_end("nobody", reason="x", now=NOW),
            world.graph.plan_lease("nobody", now=NOW),
        ):
            assert refused(outcome) is Reason.SESSION_UNKNOWN


class TestLeases:
    def test_a_heartbeat_moves_the_deadline(self, world):
        service = world.start(service=True)
        world.later(100)
        change = world.apply(world.beat(service))
        (row,) = change.sessions
        assert row.lease_expires_at == world.now + LEASE
        assert (row.last_heartbeat_at, row.health, row.version) == (world.now, "healthy", 2)
        world.later(100)
        assert world.hold(service).session == row

    def test_taking_over_fences_off_the_one_before(self, world):
        service = world.start(service=True)
        world.later(60)
        (row,) = world.apply(world.graph.plan_lease(service.id, now=world.now)).sessions
        assert (row.lease_generation, row.expires_at) == (2, world.now + LEASE)
        assert refused(world.beat(service, generation=1)) is Reason.SESSION_LEASE_FENCED
        assert world.apply(world.beat(service, generation=2))

    def test_a_lapsed_lease_is_not_renewed(self, world):
        service = world.start(service=True)
        world.later(LEASE.total_seconds())
        assert refused(world.beat(service)) is Reason.SESSION_LEASE_EXPIRED
        outcome = world.graph.plan_lease(service.id, now=world.now)
        assert refused(outcome) is Reason.SESSION_LEASE_EXPIRED

    def test_a_suspended_service_beats_but_stays_suspended_and_is_not_taken_over(self, world):
        service = world.start(service=True)
        world.suspend(service)
        world.later(100)
        world.apply(world.beat(service))
        assert world.status(service) == "suspended"
        outcome = world.graph.plan_lease(service.id, now=world.now)
        assert refused(outcome) is Reason.SESSION_NOT_LIVE

    def test_a_task_has_no_lease(self, world):
        task = world.start()
        assert refused(world.beat(task)) is Reason.SESSION_NOT_SERVICE

    def test_only_the_holder_of_the_lease_may_act_on_a_service(self, world):
        service, task = world.start(service=True), world.start()
        fence = world.graph.fence
        assert refused(fence(service.id, None)) is Reason.SESSION_LEASE_GENERATION_MISSING
        assert refused(fence(service.id, 2)) is Reason.SESSION_LEASE_FENCED
        assert fence(service.id, 1) is None
        assert fence(task.id, None) is None
        assert fence("nobody", None) is None


class TestSweeping:
    def test_a_task_expires_with_everything_below_it(self, world):
        task = world.start(ttl=60)
        child = world.start(parent=task)
        other = world.start(ttl=61)
        world.later(59)
        assert world.sweep() == ()
        world.later(1)
        (change,) = world.sweep()
        assert [(row.id, row.status, row.end_reason) for row in change.sessions] == [
            (task.id, Status.EXPIRED, "ttl"),
            (child.id, Status.TERMINATED, "parent_terminated"),
        ]
        assert all(row.ended_at == world.now for row in change.sessions)
        assert [row.anchor for row in change.revocations] == [task.id]
        assert world.status(other) == "active"
        assert world.sweep() == ()

    def test_a_service_that_fell_silent_is_suspended_with_everything_below_it(self, world):
        service = world.start(service=True)
        child, task = world.start(parent=service, service=True), world.start(parent=service)
        world.later(LEASE.total_seconds())
        (change,) = world.sweep()
        assert {row.id: row.end_reason for row in change.sessions} == {
            service.id: "service_heartbeat_lost",
            child.id: "parent_suspended",
            task.id: "parent_suspended",
        }
        assert world.sweep() == ()
        world.resume(service)
        assert world.status(task) == "active"

    def test_a_task_due_at_the_same_time_as_its_service_expires(self, world):
        service = world.start(service=True)
        task = world.start(parent=service, ttl=120)
        world.later(120)
        changes = world.sweep()
        assert [row.status for change in changes for row in change.sessions] == [
            Status.EXPIRED,
            Status.SUSPENDED,
        ]
        assert world.status(task) == "ended"

    def test_a_sweep_looks_at_no_more_than_its_limit_the_longest_due_first(self, world):
        sessions = [world.start(ttl=seconds) for seconds in (30, 10, 20)]
        world.later(60)
        world.sweep(limit=2)
        assert [world.status(row) for row in sessions] == ["active", "ended", "ended"]
        world.sweep(limit=2)
        assert world.status(sessions[0]) == "ended"

    def test_a_sweep_that_was_not_applied_comes_again(self, world):
        world.start(ttl=10)
        world.later(10)
        first = world.graph.plan_sweep(now=world.now, limit=10)
        assert first
        assert world.graph.plan_sweep(now=world.now, limit=10) == first


def test_a_session_that_ended_is_no_longer_in_memory(world):
    session = world.start()
    assert world.graph.session(session.id) == session
    (ended,) = world.end(session, reason="done").sessions
    assert (ended.status, ended.end_reason, ended.ended_at) == (Status.TERMINATED, "done", NOW)
    assert world.graph.session(session.id) is None
    assert ended.ended
    assert not ended.holds_capacity(NOW)


def test_nothing_inherits_when_the_parent_received_nothing(world):
    parent = world.start()
    for authority in ParentAuthority:
        change = world.ask_start(parent=parent, parent_authority=authority)
        assert change.delegations == ()
        assert change.epoch == 0


def test_a_graph_is_loaded_with_its_epoch():
    graph = ZoneGraph.load(
        "zone", GraphLimits(), sessions=(), delegations=(), revocations=(), epoch=7
    )
    assert (graph.zone_id, graph.epoch) == ("zone", 7)
