"""T7: headers that pretend to come from the Gateway, or that take the credential's place."""

import pytest

from tests.support.deployment import API, eventually
from tests.support.raw_http import head, send_raw

SECRET = "the-upstreams-own-key-5c1"


@pytest.fixture
def authority(deployment):
    resource = {
        "identifier": API,
        "upstream": deployment.upstream.url,
        "provider": "custody",
        "operations": {"GET /{path*}": "api:read"},
    }
    custody = {"name": "custody", "kind": "api_key", "header": "X-Api-Key", "secret": SECRET}
    return deployment.zone(providers=[custody], resources=[resource]).agent().authority()


FORGED = {
    "x-caracal-identity": "forged",
    "X_Caracal_Identity": "forged",
    "x-caracal-zone": "forged",
    "x-api-key": "forged",
    "X_Api_Key": "forged",
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "forged",
    "forwarded": "for=6.6.6.6",
    "x-real-ip": "6.6.6.6",
    "x-client-ip": "6.6.6.6",
    "true-client-ip": "6.6.6.6",
    "x-original-host": "forged",
    "proxy-authorization": "Basic Zm9yZ2Vk",
    "te": "trailers",
    "connection": "keep-alive, x-kept-out",
    "x-kept-out": "forged",
    "baggage": "caracal.zone=forged,kept=yes",
    "traceparent": "forged",
    "tracestate": "forged=1",
    "expect": "100-continue",
}


def test_what_only_the_gateway_says_is_not_taken_from_callers(authority, upstream):
    answer = authority.call("/json", headers=FORGED | {"x-passed-on": "yes"})
    assert answer.status_code == 200
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    text = "\n".join(f"{name}: {value}" for name, value in seen.headers)
    assert "forged" not in text.replace("x-forwarded-host", "")
    assert "6.6.6.6" not in text
    assert seen.header("x-api-key") == SECRET
    assert seen.header("authorization") is None
    assert seen.header("baggage") == "kept=yes"
    assert seen.header("x-passed-on") == "yes"
    assert seen.header("x-forwarded-for") == "127.0.0.1"
    assert seen.header("host") == upstream.authority


def test_a_connection_header_does_not_take_the_credential_out(authority, upstream):
    answer = authority.call("/json", headers={"connection": "x-api-key, x-request-id, host"})
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    assert seen.header("x-api-key") == SECRET


def test_what_the_upstream_forges_is_not_handed_back(authority):
    answer = authority.call("/echo")
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("x-caracal-forged")]
    assert "server" not in answer.headers
    assert len(answer.headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize(
    "identity", ["a b", "a\tb", "x" * 129, "\u00e9", "<script>", '"', ""], ids=repr
)
def test_a_request_id_that_could_break_a_log_is_replaced(authority, identity):
    zone = authority.agent.zone
    carried = authority.headers(authority.mint(), host="gateway", connection="close")
    lines = [f"{name}: {value}" for name, value in carried.items()]
    answer = send_raw(
        zone.deployment.running.gateway,
        head("GET /json HTTP/1.1", *lines, f"X-Request-Id: {identity}"),
    )
    assert answer.statuses == [200]
    [call] = eventually(lambda: zone.evidence(kind="call"))
    assert call["request"] != identity
    assert call["request"].encode() in answer.data


def test_a_line_break_never_gets_into_a_header(authority, upstream):
    zone = authority.agent.zone
    carried = authority.headers(authority.mint(), host="gateway", connection="close")
    lines = [f"{name}: {value}" for name, value in carried.items()]
    for injected in (b"X-A: b\rX-Api-Key: forged", b"X-A: b\nX-Api-Key: forged", b"X-A: b\0"):
        before = len(upstream.received)
        send_raw(zone.deployment.running.gateway, head("GET /json HTTP/1.1", *lines, injected))
        for seen in upstream.received[before:]:
            assert seen.header("x-api-key") == SECRET
