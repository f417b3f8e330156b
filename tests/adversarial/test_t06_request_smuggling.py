"""T6: bytes that two parsers would cut into different requests, on a raw connection to the listener."""

import pytest

from tests.support.deployment import reason
from tests.support.raw_http import head, send_raw

HIDDEN = "/json?smuggled"


@pytest.fixture
def attack(deployment, shared_authority, upstream):
    """Send pieces after a valid bearer's headers; return the answers, after nothing hidden got through."""

    def send(method: str, framing: list[str | bytes], *body: bytes, version: str = "HTTP/1.1"):
        authority = shared_authority
        mandate = authority.mint("api:write" if method == "POST" else "api:read")
        lines = [f"{name}: {value}" for name, value in authority.headers(mandate).items()]
        start = head(f"{method} /echo?visible {version}", "Host: gateway", *lines, *framing)
        second = head(f"GET {HIDDEN} HTTP/1.1", "Host: gateway", *lines)
        pieces = [piece.replace(b"<HIDDEN>", second) for piece in body]
        before = len(upstream.received)
        answer = send_raw(deployment.running.gateway, start, *pieces)
        arrived = [seen.target for seen in upstream.received[before:]]
        assert all(target == "/echo?visible" for target in arrived), arrived
        assert len(arrived) <= 1
        assert not [status for status in answer.statuses if status >= 500], answer.data
        assert b"Traceback" not in answer.data
        return answer, len(arrived)

    return send


CL_TE = ["Content-Length: 4", "Transfer-Encoding: chunked"]

