"""Every reason has its answer on every surface, and no answer tells what it should not."""

import msgspec
import pytest
from structlog.testing import capture_logs

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal_server.web.asgi import Reply
from caracal_server.web.meanings import GROUPS, MEANINGS
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import (
    MAX_DETAIL_LENGTH,
    Issue,
    Problem,
    RequestRefused,
    problem_of,
    render_coordinator,
    render_oauth,
    render_problem_details,
)
from tools.generate_errors import PAGE, render

REQUEST = "req-1"
SECRET = "hunter2-planted-secret"
RENDERERS = (render_oauth, render_coordinator, render_problem_details)

DATA_PLANE = {
    Reason.CLIENT_SECRET_WRONG: (401, "access_denied"),
    Reason.CLIENT_ZONE_MISMATCH: (403, "zone_invalid"),
    Reason.CLIENT_THROTTLED: (429, "provider_rate_limited"),
    Reason.REQUEST_MALFORMED: (400, "invalid_token"),
    Reason.BODY_TOO_LARGE: (413, "payload_too_large"),
    Reason.POLICY_NO_PERMIT: (403, "access_denied"),
    Reason.POLICY_ERROR: (403, "policy_eval_failed"),
    Reason.ZONE_UNKNOWN: (404, "resource_not_found"),
    Reason.MANDATE_MISSING: (401, "invalid_token"),
    Reason.MANDATE_EXPIRING: (401, "credential_expired_not_renewable"),
    Reason.MANDATE_REPLAYED: (401, "invalid_token"),
    Reason.MANDATE_REVOKED: (401, "invalid_token"),
    Reason.ROUTING_MISSING: (400, "invalid_token"),
    Reason.PATH_UNSAFE: (400, "invalid_token"),
    Reason.OPERATION_UNDECLARED: (403, "operation_not_permitted"),
    Reason.EGRESS_REFUSED: (502, "internal_error"),
    Reason.CREDENTIAL_UNAVAILABLE: (502, "http_request_failed"),
    Reason.UPSTREAM_TIMEOUT: (504, "internal_error"),
    Reason.CLIENT_GONE: (499, "internal_error"),
    Reason.REVOCATIONS_STALE: (503, "sts_unavailable"),
    Reason.PEER_UNAVAILABLE: (503, "sts_unavailable"),
    Reason.EVIDENCE_UNAVAILABLE: (503, "sts_unavailable"),
    Reason.INTERNAL: (500, "internal_error"),
}

COORDINATOR = {
    Reason.SESSION_UNKNOWN: (404, "session_not_found"),
    Reason.SESSION_FOREIGN: (403, "application_ownership_required"),
    Reason.SESSION_NOT_LIVE: (409, "session_not_live"),
    Reason.SESSION_NOT_SUSPENDED: (409, "session_not_found_or_not_suspended"),
    Reason.SESSION_NOT_SERVICE: (409, "session_not_service"),
    Reason.SESSION_LEASE_EXPIRED: (409, "session_lease_expired"),
    Reason.SESSION_LEASE_FENCED: (409, "session_lease_fenced"),
    Reason.SESSION_LEASE_GENERATION_MISSING: (400, "lease_generation_required"),
    Reason.SESSION_LIMIT_ZONE: (429, "session_zone_limit_exceeded"),
    Reason.SESSION_LIMIT_APPLICATION: (429, "session_limit_exceeded"),
    Reason.SESSION_LIMIT_CHILDREN: (429, "session_children_limit_exceeded"),
    Reason.SESSION_LIMIT_DEPTH: (429, "session_depth_limit_exceeded"),
    Reason.SESSION_PARENT_UNKNOWN: (404, "parent_not_found"),
    Reason.SESSION_PARENT_FOREIGN: (403, "parent_ownership_required"),
    Reason.SESSION_SERVICE_UNDER_TASK: (409, "task_session_cannot_start_service"),
    Reason.SESSION_INHERIT_INACTIVE: (409, "inherit_parent_edge_not_active"),
    Reason.SESSION_INHERIT_AMBIGUOUS: (409, "inherit_parent_edge_ambiguous"),
    Reason.DELEGATION_UNKNOWN: (404, "delegation_not_found"),
    Reason.DELEGATION_EXPIRY_MISSING: (400, "delegation_expiry_required"),
    Reason.DELEGATION_EXPIRED: (400, "delegation_expired"),
    Reason.DELEGATION_TO_ITSELF: (400, "self_delegation_denied"),
    Reason.DELEGATION_BROAD: (403, "broad_delegation_permission_required"),
    Reason.DELEGATION_ENDPOINT_UNKNOWN: (404, "delegation_endpoint_not_found"),
    Reason.DELEGATION_APPLICATION_MISMATCH: (409, "delegation_application_mismatch"),
    Reason.DELEGATION_ISSUER_FOREIGN: (403, "issuer_ownership_required"),
    Reason.DELEGATION_SCOPES_EXCEED_RESOURCE: (403, "delegation_scopes_exceed_resource"),
    Reason.DELEGATION_SCOPE_EXCEEDED: (403, "delegation_exceeds_parent_authority"),
    Reason.DELEGATION_BUDGET_EXCEEDED: (403, "delegation_exceeds_parent_authority"),
    Reason.DELEGATION_PARENT_INACTIVE: (403, "parent_delegation_not_active"),
    Reason.DELEGATION_PARENT_AMBIGUOUS: (409, "parent_delegation_ambiguous"),
    Reason.DELEGATION_CYCLE: (409, "delegation_cycle_denied"),
    Reason.IDEMPOTENCY_CONFLICT: (409, "idempotency_key_conflict"),
    Reason.IDEMPOTENCY_LIMIT: (429, "idempotency_receipt_limit_exceeded"),
    Reason.IDEMPOTENCY_RESULT_INACTIVE: (409, "idempotency_result_inactive"),
    Reason.MANDATE_MISSING: (401, "missing_token"),
    Reason.MANDATE_ZONE: (403, "zone_mismatch"),
    Reason.SCOPE_MISSING: (403, "missing_scope"),
    Reason.CLIENT_UNKNOWN: (404, "application_not_found"),
}


