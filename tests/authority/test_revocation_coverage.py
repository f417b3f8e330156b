"""Which revocation ends a mandate, judged from the mandate alone."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from caracal.authority.mandates import Hop
from caracal.authority.revocation import RETENTION, AnchorKind, Revocation, Revocations
from tests.authority.worlds import NOW, World


@pytest.fixture
def minted():
    """Of beta, in a session below its root, by a delegation narrowed from alpha's."""
    world = World()
    alpha, beta = world.start("alpha"), world.start("beta")
    first = world.delegate(alpha, beta, hops=2)
    change = world.apply(world.ask_start("beta", beta))
    (child,), (taken,) = change.sessions, change.delegations
    assert taken.path == (first.id, taken.id)
    return world.mint(child, taken)


def revocations(*anchors: tuple[AnchorKind, str]) -> Revocations:
    found = Revocations()
    for kind, anchor in anchors:
        found.add(Revocation(kind, anchor, NOW, "test"))
    return found


def test_every_part_of_its_ancestry_ends_a_mandate(minted):
    ancestry = [
        *((AnchorKind.SESSION, step) for step in minted.session_path),
        *((AnchorKind.SESSION, hop.session_id) for hop in minted.chain),
        *((AnchorKind.DELEGATION, step) for step in minted.delegation_path),
        (AnchorKind.RECORD, minted.record),
        (AnchorKind.RECORD, minted.root_record),
        (AnchorKind.APPLICATION, minted.application_id),
        (AnchorKind.SUBJECT, minted.subject),
        (AnchorKind.ZONE, minted.zone_id),
    ]
    assert len(ancestry) == 12
    for kind, anchor in ancestry:
        found = revocations((kind, anchor)).covering(minted)
        assert found == Revocation(kind, anchor, NOW, "test")


def test_nothing_else_does(minted):
    others = revocations(
        *((kind, f"other-{kind.value}") for kind in AnchorKind),
        (AnchorKind.SESSION, minted.delegation_path[0]),
        (AnchorKind.DELEGATION, minted.session_path[0]),
        (AnchorKind.APPLICATION, "alpha"),
    )
    assert others.covering(minted) is None
    assert len(others) == len(AnchorKind) + 3
    assert Revocations().covering(minted) is None


def test_a_hop_without_a_session_is_no_ancestor(minted):
    odd = replace(minted, chain=(Hop("alpha", None, None), *minted.chain))
    assert revocations((AnchorKind.SESSION, "None")).covering(odd) is None


def test_a_lifted_revocation_ends_nothing_any_more(minted):
    found = revocations((AnchorKind.SESSION, minted.session_id))
    found.lift(AnchorKind.SESSION, "another")
    assert found.covering(minted) is not None
    found.lift(AnchorKind.SESSION, minted.session_id)
    assert found.covering(minted) is None


def test_a_revocation_is_kept_as_long_as_a_mandate_from_before_it_may_live(minted):
    found = revocations((AnchorKind.SESSION, minted.session_id))
    found.prune(minted.expires_at)
    found.prune(NOW + RETENTION - timedelta(microseconds=1))
    assert found.covering(minted) is not None
    found.prune(NOW + RETENTION)
    assert len(found) == 0


def test_a_mandate_names_where_it_acts_and_how_far_it_came(minted):
    assert minted.session_id == minted.session_path[-1]
    assert minted.delegation_id == minted.delegation_path[-1]
    assert minted.hop_count == 2
    bare = replace(minted, session_path=(), delegation_path=(), chain=())
    assert (bare.session_id, bare.delegation_id, bare.hop_count) == (None, None, 0)
