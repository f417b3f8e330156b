"""A graph can be rebuilt from what was stored, and a change that comes late or twice does no harm."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from caracal.authority import graph_index
from caracal.authority.deadlines import Deadlines
from caracal.authority.graph import GraphChange, GraphLimits, ZoneGraph
from caracal.authority.graph_index import GraphIndex
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.sessions import Status
from tests.authority.worlds import NOW, World


def test_a_change_applied_twice_is_as_applied_once():
    world = World(sessions_per_zone=3)
    parent = world.start()
    change = world.ask_start(parent=parent)
    world.apply(change)
    world.apply(change)
    assert len(world.graph.children(parent.id)) == 1
    assert world.start(), "and it counted once"


def test_an_old_row_does_not_bring_back_what_ended():
    world = World()
    one, two = world.start(), world.start()
    born = GraphChange((one, two), (made := world.delegate(one, two),))
    assert (world.graph.session_count, world.graph.delegation_count) == (2, 1)
    world.end(two)
    world.apply(born)
    assert (world.graph.session_count, world.graph.delegation_count) == (1, 0)
    assert world.status(two) == "ended"
    assert world.graph.delegation(made.id) is None
    assert world.graph.inbound(two.id, NOW) == ()
    assert world.status(one) == "active"


def test_an_old_suspension_neither_returns_nor_is_lifted_by_an_old_resumption():
    world = World()
    session = world.start()
    minted = world.mint(session)
    suspension = world.suspend(session)
    resumption = world.resume(session)
    world.apply(suspension)
    assert not world.revoked(minted)
    assert world.status(session) == "active"
    world.suspend(session)
    world.apply(resumption)
    assert world.revoked(minted)
    assert world.status(session) == "suspended"


def test_a_graph_made_of_the_whole_of_another_holds_what_that_holds():
    world = World()
    one, two = world.start(service=True), world.start("beta")
    held = world.delegate(one, two, hops=3)
    world.start("beta", two)
    ended, suspended = world.start(), world.start()
    world.end(ended)
    world.suspend(suspended)
    graph, copy = world.graph, ZoneGraph("zone", GraphLimits())
    copy.apply(graph.whole())
    assert copy.whole() == graph.whole()
    assert copy.session(ended.id) is None
    assert copy.delegation(held.id) == graph.delegation(held.id)
    assert set(copy.revocations) == set(graph.revocations)
    assert len(copy.revocations) == 2


def test_a_delegation_that_expired_is_forgotten_and_nothing_else_is():
    world = World()
    one, two = world.start(service=True), world.start("beta")
    held = world.delegate(one, two)
    world.graph.forget_expired(now=held.grant.expires_at - timedelta(seconds=1), limit=10)
    assert world.graph.delegation(held.id) == held
    world.graph.forget_expired(now=held.grant.expires_at, limit=10)
    assert world.graph.delegation(held.id) is None
    assert world.graph.session_count == 2


def test_what_is_forgotten_first_is_what_left_first():
    index = GraphIndex()
    world = World()
    session = world.start()
    for number in range(graph_index.REMEMBERED + 1):
        name = f"s{number}"
        index.put_session(replace(session, id=name, path=(name,), status=Status.EXPIRED, version=2))
    assert index.version("s0") == 0
    assert index.version("s1") == 2
    assert index.version(f"s{graph_index.REMEMBERED}") == 2


def test_a_loaded_graph_decides_as_the_one_it_was_stored_from():
    world = World()
    one, two = world.start(service=True), world.start("beta")
    held = world.delegate(one, two, hops=3)
    child = world.start("beta", two)
    world.suspend(one)
    graph = world.graph
    rows = [graph.session(row.id) for row in (child, two, one)]
    loaded = ZoneGraph.load(
        "zone",
        GraphLimits(),
        sessions=rows,
        delegations=(*graph.inbound(child.id, NOW), held),
        revocations=world.suspend(world.start()).revocations,
        epoch=graph.epoch,
    )
    assert loaded.epoch == graph.epoch
    assert len(loaded.revocations) == 1
    assert loaded.children(two.id) == graph.children(two.id)
    assert loaded.impact_of_delegation(held.id).sessions == (
        graph.impact_of_delegation(held.id).sessions
    )
    change = loaded.plan_resume(one.id, now=NOW)
    assert change == graph.plan_resume(one.id, now=NOW)


def test_a_loaded_session_whose_delegation_ended_has_nothing_to_pass_on():
    world = World()
    one, two = world.start(), world.start("beta")
    held = world.delegate(one, two)
    (ended,) = world.end(one).delegations
    kept = world.graph.session(two.id)
    for stored, expected in (((ended,), Reason.SESSION_INHERIT_INACTIVE), ((), None)):
        world.graph = ZoneGraph.load(
            "zone",
            GraphLimits(),
            sessions=(kept,),
            delegations=stored,
            revocations=(),
            epoch=2,
        )
        outcome = world.ask_start("beta", two)
        assert (outcome.reason if isinstance(outcome, Refused) else None) is expected
        assert world.graph.delegation(held.id) is None


def test_rows_that_do_not_fit_together_refuse():
    world = World()
    one, two = world.start(), world.start()
    held = world.delegate(one, two, hops=2)
    child = world.start(parent=two)
    (taken,) = world.graph.inbound(child.id, NOW)
    world.graph = ZoneGraph.load(
        "zone",
        GraphLimits(),
        sessions=(replace(child, status=Status.SUSPENDED),),
        delegations=(held, taken),
        revocations=(),
        epoch=0,
    )
    outcome = world.graph.plan_resume(child.id, now=NOW)
    assert isinstance(outcome, Refused), "its parent is missing"
    change = world.revoke(held)
    assert [row.id for row in change.sessions] == [child.id]
    assert {row.id for row in change.delegations} == {held.id, taken.id}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 5)), max_size=30),
    st.integers(0, 5),
    st.none() | st.integers(1, 3),
)
def test_deadlines_give_what_is_due_in_order(steps, now, limit):
    index: Deadlines[str] = Deadlines()
    expected = {}
    for key, at in steps:
        if at is None:
            index.drop(key)
            expected.pop(key, None)
        else:
            index.put(key, NOW + timedelta(seconds=at))
            expected[key] = at
        index.due(NOW + timedelta(seconds=now), limit)
    due = sorted((at, key) for key, at in expected.items() if at <= now)[:limit]
    assert index.due(NOW + timedelta(seconds=now), limit) == tuple(key for _, key in due)
    assert len(index) == len(expected)


def test_deadlines_that_move_do_not_pile_up():
    index: Deadlines[str] = Deadlines()
    for second in range(10_000):
        index.put("service", NOW + timedelta(seconds=second))
        index.put("other", NOW + timedelta(seconds=second))
        index.drop("other")
    assert len(index._heap) < 200
    assert index.due(NOW + timedelta(days=1)) == ("service",)
