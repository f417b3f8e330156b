"""The published OAuth client reads our answers, and our refusals as its own exceptions."""

import pytest


@pytest.fixture(scope="module")
def said(program, provider):
    tokens = " ".join(provider.token("ann", jti=str(number)) for number in range(4))
    return program("exchanges.py", ID_TOKENS=tokens)


def refusal(found):
    assert found["request_id"]
    return found["raised"], found["http_status"]


def test_an_exchange_answers_a_session_mandate(said, deployment):
    found = said["an_exchange_answers_a_session_mandate"]
    issuer = deployment.running.control
    assert found["claims"] == {
        "use": "session",
        "sub_type": "application",
        "scope": "agent:lifecycle",
        "aud": [issuer],
        "target": ["resource://api"],
        "iss": issuer,
    }
    assert (found["type"], found["expires_in"]) == ("Bearer", 900)
    assert found["targets"] == found["several"] == ["resource://api"]
    assert found["exp"]
    assert found["own"]
    assert found["root"]
    assert not found["same"]
    assert (found["tokens"], found["at_once"]) == (4, 1)
    assert found["cached"][:2] == [False, True]
    assert said["a_cache_of_the_callers_is_used"] == {"same": True}


def test_an_exchange_within_a_delegation_answers_a_gateway_mandate(said):
    found = said["an_exchange_within_a_delegation_answers_a_gateway_mandate"]
    assert (found["use"], found["targets"]) == ("gateway", ["resource://api"])
    for name in ("unnamed", "wide", "record", "long", "half", "exchanged"):
        assert refusal(found[name]) == ("AccessDenied", 403), name
    assert refusal(found["approval"]) == ("AccessDenied", 401)


REFUSED = {
    "client": ("AccessDenied", 401),
    "no_secret": ("AccessDenied", 401),
    "zone": ("ZoneMismatch", 403),
    "resource": ("AccessDenied", 403),
    "no_resource": ("InvalidToken", 400),
    "scope": ("AccessDenied", 403),
    "without_delegation": ("AccessDenied", 403),
    "session": ("AccessDenied", 403),
    "ttl": ("InvalidToken", 400),
    "negative": ("InvalidToken", 400),
    "token": ("InvalidToken", 401),
    "id_token": ("InvalidToken", 401),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_of_the_sts_has_its_exception(said, case):
    assert refusal(said["every_refusal_has_its_exception"][case]) == REFUSED[case]


def test_a_lifetime_of_zero_means_the_default(said):
    assert said["every_refusal_has_its_exception"]["zero"]["raised"] is None


REFUSED_CALLS = {
    "operation": ("OperationNotPermitted", 403),
    "scope": ("OperationNotPermitted", 403),
    "replayed": ("InvalidToken", 401),
    "session": ("InvalidToken", 401),
    "nonsense": ("InvalidToken", 401),
    "path": ("InvalidToken", 400),
    "resource": ("AccessDenied", 403),
    "revoked": ("InvalidToken", 401),
}


@pytest.mark.parametrize("case", REFUSED_CALLS)
def test_a_refusal_of_the_gateway_has_its_exception(said, case):
    found = said["refusals_of_the_gateway_have_their_exceptions_too"][case]
    assert refusal(found) == REFUSED_CALLS[case]
    assert found["request_id"] == found["header_id"]


def test_waiting_for_an_approval_that_is_not_there_ends_at_once(said):
    found = said["waiting_for_an_approval_that_is_not_there_ends_at_once"]
    assert found["quick"]
    for name in ("sync", "async", "with_approval"):
        waited = found[name]
        assert (waited["raised"], waited["status"]) == ("HTTPStatusError", 404)
        assert waited["body"]["error"] == "resource_not_found"
        assert waited["body"]["reason"] == "approval_unknown"
    assert refusal(found["presented"]) == ("AccessDenied", 401)
    assert refusal(found["decided"]) == ("ResourceNotFound", 404)
    assert found["unneeded"]


def test_a_user_is_federated(said):
    found = said["a_user_is_federated"]
    assert found["claims"] == ["session", "ann", "user", False]
    assert found["for_user"] == ["ann", "user", True]
    assert 110 <= found["short"] <= 120
    assert found["direct"] == [900, []]
    assert found["sid"]
    assert found["anchored"]
    assert found["stored"]
    assert found["called"] == 200
    assert found["service"]["raised"] is None
    assert refusal(found["replayed"]) == ("InvalidToken", 401)
    assert (found["unproven"]["raised"], found["unproven"]["status"]) == ("CoordinatorError", 404)
    assert (found["mine"]["raised"], found["mine"]["status"]) == ("CoordinatorError", 403)


def test_what_a_token_says_can_be_read_without_a_key(said):
    found = said["what_a_token_says_can_be_read_without_a_key"]
    assert found["exp"]
    assert {"sid", "root_sid", "client_id", "use", "sub_type", "jti"} <= set(found["payload"])
    assert found["opaque"] == [None, None]
