"""T10: callers that are slow, huge or many."""

import contextlib
import time

import pytest

from tests.support.deployment import reason
from tests.support.raw_http import connect, head, read_all, send_raw

SLOWEST_SECONDS = 10.0
SLOW_CONNECTIONS = 100


def test_heads_that_do_not_come_are_not_waited_for_and_others_are_served(deployment, authority):
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(connect(url, seconds=SLOWEST_SECONDS))
            for url in (deployment.running.gateway, deployment.running.control)
            for _ in range(SLOW_CONNECTIONS)
        ]
        for connection in slow:
            connection.sendall(b"GET /json HTTP/1.1\r\nHost: gateway\r\nX-A: ")
        assert authority.call("/json").status_code == 200
        for connection in slow:
            assert read_all(connection, 0.1, first_seconds=SLOWEST_SECONDS).closed
        assert time.monotonic() - started < SLOWEST_SECONDS


@pytest.mark.parametrize("side", ["gateway", "control"])
@pytest.mark.parametrize(
    "shape", ["one endless header", "endless headers", "an endless request line"]
)
def test_a_head_without_end_is_cut_off(deployment, side, shape):
    url = getattr(deployment.running, side)
    before = deployment.resident_bytes()
    start = b"GET /json" if shape == "an endless request line" else b"GET / HTTP/1.1\r\nX-A: b"
    piece = b"\r\nX-A: b" * 1000 if shape == "endless headers" else b"a" * 8000
    answer = send_raw(url, start, *[piece] * 1000)
    assert answer.closed
    assert 200 not in answer.statuses
    assert deployment.resident_bytes() - before < 32 * 1024 * 1024


def test_headers_beyond_the_limit_are_refused_with_their_reason(authority, upstream):
    answer = authority.use(authority.mint(), "/json", headers={"x-a": "a" * 17_000})
    assert (answer.status_code, reason(answer)) == (431, "headers_too_large")
    assert not upstream.by_request(answer.headers["x-request-id"])


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(deployment, authority):
    mandate = authority.mint("api:write")
    lines = [f"{name}: {value}" for name, value in authority.headers(mandate).items()]
    announced = head(
        "POST /sink HTTP/1.1", "Host: gateway", *lines, f"Content-Length: {3 * 1024**3}"
    )
    answer = send_raw(deployment.running.gateway, announced)
    assert answer.statuses == [413]
    assert b"body_too_large" in answer.data


@pytest.mark.parametrize("path", ["/oauth/2/token", "/v1/zones/huge", "/zones/huge/agents"])
def test_the_control_side_reads_no_endless_body(deployment, path):
    before = deployment.resident_bytes()
    answer = deployment.http.request(
        "PUT" if "/v1/" in path else "POST",
        f"{deployment.running.control}{path}",
        content=b"a" * (8 * 1024 * 1024),
        headers={**deployment.operator, "content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code in (400, 401, 403, 404, 413, 415, 422), answer.text
    assert deployment.resident_bytes() - before < 32 * 1024 * 1024


def test_calls_without_authority_do_not_fill_the_log(deployment, authority):
    zone = authority.agent.zone
    before = len(zone.evidence())
    spent = authority.mint()
    assert authority.use(spent, "/json").status_code == 200
    for _ in range(300):
        assert authority.use(spent, "/json").status_code == 401
    assert len(zone.evidence()) - before < 200
    metrics = deployment.http.get(f"{deployment.running.gateway}/metrics").text
    assert "caracal_gateway_refusals_unrecorded_total" in metrics