REFUSED = {
    "Content-Length and Transfer-Encoding": (CL_TE, b"0\r\n\r\n<HIDDEN>"),
    "Transfer-Encoding and Content-Length": (CL_TE[::-1], b"0\r\n\r\n<HIDDEN>"),
    "two Content-Lengths": (["Content-Length: 0", "Content-Length: 40"], b"<HIDDEN>"),
    "the same Content-Length twice": (["Content-Length: 4"] * 2, b"abcd<HIDDEN>"),
    "a list of Content-Lengths": (["Content-Length: 4, 4"], b"abcd<HIDDEN>"),
    "a signed Content-Length": (["Content-Length: +4"], b"abcd<HIDDEN>"),
    "a negative Content-Length": (["Content-Length: -1"], b"<HIDDEN>"),
    "a hexadecimal Content-Length": (["Content-Length: 0x4"], b"abcd<HIDDEN>"),
    "an empty Content-Length": (["Content-Length: "], b"<HIDDEN>"),
    "a Content-Length beyond every number": (["Content-Length: " + "9" * 30], b"<HIDDEN>"),
    "Content_Length beside it": (["Content-Length: 4", "Content_Length : 0"], b"abcd<HIDDEN>"),
    "a space before the colon": (["Content-Length : 4"], b"abcd<HIDDEN>"),
    "a folded header": (["Transfer-Encoding:", " chunked"], b"0\r\n\r\n<HIDDEN>"),
    "a header on a tab": (["X-A: b", "\tTransfer-Encoding: chunked"], b"0\r\n\r\n<HIDDEN>"),
    "two codings": (["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n<HIDDEN>"),
    "a coding that is not the last": (["Transfer-Encoding: chunked, gzip"], b"0\r\n\r\n<HIDDEN>"),
    "an unknown coding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n<HIDDEN>"),
    "two Transfer-Encodings": (["Transfer-Encoding: chunked"] * 2, b"0\r\n\r\n<HIDDEN>"),
    "a bare line feed": ([b"X-A: b\nTransfer-Encoding: chunked"], b"0\r\n\r\n<HIDDEN>"),
    "a bare carriage return": ([b"X-A: b\rContent-Length: 0"], b"<HIDDEN>"),
    "a NUL in a header": ([b"X-A: b\0c"], b"<HIDDEN>"),
    "a header without a name": ([": nothing"], b"<HIDDEN>"),
    "a header without a colon": (["X-A"], b"<HIDDEN>"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_framing_with_two_meanings_is_refused(attack, name):
    framing, body = REFUSED[name]
    answer, _ = attack("POST", framing, body)
    assert 200 not in answer.statuses, answer.data


CHUNK_TRICKS = {
    "a chunk that is larger than it says": b"2\r\nabcdef\r\n0\r\n\r\n<HIDDEN>",
    "a chunk size with a sign": b"+2\r\nab\r\n0\r\n\r\n<HIDDEN>",
    "a chunk size with 0x": b"0x2\r\nab\r\n0\r\n\r\n<HIDDEN>",
    "a chunk size that overflows": b"ffffffffffffffff0\r\nab\r\n0\r\n\r\n<HIDDEN>",
    "a chunk size without digits": b"\r\nab\r\n0\r\n\r\n<HIDDEN>",
    "a chunk that ends without CRLF": b"2\r\nab0\r\n\r\n<HIDDEN>",
    "a negative chunk": b"-1\r\nab\r\n0\r\n\r\n<HIDDEN>",
}


@pytest.mark.parametrize("name", CHUNK_TRICKS)
def test_broken_chunks_never_make_a_second_request(attack, name):
    answer, _ = attack("POST", ["Transfer-Encoding: chunked"], CHUNK_TRICKS[name])
    # Whatever came of the first, the hidden one brings the same mandate again and is refused.
    assert answer.statuses.count(200) <= 1


@pytest.mark.parametrize(
    "framing",
    [["Content-Length: 0"], ["Content-Length: 3"], []],
    ids=["Content-Length 0", "a shorter Content-Length", "no length"],
)
def test_what_follows_a_whole_request_is_a_request_of_its_own_and_judged_as_one(attack, framing):
    body = b"abc" if framing == ["Content-Length: 3"] else b""
    answer, arrived = attack("POST", framing, body + b"<HIDDEN>")
    assert (answer.statuses, arrived) == ([200, 401], 1)
    assert b"mandate_replayed" in answer.data


def test_a_request_in_the_body_of_a_refused_one_is_a_body(deployment, authority, upstream):
    mandate = authority.mint()
    hidden = head(f"GET {HIDDEN} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {mandate}",
                  "X-Caracal-Resource: resource://api")  # fmt: skip
    for refused_for in ("Authorization: Bearer none", "X-Nothing: here"):
        first = head("POST /echo HTTP/1.1", "Host: gateway", refused_for,
                     f"Content-Length: {len(hidden)}")  # fmt: skip
        before = len(upstream.received)
        answer = send_raw(deployment.running.gateway, first + hidden)
        assert answer.statuses == [401]
        assert len(upstream.received) == before
    assert authority.use(mandate, "/json").status_code == 200


@pytest.mark.parametrize(
    "header", ["Authorization", "X-Caracal-Resource", "Host", "Content-Length"]
)
def test_a_header_that_decides_stands_once(attack, header):
    values = {
        "Authorization": "Bearer other",
        "X-Caracal-Resource": "resource://other",
        "Host": "other",
        "Content-Length": "0",
    }
    more = [f"{header.upper()}: {values[header]}"]
    more += more if header == "Content-Length" else []
    answer, arrived = attack("GET", more)
    assert (answer.statuses, arrived) == ([400], 0)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "get", "G T", "PRI"])
def test_methods_that_mirror_or_tunnel_are_not_passed_on(attack, method):
    answer, arrived = attack(method, [])
    assert arrived == 0
    assert not [status for status in answer.statuses if status == 200]


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1"])
def test_only_the_version_that_frames_reliably_is_served(attack, version):
    answer, arrived = attack("GET", [], version=version)
    assert (answer.statuses, arrived) == ([400], 0)


def test_an_upgrade_is_not_a_way_around(attack):
    for framing in (
        [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: eA==",
            "Sec-WebSocket-Version: 13",
        ],
        [
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        ],
    ):
        answer, _ = attack("GET", framing, b"<HIDDEN>")
        assert 101 not in answer.statuses


def test_the_control_side_is_as_strict(deployment):
    for framing in (CL_TE, ["Content-Length: 1", "Content-Length: 2"], ["Content-Length: -1"]):
        start = head(
            "POST /oauth/2/token HTTP/1.1",
            "Host: control",
            "Content-Type: application/x-www-form-urlencoded",
            *framing,
        )
        answer = send_raw(deployment.running.control, start, b"0\r\n\r\n")
        assert 200 not in answer.statuses
        assert not [status for status in answer.statuses if status >= 500], answer.data


def test_the_reason_is_told(deployment, authority):
    answer = authority.use(authority.mint(), "/json", headers={"x-caracal-client-id": "somebody"})
    assert (answer.status_code, reason(answer)) == (400, "routing_forbidden_header")
