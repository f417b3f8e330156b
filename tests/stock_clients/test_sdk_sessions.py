"""Sessions of the published SDK live and end here as its users expect."""

import pytest

ENDED = "terminated"


@pytest.fixture(scope="module")
def said(program):
    return program("sessions.py")


def refusal(found):
    assert found["raised"] == "CoordinatorError", found
    assert found["request_id"]
    return found["status"], found["code"]


def test_a_task_session_lives_as_long_as_its_block(said):
    found = said["a_task_session_begins_and_ends_with_its_block"]
    inside = found["inside"]
    assert (inside["lifecycle"], inside["status"], inside["ttl_seconds"]) == ("task", "active", 120)
    assert inside["metadata"] == {"ticket": 7, "task": "sort the post"}
    assert (inside["labels"], inside["lease_generation"], inside["depth"]) == (["clerk"], 0, 0)
    assert found["bound"]
    assert found["unbound"]
    assert found["zone"]
    assert found["begun"]
    assert found["ended"] == 2
    assert found["chain"] == [f"session:{inside['agent_session_id']}"]
    assert found["after"] == ENDED
    assert found["closed"]["raised"] == "RuntimeError"


def test_a_body_that_raises_or_is_cancelled_ends_its_session(said):
    assert said["a_body_that_raises_ends_its_session"] == {"raised": "LookupError", "status": ENDED}
    assert said["a_cancelled_body_ends_its_session"] == {"cancelled": True, "status": ENDED}


def test_sessions_nest(said):
    found = said["sessions_nest"]
    assert found["parent"]
    assert found["named"]
    assert found["again"]
    assert found["trace"]
    assert (found["depth"], found["hops"]) == (1, [0, 0])
    assert found["other"]["raised"] == "ValueError"
    assert refusal(found["late"]) == (404, "parent_not_found")


def test_a_parent_is_carried_to_another_task(said):
    assert said["a_parent_is_carried_to_another_task"] == {"parent": True, "bound": True}


def test_authority_is_inherited_narrowed_or_none(said):
    found = said["authority_is_inherited_narrowed_or_none"]
    assert (found["narrow"], found["inherit"], found["none"]) == ([True, 1], [True, 2], [None, 1])
    assert found["inherits_another_id"]
    assert found["mint_inherited"]
    assert found["narrower"] == [True, 2]
    assert found["narrower_read"]
    assert found["narrower_write"]["raised"] == "AccessDenied"
    assert refusal(found["wider"]) == (403, "delegation_scopes_exceed_resource")
    assert found["no_parent"]["raised"] == "RuntimeError"


def test_a_delegation_of_one_hop_is_inherited_within_the_application(said):
    found = said["a_delegation_of_one_hop_is_inherited_within_the_application"]
    assert (found["delegation"], found["hop"], found["mint"]["raised"]) == (True, 2, None)


def test_starting_is_idempotent_under_a_key(said):
    found = said["starting_is_idempotent_under_a_key"]
    assert found["same"]
    assert found["replayed"][:2] == [False, True]
    assert refusal(found["conflict"]) == (409, "idempotency_key_conflict")
    assert found["bad"]["raised"] == "ValueError"


def test_a_service_session_lives_by_its_heartbeats(said):
    found = said["a_service_session_lives_by_its_heartbeats"]
    assert (found["inside"]["lifecycle"], found["inside"]["ttl_seconds"]) == ("service", None)
    assert found["generation"] == 1
    assert found["later"]
    assert refusal(found["wrong"]) == (400, "invalid_body")
    assert (found["operator"], found["held"]) == ([200, 200], "suspended")
    assert found["states"] == ["suspended", "active"]
    assert found["after"] == ENDED
    assert said["heartbeats_go_out_on_their_own"] == {"after": ENDED}


def test_a_lost_lease_is_told_once(said):
    found = said["a_lost_lease_is_told_once"]
    assert refusal(found["gone"]) == (409, "session_not_live")


def test_another_process_attaches_and_the_first_is_fenced(said):
    found = said["another_process_attaches_and_the_first_is_fenced"]
    assert found["generations"] == [1, 2]
    assert refusal(found["fenced"]) == (409, "session_lease_fenced")
    assert found["quiet"]["raised"] is None
    assert (found["alive"], found["parent"], found["after"]) == ("active", True, ENDED)
    assert refusal(found["gone"]) == (409, "session_not_live")
    assert refusal(found["unknown"]) == (404, "session_not_found")
    assert refusal(found["strange"]) == (403, "application_ownership_required")


def test_what_an_operator_or_a_parent_ended_ends_quietly(said):
    found = said["a_session_that_an_operator_ended_ends_quietly"]
    assert found == {"answered": 204, "status": ENDED}
    found = said["children_end_with_their_parent"]
    assert found["after"] == [ENDED, ENDED]
    assert refusal(found["beat"]) == (409, "session_not_live")
    assert found["quiet"]["raised"] is None
    assert refusal(found["under_task"]) == (409, "task_session_cannot_start_service")


def test_what_a_start_may_not_ask_for_is_refused(said):
    found = said["what_a_start_may_not_ask_for_is_refused"]
    assert {refusal(found[name]) for name in ("long", "labels", "metadata")} == {
        (400, "invalid_body")
    }
    assert refusal(found["record"]) == (404, "session_not_found")


def test_the_coordinators_calls_can_be_made_one_by_one(said):
    found = said["the_coordinators_calls_can_be_made_one_by_one"]
    assert (found["beat"], found["lease"]) == (["active", 1, True], ["active", 2])
    assert refusal(found["fenced"]) == (409, "session_lease_fenced")
    assert found["ended"]["raised"] is None
    assert refusal(found["again"]) == (404, "session_not_found")
    assert refusal(found["forced"]) == (400, "lease_generation_required")
    assert refusal(found["unproven"]) == (401, "invalid_token")
    assert refusal(found["elsewhere"]) == (403, "zone_mismatch")
    assert refusal(found["foreign"]) == (403, "application_ownership_required")


def test_context_is_carried_in_headers(said):
    assert said["context_is_carried_in_headers"] == {
        "session": True,
        "trace": True,
        "baggage": ["caracal.agent_session", "caracal.hop"],
        "hops": [3, 3],
        "authorization": True,
    }


def test_events_tell_what_was_asked_of_the_services(said):
    found = said["events_tell_what_was_asked_of_the_services"]
    assert ["coordinator.call", True] in found["types"]
    assert found["methods"] == ["POST", "POST", "DELETE"]
    assert found["refused"] == [[403, "broad_delegation_permission_required"]]
    assert found["removed"]
