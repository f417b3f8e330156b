"""Calls of the published SDK go through the Gateway, and what is refused reaches their makers."""

import pytest

from tests.support.upstream import recording_upstream


@pytest.fixture(scope="module")
def said(program):
    with recording_upstream() as elsewhere:
        return program("calls.py", SPARE_URL=elsewhere.url)


def refusal(found):
    status, body = found
    assert body["error_description"]
    assert body["requestId"]
    return status, body["error"]


def test_the_transport_takes_calls_to_the_gateway(said):
    found = said["the_transport_takes_calls_to_the_gateway"]
    assert found == {
        "statuses": [200] * 5,
        "target": "/echo/a%20b?q=1+2",
        "mine": "yes",
        "body": '{"n":1}',
        "bytes": 20,
        "trace": True,
        "baggage": None,
        "authorization": None,
        "resource": None,
        "left": True,
        "request_id": True,
    }
    assert said["the_synchronous_transport_does_the_same"] == [{"rows": [1, 2, 3]}, 200]


def test_fetch_calls_a_resource_by_its_name(said):
    found = said["fetch_calls_a_resource_by_its_name"]
    assert (found["got"], found["posted"]) == ({"rows": [1, 2, 3]}, '{"a":1}')
    assert (found["target"], found["at_once"]) == ("/echo?x=1&y=%2B", [200])
    assert found["climbing"]["raised"] == found["absolute"]["raised"] == "ValueError"


def test_a_request_that_the_caller_sends_is_good_once(said):
    found = said["gateway_request_leaves_the_sending_to_the_caller"]
    assert (found["first"], refusal(found["second"])) == (200, (401, "invalid_token"))
    assert found["names"] == ["authorization", "baggage", "traceparent"]
    assert refusal(found["session"]) == (401, "invalid_token")


def test_what_the_gateway_refuses_reaches_the_caller(said):
    found = said["what_the_gateway_refuses_reaches_the_caller"]
    assert found["reader"] == 200
    assert refusal(found["write"]) == (403, "operation_not_permitted")
    assert refusal(found["method"]) == (403, "operation_not_permitted")
    assert refusal(found["unsafe"]) == (400, "invalid_token")
    for name in ("unknown", "scope", "undeclared"):
        assert found[name]["raised"] == "AccessDenied"


def test_a_revoked_delegation_ends_calls(said):
    found = said["a_revoked_delegation_ends_calls"]
    assert (found["before"], found["after"]["raised"]) == (200, "AccessDenied")
    assert refusal(found["held"]) == (401, "invalid_token")


def test_bodies_stream_both_ways(said):
    found = said["bodies_stream_both_ways"]
    assert found == {"sent": {"bytes": 1 << 20}, "got": 2 << 20, "first": True}


def test_redirects_and_broken_upstreams_are_told_as_they_are(said):
    found = said["redirects_and_broken_upstreams_are_told_as_they_are"]
    assert (found["moved"], found["missing"]) == ([302, None], 404)
    assert found["cut"]["raised"] == "RemoteProtocolError"
    assert found["following"]["raised"] == "ValueError"


def test_other_hosts_get_nothing_of_the_session(said):
    found = said["other_hosts_get_nothing_of_the_session"]
    assert found == {"only": [], "always": ["traceparent", "baggage"]}


def test_the_application_transport_needs_no_session_and_cleans_up(said):
    found = said["the_application_transport_needs_no_session"]
    assert (found["statuses"], found["many"]) == ([200] * 4, [200])
    assert found["outside"] == {"rows": [1, 2, 3]}, "what is pinned to the Gateway goes there"
    assert found["sessions"] == [["task", 1020, 0], ["task", 1020, 0]]
    assert found["left"] == 0
    found = said["the_synchronous_application_transport_does_the_same"]
    assert (found["answers"], found["sessions"], found["left"]) == ([200, 200], [240, 240], 0)
    assert refusal(found["write"]) == (403, "operation_not_permitted")


def test_an_application_transport_is_refused_what_it_may_not(said):
    found = said["an_application_transport_recovers_from_ended_sessions"]
    assert (found["before"], found["after"]["raised"]) == (200, "AccessDenied")
    found = said["an_application_transport_is_refused_what_is_not_declared"]
    assert (found["scope"]["raised"], found["scope"]["status"]) == ("CoordinatorError", 403)
    assert found["resource"]["raised"] == "AccessDenied"
    assert found["left"] == 0


def test_mandates_live_as_long_as_asked_and_as_long_as_they_may(said):
    found = said["mandates_live_as_long_as_asked"]
    assert 295 <= found["plain"] <= 300
    assert 85 <= found["short"] <= 90
    assert not found["same"]
    assert (found["long"]["raised"], found["long"]["http_status"]) == ("InvalidToken", 400)
    assert (found["beyond"]["raised"], found["beyond"]["http_status"]) == ("AccessDenied", 403)
    assert found["zero"]["raised"] is None


def test_a_mandate_that_is_about_to_end_is_not_taken(said):
    [expiring, without, client_id, nothing] = said["a_mandate_that_is_about_to_end_is_not_taken"]
    assert expiring[:2] == [401, "credential_expired_not_renewable"]
    assert without[:2] == client_id[:2] == [400, "invalid_token"]
    assert nothing == [401, "invalid_token", 'Bearer realm="caracal"']


def test_without_a_context_nothing_is_sent_unless_it_is_asked_for(said):
    found = said["without_a_context_nothing_is_sent_unless_it_is_asked_for"]
    for name in ("silent", "as_application", "headers"):
        assert found[name]["raised"] == "RuntimeError"
    assert found["own"] == ["authorization", "traceparent"]
