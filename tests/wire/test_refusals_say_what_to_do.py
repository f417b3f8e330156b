"""A refusal becomes one error of one kind, with a code, a fix and the request's id, and no surprises."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.tokens.secret import Secret
from caracal.wire.calls import delegations, receipts, sessions
from caracal.wire.calls.messages import Request, bearer
from caracal.wire.calls.refusals import (
    AccessDenied,
    Answer,
    ApprovalRequired,
    CredentialsRefused,
    DelegationEnded,
    InvalidRequest,
    LeaseLost,
    ServiceUnavailable,
    SessionEnded,
    UnexpectedAnswer,
    Unreachable,
    read_refusal,
)
from caracal_server.web.problems import (
    Problem,
    render_coordinator,
    render_oauth,
    render_problem_details,
)

RENDERERS = [render_oauth, render_coordinator, render_problem_details]


def answered(render, reason: Reason, **more) -> Answer:
    """A refusal as a service renders it."""
    reply = render(Problem(reason, **more), "req-1")
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Answer(reply.status, headers, reply.body)


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_every_service_is_understood(render, reason):
    answer = answered(render, reason, detail="what is wrong")
    error = read_refusal(answer, "try")
    assert not isinstance(error, UnexpectedAnswer)
    assert error.code == reason
    assert error.request_id == "req-1"
    assert error.fix == msgspec.json.decode(answer.body)["hint"]
    assert "req-1" in str(error)
    assert error.fix in str(error)
    assert error.status == answer.status


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.CLIENT_SECRET_WRONG, CredentialsRefused),
        (Reason.SESSION_NOT_LIVE, SessionEnded),
        (Reason.MANDATE_REVOKED, SessionEnded),
        (Reason.SESSION_LEASE_FENCED, LeaseLost),
        (Reason.DELEGATION_NOT_LIVE, DelegationEnded),
        (Reason.POLICY_NO_PERMIT, AccessDenied),
        (Reason.OVERLOADED, ServiceUnavailable),
        (Reason.REQUEST_MALFORMED, InvalidRequest),
    ],
)
def test_kinds_tell_what_can_be_done(reason, kind):
    assert type(read_refusal(answered(render_oauth, reason), "try")) is kind


def test_time_to_wait_is_read_in_seconds_only():
    error = read_refusal(answered(render_oauth, Reason.CLIENT_THROTTLED, retry_after=7), "try")
    assert error.retry_after == 7.0
    assert error.temporary
    assert Answer(503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}).retry_after is None
    assert Answer(503).retry_after is None
    assert not read_refusal(answered(render_oauth, Reason.POLICY_FORBID), "try").temporary


def test_an_approval_is_named_and_not_made_up():
    body = {
        "error": "interaction_required",
        "approval_type": "human_approval",
        "approval_id": "ap-1",
        "requestId": "req-1",
    }
    error = read_refusal(Answer(401, {}, msgspec.json.encode(body)), "get a mandate")
    assert isinstance(error, ApprovalRequired)
    assert error.approval_id == "ap-1"
    assert "approval_id" in error.fix
    other = body | {"approval_type": "something_else"}
    assert type(read_refusal(Answer(401, {}, msgspec.json.encode(other)), "x")) is AccessDenied


@pytest.mark.parametrize(
    "answer",
    [
        Answer(302, {"location": "https://elsewhere.example"}, b""),
        Answer(302, {}, b'{"error":"access_denied"}'),
        Answer(502, {}, b"<html>bad gateway</html>"),
        Answer(403, {}, b"[]"),
        Answer(403, {}, b"{}"),
        Answer(403, {}, b'{"error":7}'),
        Answer(500, {}, b"[" * 100_000),
    ],
)
def test_what_is_not_ours_is_unexpected(answer):
    assert isinstance(read_refusal(answer, "try"), UnexpectedAnswer)


def test_what_cannot_be_known_is_said():
    lost = Unreachable("end a session", "the connection broke", sent=True)
    assert lost.sent
    assert lost.temporary
    assert lost.request_id == ""
    assert lost.code == "unreachable"


@given(st.text(), st.text(), st.text(max_size=200))
def test_nothing_of_an_answer_steers_a_log(code, description, identity):
    body = msgspec.json.encode(
        {"error": code.encode(errors="replace").decode(), "error_description": "x"}
        | {"error_description": description.encode(errors="replace").decode()}
    )
    error = read_refusal(Answer(403, {"x-request-id": identity}, body), "try")
    assert str(error).isprintable() or "\u00a0" in str(error) or " " in str(error)
    assert not {"\n", "\r", "\x1b", "\u202e", "\u2028"} & set(str(error))
    assert len(str(error)) < 4000


@pytest.mark.parametrize("reason", [Reason.SESSION_UNKNOWN, Reason.SESSION_NOT_LIVE])
def test_what_is_gone_has_been_ended(reason):
    sessions.read_ended(answered(render_coordinator, reason))
    sessions.read_ended(Answer(204))
    with pytest.raises(AccessDenied):
        sessions.read_ended(answered(render_coordinator, Reason.SESSION_FOREIGN))
    delegations.read_revoked(answered(render_coordinator, Reason.DELEGATION_NOT_LIVE))
    delegations.read_revoked(Answer(200))
    with pytest.raises(AccessDenied):
        delegations.read_revoked(answered(render_coordinator, Reason.DELEGATION_ISSUER_FOREIGN))


@pytest.mark.parametrize("body", [b"no receipt", b"\xff", b"c2sp.org/tlog-proof@v1\n\nx"])
def test_what_is_no_receipt_is_unexpected(body):
    with pytest.raises(UnexpectedAnswer):
        receipts.read_receipt(Answer(200, {}, body))


def test_a_request_does_not_show_what_it_carries():
    request = Request("try", "POST", "https://x.example/planted").carrying(
        [bearer(Secret("planted-mandate"))]
    )
    assert request.headers == (("authorization", "Bearer planted-mandate"),)
    assert "planted" not in repr(request)
