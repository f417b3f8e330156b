"""Plain httpx clients, governed: one mandate for each request, to the Gateway and nowhere else."""

import logging

import httpx
import pytest

from caracal import Caracal
from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import verify_receipt
from caracal.sdk import (
    AccessDenied,
    CaracalError,
    InvalidRequest,
    SessionEnded,
    UnexpectedAnswer,
)
from tests.sdk.clients import configured, live_sessions
from tests.support.deployment import API, READ, WRITE, eventually
from tests.support.upstream import RecordingUpstream


def wait_until(look) -> None:
    eventually(lambda: look() or None, seconds=15)


@pytest.fixture
def elsewhere():
    other = RecordingUpstream()
    other.start()
    yield other
    other.stop()


def test_any_httpx_client_is_governed_by_its_transport(caracal, zone, upstream):
    with httpx.Client(transport=caracal.transport(API, scopes=[READ, WRITE])) as http:
        assert live_sessions(zone) == set()
        answer = http.post("/echo?a=%2Bb", content=b"hello", headers={"x-mine": "1"})
        assert answer.status_code == 200
        assert http.get("/json", headers={"authorization": "Bearer mine"}).status_code == 200
        assert len(live_sessions(zone)) == 2
    assert live_sessions(zone) == set()
    first = upstream.by_request(answer.headers["x-request-id"])[0]
    assert (first.method, first.target) == ("POST", "/echo?a=%2Bb")
    assert first.header("x-mine") == "1"
    assert first.header("authorization") is None
    calls = zone.evidence(kind="call")
    assert len({call["mandate"] for call in calls}) == 2


def test_urls_that_mean_something_else_are_not_sent(caracal, zone, elsewhere, upstream):
    gateway = zone.deployment.running.gateway
    with httpx.Client(transport=caracal.transport(API, scopes=[READ])) as http:
        assert http.get(f"{gateway}/json").status_code == 200
        with pytest.raises(InvalidRequest, match="is not resource://api"):
            http.get(f"{elsewhere.url}/json")
        with pytest.raises(InvalidRequest):
            http.get(f"{upstream.url}/json")
    prefixed = caracal.transport(API, scopes=[READ], upstream_prefix=f"{elsewhere.url}/v1")
    with httpx.Client(transport=prefixed, base_url=f"{elsewhere.url}/v1") as http:
        answer = http.get("/json")
    assert answer.status_code == 200
    assert upstream.by_request(answer.headers["x-request-id"])[0].target == "/json"
    assert elsewhere.received == []
    with pytest.raises(InvalidRequest, match="upstream_prefix"):
        caracal.transport(API, scopes=[READ], upstream_prefix="/v1")


def test_redirects_are_not_followed(caracal, zone, elsewhere, upstream):
    upstream.raw["away"] = (
        b"HTTP/1.1 302 Found\r\nLocation: "
        + f"{elsewhere.url}/json".encode()
        + b"\r\nContent-Length: 0\r\n\r\n"
    )
    with httpx.Client(transport=caracal.transport(API, scopes=[READ])) as http:
        assert http.get("/raw/away").status_code == 302
    assert elsewhere.received == []


def test_what_caracal_refuses_is_an_error_and_what_the_upstream_says_an_answer(
    deployment, upstream
):
    upstream.raw["no"] = b'HTTP/1.1 403 No\r\nContent-Length: 23\r\n\r\n{"error":"upstream_no"}'
    policy = """
        @id("reads") permit (principal, action == Action::"api:read", resource);
        @id("not-secret") forbid (principal, action, resource) when {
          context has call && context.call.path like "/secret*" };
    """
    zone = deployment.zone(policy=policy)
    receipts: list[str] = []
    with (
        Caracal(configured(zone)) as client,
        httpx.Client(transport=client.transport(API, scopes=[READ], receipts=receipts)) as http,
    ):
        answer = http.get("/raw/no")
        assert (answer.status_code, answer.json()) == (403, {"error": "upstream_no"})
        with pytest.raises(AccessDenied) as refused:
            http.get("/secret/x")
        assert refused.value.code == "policy_forbid"
        assert refused.value.receipt == receipts[1]
        with pytest.raises(CaracalError) as refused:
            http.post("/json", content=b"x")
        assert refused.value.fix


def test_a_gateway_that_is_none_is_not_believed(zone, upstream):
    posing = configured(zone, gateway_url=upstream.url)
    with (
        Caracal(posing) as client,
        httpx.Client(transport=client.transport(API, scopes=[READ])) as http,
        pytest.raises(UnexpectedAnswer),
    ):
        http.get("/json")


def test_receipts_are_kept_when_asked_for_and_verify_offline(caracal, zone):
    receipts: list[str] = []
    with httpx.Client(transport=caracal.transport(API, scopes=[READ], receipts=receipts)) as http:
        http.get("/json")
        http.get("/json")
    assert len(set(receipts)) == 2
    url = f"{zone.deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    key = zone.deployment.http.get(url, headers=zone.deployment.operator).text.strip()
    for reference in receipts:
        receipt = caracal.receipt(reference)
        report = verify_receipt(receipt, parse_verifier_key(key))
        assert b'"kind":"call"' in report.entry
    with pytest.raises(CaracalError) as refused:
        caracal.receipt(f"{zone.id}.0.nothing")
    assert refused.value.code == "receipt_unknown"


def test_streams_arrive_as_they_are_sent_and_end_with_the_session(caracal, zone, upstream):
    transport = caracal.transport(API, scopes=[READ])
    with httpx.Client(transport=transport, timeout=10) as http:
        with http.stream("GET", "/events?sdk") as answer:
            upstream.push("sdk", "one")
            chunks = answer.iter_raw()
            assert b"one" in next(chunks)
            for session in live_sessions(zone):
                zone.operate("DELETE", f"agents/{session}")
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
        with pytest.raises(SessionEnded):
            http.get("/json")


def test_a_transport_made_in_a_block_is_narrowed_by_it(caracal):
    with caracal.session(scopes=[READ], resources=[API], max_hops=2):
        with httpx.Client(transport=caracal.transport(API, scopes=[READ])) as http:
            assert http.get("/json").status_code == 200
        with (
            httpx.Client(transport=caracal.transport(API, scopes=[READ, WRITE])) as http,
            pytest.raises(AccessDenied),
        ):
            http.get("/json")


def test_no_secret_is_in_any_log_or_repr(zone, caplog):
    caplog.set_level(logging.DEBUG)
    with (
        Caracal(configured(zone)) as client,
        client.session(scopes=[READ], resources=[API]) as session,
    ):
        transport = session.transport(API)
        mandate = session.mandate(API)
        with httpx.Client(transport=transport) as http:
            http.get("/json")
        shown = caplog.text + repr((client, session, transport, mandate, client.configuration))
        shown += repr((session.engine, session.standing, session.engine.caller))
    assert client.configuration.client_secret.reveal() not in shown
    assert mandate.token.reveal() not in shown
    assert "eyJ" not in shown
