"""T9: an upstream lies about its length, hangs, closes early, or answers what is not HTTP."""

import time

import httpx
import pytest

from tests.support.deployment import reason

OK = b"HTTP/1.1 200 OK\r\n"
LIES = {
    "nonsense": (b"\x16\x03\x01\x00\x00", "upstream_protocol"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "upstream_protocol"),
    "two lengths": (
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "upstream_protocol",
    ),
    "length and chunks": (
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "upstream_protocol",
    ),
    "a length that is no number": (OK + b"Content-Length: many\r\n\r\n", "upstream_protocol"),
    "a head without an end": (OK + b"X-A: b\r\n", "upstream_closed_early"),
    "nothing at all": (b"", "upstream_closed_early"),
    "an endless head": (OK + b"X-A: " + b"a" * 200_000, "upstream_protocol"),
    "a header with a NUL": (OK + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
    "an upgrade": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "upstream_protocol",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_response_that_is_not_http_is_a_refusal_with_its_reason(authority, upstream, lie):
    name = authority.agent.zone.name
    upstream.raw[name], why = LIES[lie]
    answer = authority.call(f"/raw/{name}")
    assert (answer.status_code, reason(answer)) == (502, why)
    zone = authority.agent.zone
    assert zone.entry(answer.headers["x-request-id"], "call.result")["reason"] == why
    # The connection on which it lied is not used for anybody else.
    assert authority.call("/json").json() == {"rows": [1, 2, 3]}


CUT = {
    "shorter than it says": OK + b"Content-Length: 100\r\n\r\nonly this",
    "a chunk that breaks off": OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\nonly",
    "chunks without a last one": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\n",
    "a chunk size that is no number": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nonly\r\nzz\r\n",
}


@pytest.mark.parametrize("cut", CUT)
def test_a_response_that_breaks_off_never_looks_whole(authority, upstream, cut):
    name = authority.agent.zone.name
    upstream.raw[name] = CUT[cut]
    with authority.stream(f"/raw/{name}") as answer:
        if answer.status_code != 502:
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
    result = authority.agent.zone.entry(answer.headers["x-request-id"], "call.result")
    assert result["reason"] in ("upstream_closed_early", "upstream_protocol")


def test_bytes_after_a_response_are_nobodys_response(authority, upstream):
    name = authority.agent.zone.name
    poison = OK + b"Content-Length: 6\r\n\r\npoison"
    upstream.raw[name] = OK + b"Content-Length: 4\r\n\r\ngood" + poison
    assert authority.call(f"/raw/{name}").text == "good"
    for _ in range(3):
        assert authority.call("/json").json() == {"rows": [1, 2, 3]}


def test_an_upstream_that_hangs_is_given_up(authority, upstream):
    started = time.monotonic()
    answer = authority.call("/hang")
    assert (answer.status_code, reason(answer)) == (504, "upstream_timeout")
    assert time.monotonic() - started < 5
    [seen] = upstream.by_request(answer.headers["x-request-id"])
    assert seen.method == "GET"


def test_a_stream_that_stalls_is_given_up_and_does_not_look_whole(authority, upstream):
    channel = authority.agent.zone.name
    with authority.stream(f"/events?{channel}") as answer:
        upstream.push(channel, "one")
        lines = answer.iter_lines()
        assert next(lines) == "data: one"
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    result = authority.agent.zone.entry(answer.headers["x-request-id"], "call.result")
    assert result["reason"] == "upstream_timeout"


def test_an_upstream_that_is_not_there_is_told_from_one_that_is_slow(deployment, upstream):
    [resource] = deployment.zone().document["resources"]
    closed = f"http://{upstream.authority.rpartition(':')[0]}:1"
    zone = deployment.zone(resources=[resource | {"upstream": closed}])
    answer = zone.agent().authority().call("/json")
    assert answer.status_code == 502
    assert reason(answer) == "egress_refused"
