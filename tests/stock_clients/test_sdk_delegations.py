"""Delegations of the published SDK hand on less, and end."""

import pytest

EXCEEDS = (403, "delegation_exceeds_parent_authority")
ALIVE = {"left": 300.0, "default": 299, "long": 99, "short": 49}


@pytest.fixture(scope="module")
def said(program):
    return program("delegations.py")


def refusal(found):
    assert found["raised"] == "CoordinatorError", found
    assert found["request_id"]
    return found["status"], found["code"]


def test_what_one_application_hands_another_can_be_used(said):
    found = said["what_one_application_hands_another_can_be_used"]
    claims = found.pop("claims")
    assert (claims.pop("use"), claims.pop("hop_count")) == ("gateway", 1)
    assert all(claims.values()), claims
    assert found == {
        "scopes": ["api:read"],
        "expires": True,
        "hop": 1,
        "parent": None,
        "status": 200,
        "event": [True],
    }


def test_accepting_what_is_not_live_fails(said):
    found = said["accepting_what_is_not_live_fails"]
    assert found["live"]["raised"] is None
    for name in ("unknown", "revoked"):
        assert found[name]["raised"] == "RuntimeError"
        assert refusal(found[name]["cause"]) == (404, "delegation_not_found")
    for name in ("again", "nothing"):
        assert refusal(found[name]) == (404, "delegation_not_found")
    assert found["mint"]["raised"] == "AccessDenied"


def test_inbound_delegations_are_listed(said):
    found = said["inbound_delegations_are_listed"]
    assert found["listed"]
    assert found["expires"]
    assert (found["status"], found["one"]) == (["active"], [True, "active"])
    assert found["after"] == {"false": "active"}
    for name in ("gone", "unknown"):
        assert refusal(found[name]) == (404, "delegation_not_found")
    assert refusal(found["foreign"]) == (404, "session_not_found")


@pytest.mark.parametrize("kind", ["resources", "hops", "depth", "both", "approved"])
def test_a_constraint_is_taken(said, kind):
    found = said["constraints_of_every_kind_hold"][kind]
    assert found["left"] == ALIVE["left"]
    for life in ("default", "long", "short"):
        assert ALIVE[life] - 5 <= found[life] <= ALIVE[life] + 1


def test_constraints_on_time_hold(said):
    found = said["constraints_of_every_kind_hold"]
    assert 55 <= found["ttl"]["default"] <= 60
    assert found["ttl"]["long"]["raised"] == "AccessDenied"
    assert 195 <= found["expires"]["default"] <= 200
    assert refusal(found["past"]) == (400, "delegation_expired")


def test_constraints_that_make_no_sense_are_refused(said):
    found = said["constraints_of_every_kind_hold"]
    assert refusal(found["torn"]) == (400, "invalid_max_hops")
    assert refusal(found["elsewhere"]) == (404, "resource_not_found")
    for kind in ("broad", "none"):
        assert refusal(found[kind]) == (403, "broad_delegation_permission_required")


def test_what_is_handed_on_only_shrinks(said):
    found = said["what_is_handed_on_only_shrinks"]
    assert {refusal(found[name]) for name in ("wider", "longer", "deeper")} == {EXCEEDS}
    assert (found["hops"], found["path"], found["status"]) == (2, True, 200)
    assert found["after"]["raised"] == "AccessDenied"


def test_a_chain_of_ten_hops_reaches_the_upstream(said):
    found = said["a_chain_of_ten_hops_reaches_the_upstream"]
    assert (found["hop"], found["status"]) == (10, 200)
    assert refusal(found["eleventh"]) == (429, "session_depth_limit_exceeded")


def test_a_session_without_a_delegation_is_told_what_it_lacks(said):
    found = said["a_session_without_a_delegation_is_told_what_it_lacks"]
    assert found["mint"]["raised"] == found["call"]["raised"] == "AccessDenied"
    assert "lifecycle-only" in found["mint"]["notes"][0]
    assert refusal(found["elsewhere"]) == (404, "delegation_endpoint_not_found")
    assert refusal(found["foreign"]) == (400, "self_delegation_denied")
    assert found["unbound"]["raised"] == "RuntimeError"