def _headers(reply: Reply) -> dict[bytes, bytes]:
    headers = dict(reply.headers)
    assert len(headers) == len(reply.headers), "a header is sent twice"
    return headers


def test_every_reason_has_exactly_one_meaning():
    listed = [reason for _, group in GROUPS for reason in group]
    assert sorted(listed) == sorted(Reason)
    assert len(MEANINGS) == len(listed)


@pytest.mark.parametrize("reason", Reason)
def test_a_meaning_says_what_happened_and_what_to_do(reason):
    meaning = MEANINGS[reason]
    for sentence in (meaning.title, meaning.advice):
        assert sentence == sentence.strip()
        assert len(sentence) > 10
        assert not sentence.endswith(".")
        assert "|" not in sentence, "it would break the table of the page"
    assert meaning.title.isascii()
    assert '"' not in meaning.title, "it stands in a quoted string of WWW-Authenticate"
    assert all(400 <= a.status < 600 for a in (meaning.oauth, meaning.coordinator))
    assert 400 <= meaning.problem < 600


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("renderer", RENDERERS)
def test_every_answer_carries_the_request_id_and_what_its_status_demands(reason, renderer):
    reply = renderer(Problem(reason), REQUEST)
    headers = _headers(reply)
    body = msgspec.json.decode(reply.body)
    assert headers[b"x-request-id"] == REQUEST.encode()
    assert body.get("requestId", body.get("request_id")) == REQUEST
    assert body["reason"] == reason
    assert body["hint"] == MEANINGS[reason].advice
    assert headers[b"cache-control"] == b"no-store"
    assert (reply.status == 401) == (b"www-authenticate" in headers)
    assert (reply.status == 503) <= (b"retry-after" in headers)


@pytest.mark.parametrize(("reason", "expected"), DATA_PLANE.items())
def test_the_sts_and_the_gateway_keep_the_codes_that_clients_branch_on(reason, expected):
    reply = render_oauth(Problem(reason, "why"), REQUEST)
    body = msgspec.json.decode(reply.body)
    assert (reply.status, body["error"]) == expected
    assert body["error_description"] == (
        MEANINGS[reason].title if reason is Reason.INTERNAL else "why"
    )
    assert set(body) == {"error", "error_description", "reason", "hint", "requestId"}
    assert _headers(reply)[b"content-type"] == b"application/json"


@pytest.mark.parametrize(("reason", "expected"), COORDINATOR.items())
def test_the_coordinator_keeps_the_codes_that_clients_branch_on(reason, expected):
    reply = render_coordinator(Problem(reason), REQUEST)
    assert (reply.status, msgspec.json.decode(reply.body)["error"]) == expected


@pytest.mark.parametrize("variant", Variant)
def test_a_variant_takes_the_place_of_the_plain_answer(variant):
    problem = Problem(Reason.REQUEST_MALFORMED, "why", variant=variant)
    for renderer in RENDERERS:
        assert renderer(problem, REQUEST).status == variant.value.status
    for renderer in (render_oauth, render_coordinator):
        body = msgspec.json.decode(renderer(problem, REQUEST).body)
        assert body["error"] == variant.value.code


