"""Sessions that work for a user, and the end of all that works for one (S6, K7)."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from caracal.authority.mandates import SubjectType
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.revocation import AnchorKind, Revocation, Revocations
from caracal.authority.subjects import ProvenUser, User
from tests.authority.worlds import NOW, World

ANN = User("https://id.example", "ann")
NAMESAKE = User("https://other.example", "ann")


def proof(user: User = ANN, seconds: float = 900) -> ProvenUser:
    return ProvenUser(user, NOW + timedelta(seconds=seconds))


@pytest.fixture
def world():
    return World()


def refused(outcome) -> Reason:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def test_a_task_for_a_user_ends_no_later_than_the_users_proof(world):
    assert world.start(proven=proof()).ttl == timedelta(seconds=900)
    assert world.start(proven=proof(seconds=90.9)).ttl == timedelta(seconds=90)
    assert world.start(proven=proof(), ttl=30).ttl == timedelta(seconds=30)
    assert world.start(proven=proof()).user == ANN
    assert world.start().user is None
    expiring = world.ask_start(proven=proof(seconds=0.9))
    assert refused(expiring) is Reason.SUBJECT_TOKEN_EXPIRED


def test_no_heartbeat_keeps_a_service_for_a_user_beyond_their_proof(world):
    service = world.start(service=True, proven=proof(seconds=300))
    assert (service.user, service.ttl) == (ANN, timedelta(seconds=300))
    assert service.expires_at == NOW + timedelta(seconds=120)
    for later, left in ((100, 120), (100, 100), (50, 50)):
        world.later(later)
        renewed = world.apply(world.beat(service)).sessions[0]
        assert renewed.expires_at == world.now + timedelta(seconds=left)
    taken = world.apply(world.graph.plan_lease(service.id, now=world.now)).sessions[0]
    assert taken.expires_at == NOW + timedelta(seconds=300)
    world.later(50)
    assert refused(world.beat(service, generation=2)) is Reason.SESSION_NOT_LIVE
    world.sweep()
    assert world.status(service) == "ended"


def test_what_a_service_for_a_user_starts_ends_with_the_proof_too(world):
    service = world.start(service=True, proven=proof(seconds=300))
    task = world.start(parent=service)
    below = world.start(parent=service, service=True)
    assert (task.user, task.ttl) == (ANN, timedelta(seconds=300))
    assert (below.user, below.ttl) == (ANN, timedelta(seconds=300))
    world.later(100)
    assert world.start(parent=service).ttl == timedelta(seconds=200)


def test_a_suspended_service_for_a_user_ends_when_the_proof_does(world):
    service = world.start(service=True, proven=proof(seconds=300))
    forever = world.start(service=True)
    world.suspend(service)
    world.suspend(forever)
    world.later(299)
    world.sweep()
    assert world.status(service) == "suspended"
    assert world.graph.session(service.id).holds_capacity(world.now)
    world.later(1)
    assert not world.graph.session(service.id).holds_capacity(world.now)
    assert refused(world.graph.plan_resume(service.id, now=world.now)) is Reason.SESSION_NOT_LIVE
    world.sweep()
    assert (world.status(service), world.status(forever)) == ("ended", "suspended")


def test_a_service_for_a_user_takes_no_child_in_its_last_second(world):
    service = world.start(service=True, proven=proof(seconds=100))
    world.later(99.5)
    late = world.ask_start(parent=service)
    assert refused(late) is Reason.SESSION_PARENT_UNKNOWN


def test_a_child_works_for_its_parents_user_and_for_no_other(world):
    parent = world.start(proven=proof())
    assert world.start(parent=parent).user == ANN
    assert world.start(parent=parent, proven=proof(seconds=60)).user == ANN
    another = world.ask_start(parent=parent, proven=proof(NAMESAKE))
    assert refused(another) is Reason.SUBJECT_TOKEN_MISMATCH


def test_a_service_has_children_for_different_users(world):
    service = world.start(service=True)
    users = {world.start(parent=service, proven=proof(user)).user for user in (ANN, NAMESAKE)}
    assert users == {ANN, NAMESAKE}


def test_revoking_a_user_ends_exactly_what_works_for_them(world):
    service = world.start("alpha", service=True)
    mine = world.start("alpha", parent=service, proven=proof())
    child = world.start("alpha", parent=mine)
    own = world.start("beta")
    namesakes = world.start("alpha", parent=service, proven=proof(NAMESAKE))
    second = world.start("beta", proven=proof())
    delegation = world.delegate(mine, own)
    held = world.mint(own, delegation)
    kept = world.mint(namesakes)
    epoch = world.graph.epoch

    change = world.apply(world.graph.plan_end_of_user(ANN, reason="left", now=world.now))

    ended = {row.id: row.end_reason for row in change.sessions}
    assert ended == {mine.id: "left", child.id: "parent_terminated", second.id: "left"}
    assert [row.id for row in change.delegations] == [delegation.id]
    assert world.graph.epoch == epoch + 1
    assert [world.status(row) for row in (service, own, namesakes)] == ["active"] * 3
    assert world.graph.revocations.covering(held) is not None
    assert world.graph.revocations.covering(kept) is None


def test_revoking_a_user_without_sessions_still_revokes_what_was_proven(world):
    change = world.apply(world.graph.plan_end_of_user(ANN, reason="left", now=world.now))
    assert change.revocations == (
        Revocation(AnchorKind.SUBJECT, "https://id.example ann", world.now, "left"),
    )
    assert change.epoch == world.graph.epoch == 0
    assert world.graph.revocations.of_user(ANN) is not None
    assert world.graph.revocations.of_user(NAMESAKE) is None


@given(st.integers(-3600, 3600))
@settings(max_examples=60)
def test_a_revoked_user_is_covered_until_they_prove_themselves_anew(seconds):
    """What was issued up to the revocation is covered, what is issued later is not."""
    world = World()
    minted = replace(
        world.mint(world.start(proven=proof())),
        subject=ANN.name,
        subject_issuer=ANN.issuer,
        subject_type=SubjectType.USER,
        issued_at=NOW + timedelta(seconds=seconds),
    )
    found = Revocations()
    found.add(Revocation(AnchorKind.SUBJECT, ANN.anchor, NOW, "left"))
    assert (found.covering(minted) is not None) == (seconds <= 0)
    assert minted.user == ANN
    assert found.covering(replace(minted, subject_issuer=NAMESAKE.issuer)) is None
