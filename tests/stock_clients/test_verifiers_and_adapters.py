"""Mandates of ours in servers that the published verifiers and adapters protect, behind our Gateway."""

import pytest

OK = {"ok": True, "code": None, "status": None}


@pytest.fixture(scope="module")
def said(program, guarded_server, deployment, zone):
    return program(
        "verifying.py",
        GUARDED_URL=guarded_server,
        OTHER_ZONE=deployment.zone().id,
        ROTATE_PATH=f"/v1/zones/{zone.name}/keys/rotate",
    )


def refused(found):
    assert not found["ok"]
    return found["status"], found["code"]


def test_an_asgi_service_sees_who_calls(said):
    found = said["the_service_sees_who_calls"]
    assert found == {
        "client": True,
        "scope": "api:read",
        "session": True,
        "delegation": True,
        "targets": ["resource://service"],
        "hops": [1, 2],
        "chain": True,
        "inner": True,
        "baggage": None,
        "trace": True,
    }


def test_an_asgi_service_refuses_by_route(said):
    found = said["the_service_refuses_by_route"]
    assert found == {
        "/whoami": 200,
        "/delegated": 200,
        "/target": 200,
        "/chain": 200,
        "/one-hop": 200,
        "/write": [403, "insufficient_scope", 3],
        "/other-target": [401, "invalid_token", 3],
        "/other-chain": [403, "chain_mismatch", 3],
        "written": 200,
        "health": 200,
        "two hops": [403, "hop_count_exceeded"],
        "direct": [401, "missing_token"],
        "session": [401, "invalid_token"],
    }


def test_a_mandate_is_verified_and_read(said):
    found = said["a_mandate_is_verified_like_this"]
    assert found["payload"]
    assert found["claims"] == ["resource", "application", "api:read", ["resource://service"]]
    assert (found["chain"], found["stranger"], found["has_scope"]) == (True, False, True)
    assert (found["epoch"], found["hops"]) == (True, 1)
    assert 0 < found["life"] <= 300
    assert found["keys"] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]


def test_a_mandate_for_somebody_else_is_refused(said):
    found = said["a_mandate_is_verified_like_this"]["refused"]
    assert found.pop("scope")["raised"] == "ScopeInsufficientError"
    nowhere = found.pop("nowhere")
    assert (nowhere["status"], nowhere["body"]["error"]) == (404, "resource_not_found")
    assert {one["raised"] for one in found.values()} == {"TokenInvalidError"}


def test_classes_of_mandates_are_told_apart(said):
    found = said["other_classes_of_mandates_are_told_apart"]
    assert found["session"] == "session"
    assert refused(found["as_resource"]) == refused(found["gateway"]) == (401, "invalid_token")


DEMANDS = {
    "scope": (403, "insufficient_scope"),
    "target": (401, "invalid_token"),
    "chain": (403, "chain_mismatch"),
    "zone": (401, "invalid_token"),
    "audience": (401, "invalid_token"),
    "hops": (403, "hop_count_exceeded"),
    "missing": (401, "missing_token"),
    "strict": (403, "insufficient_scope"),
    "sid": (401, "session_revoked"),
    "root_sid": (401, "session_revoked"),
    "agent_session_id": (401, "session_revoked"),
    "delegation_edge_id": (401, "session_revoked"),
    "stale": (401, "delegation_stale"),
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_a_verifier_refuses_what_falls_short_of_a_demand(said, demand):
    found = said["a_verifier_demands_what_it_is_told_to"]
    assert refused(found[demand]) == DEMANDS[demand]


@pytest.mark.parametrize("demand", ["plain", "session", "delegation", "header", "fresh", "direct"])
def test_a_verifier_takes_what_meets_its_demands(said, demand):
    assert said["a_verifier_demands_what_it_is_told_to"][demand] == OK


def test_a_revoked_session_is_refused_by_the_service(said):
    found = said["a_revoked_session_is_refused_by_the_service"]
    assert found == {"before": 200, "after": [401, "session_revoked"]}


def test_tools_of_a_guarded_fastmcp_server_are_called_through_the_gateway(said):
    found = said["tools_are_called_through_the_gateway"]
    assert (found["tools"], found["sum"], found["caller"]) == (["add", "caller"], 5, True)
    assert found["refused"]["raised"] == "MCPError"
    assert found["direct"]["message"].startswith("missing_token")


def test_context_arrives_in_the_service(said):
    found = said["context_arrives_in_the_service"]
    proven = found["proven"]
    assert proven == {"session": True, "delegation": True, "hop": 1, "trace": True}
    assert found["spoofed"], "what a header claims counts nothing beside the mandate"
    assert (found["missing"], found["wrong"]) == ([401, "missing_token"], [401, "invalid_token"])
    assert found["propagated"] == {"session": True, "delegation": True, "hop": 1}
    assert found["as_application"] == [None, True]
    assert (found["bound"], found["child"]) == ([True, True], True)
    assert found["no_bearer"]["raised"] == "MissingTokenError"


def test_a_verifier_that_runs_on_takes_mandates_of_the_next_key(said):
    found = said["keys_rotate_while_a_verifier_runs"]
    assert (found["rotated"], found["keys"], found["session"]) == (200, 2, True)
    assert found["before"] == found["after"] == OK