def test_problem_details_follow_rfc_9457():
    problem = Problem(Reason.ZONE_FILE_INVALID, "line 3", issues=(Issue(("a", 0), "is no number"),))
    reply = render_problem_details(problem, REQUEST)
    assert reply.status == 422
    assert _headers(reply)[b"content-type"] == b"application/problem+json"
    assert msgspec.json.decode(reply.body) == {
        "type": "urn:caracal:problem:zone_file_invalid",
        "title": "the zone file is not valid",
        "status": 422,
        "detail": "line 3",
        "reason": "zone_file_invalid",
        "hint": MEANINGS[Reason.ZONE_FILE_INVALID].advice,
        "request_id": REQUEST,
        "issues": [{"path": ["a", 0], "message": "is no number"}],
    }


def test_the_coordinator_names_the_faulty_fields_of_a_body():
    problem = Problem(Reason.REQUEST_MALFORMED, issues=(Issue(("ttl_seconds",), "Expected `int`"),))
    body = msgspec.json.decode(render_coordinator(problem, REQUEST).body)
    assert body["details"] == {"issues": [{"path": ["ttl_seconds"], "message": "Expected `int`"}]}
    assert "details" not in msgspec.json.decode(
        render_coordinator(Problem(Reason.REQUEST_MALFORMED), REQUEST).body
    )


def test_a_challenge_names_an_error_only_when_a_token_was_sent():
    absent = _headers(render_oauth(Problem(Reason.MANDATE_MISSING), REQUEST))
    assert absent[b"www-authenticate"] == b'Bearer realm="caracal"'
    bad = _headers(render_oauth(Problem(Reason.MANDATE_EXPIRED), REQUEST))
    assert bad[b"www-authenticate"] == (
        b'Bearer realm="caracal", error="invalid_token", '
        b'error_description="the mandate has expired"'
    )


def test_how_long_to_wait_can_be_said_more_exactly():
    said = _headers(render_oauth(Problem(Reason.CLIENT_THROTTLED, retry_after=7), REQUEST))
    assert said[b"retry-after"] == b"7"
    assert (
        _headers(render_oauth(Problem(Reason.CLIENT_THROTTLED), REQUEST))[b"retry-after"] == b"60"
    )


def test_a_description_is_bounded_and_always_renders():
    for detail in ("x" * 5000, "\ud800 alone", "ü" * 3):
        body = msgspec.json.decode(
            render_oauth(Problem(Reason.SCOPE_UNKNOWN, detail), REQUEST).body
        )
        assert 0 < len(body["error_description"]) <= MAX_DETAIL_LENGTH + 10


def test_a_refusal_becomes_a_problem_with_its_sentence():
    refused = Refused(Reason.POLICY_FORBID, "forbidden by p1", ("p1",))
    assert Problem.of(refused) == Problem(Reason.POLICY_FORBID, "forbidden by p1")


def test_what_an_edge_refused_is_answered_as_it_was_refused():
    problem = Problem(Reason.BODY_TOO_LARGE, "at most 3 bytes")
    with capture_logs() as logs:
        assert problem_of(RequestRefused(problem), REQUEST) is problem
    assert logs == []


def test_what_is_unavailable_is_told_by_its_reason_alone():
    with capture_logs() as logs:
        found = problem_of(Unavailable(Reason.STORE_UNAVAILABLE, "disk full at /data"), REQUEST)
    assert found == Problem(Reason.STORE_UNAVAILABLE)
    assert logs[0]["request_id"] == REQUEST
    assert logs[0]["detail"] == "disk full at /data"


@pytest.mark.parametrize("renderer", RENDERERS)
def test_an_unexpected_exception_tells_nothing_to_the_client_and_no_secret_to_the_log(renderer):
    def fail() -> None:
        secret = SECRET
        raise ValueError(f"cannot use {secret}")

    with pytest.raises(ValueError, match=SECRET) as caught:
        fail()
    with capture_logs() as logs:
        reply = renderer(problem_of(caught.value, REQUEST), REQUEST)
    assert reply.status == 500
    assert SECRET.encode() not in reply.body
    assert b"ValueError" not in reply.body
    assert logs[0]["error"] == "ValueError"
    assert logs[0]["request_id"] == REQUEST
    assert any("fail" in frame for frame in logs[0]["at"])
    assert SECRET not in str(logs)


def test_an_internal_problem_never_shows_its_detail():
    reply = render_oauth(Problem(Reason.INTERNAL, SECRET), REQUEST)
    assert SECRET.encode() not in reply.body


def test_the_page_of_errors_is_current():
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tools.generate_errors"
