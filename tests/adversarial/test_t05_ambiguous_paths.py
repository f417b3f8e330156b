"""T5: a path that the Gateway reads in one way and the upstream in another."""

import pytest

from tests.support.deployment import API
from tests.support.raw_http import head, send_raw

UNSAFE = [
    "/public/../json",
    "/public/./json",
    "/public/%2e%2e/json",
    "/public/%2E%2e/json",
    "/public/.%2e/json",
    "/public/%252e%252e/json",
    "/public/..%2fjson",
    "/public/..%5cjson",
    "/public/%2fjson",
    "/public/%252fjson",
    "/public/..;/json",
    "/public/..;a=b/json",
    "/public/%2e%2e;a/json",
    "/public/a;v=1/json",
    "/public/json;v=1",
    "/public/json%3Bv=1",
    "/public/json%3Fa=1",
    "/public/json%23a",
    "/public/json%253Fa=1",
    "/public//json",
    "//json",
    "/public\\json",
    "/public/%5cjson",
    "/public/%00",
    "/public/%0d%0aX: y",
    "/public/%c0%ae%c0%ae/json",
    "/public/%ff",
    "/public/%zz",
    "/public/%",
    "/public/\x01",
    "/public/\u00e9",
    "/public/{x}",
]


@pytest.fixture(scope="module")
def guarded(deployment):
    """Only what is under /public is open."""
    resource = {
        "identifier": API,
        "upstream": f"{deployment.upstream.url}/echo",
        "operations": {"GET /public/{path*}": "api:read"},
    }
    return deployment.zone(resources=[resource]).agent().authority()


def get(authority, target: str):
    gateway = authority.agent.zone.deployment.running.gateway
    carried = authority.headers(authority.mint(), host="gateway", connection="close").items()
    lines = [f"{name}: {value}" for name, value in carried]
    return send_raw(gateway, head(f"GET {target} HTTP/1.1", *lines))


@pytest.mark.parametrize("target", UNSAFE)
def test_what_could_be_read_in_two_ways_reaches_nobody(guarded, upstream, target):
    before = len(upstream.received)
    answer = get(guarded, target)
    assert answer.statuses[:1] in ([400], []), answer.data
    assert b"Traceback" not in answer.data
    assert len(upstream.received) == before
    if b"reason" in answer.data:
        assert b'"path_unsafe"' in answer.data


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/public/a%20b", 200),
        ("/public/caf%C3%A9", 200),
        ("/public/...", 200),
        ("/public/a..b", 200),
        ("/public/a?next=../../etc", 200),
        ("/private/a", 403),
        ("/PUBLIC/a", 403),
        ("/public", 403),
        ("/", 403),
    ],
)
def test_what_has_one_meaning_is_decided_on_and_goes_out_byte_for_byte(
    guarded, upstream, target, status
):
    answer = get(guarded, target)
    assert answer.statuses == [status], answer.data
    assert (upstream.received[-1].target == f"/echo{target}") is (status == 200)


def test_an_absolute_target_does_not_choose_where_the_call_goes(guarded, upstream):
    before = len(upstream.received)
    answer = get(guarded, "http://169.254.169.254/public/a")
    assert answer.statuses[0] in (200, 400, 403)
    for seen in upstream.received[before:]:
        assert seen.target == "/echo/public/a"
        assert seen.header("host") == upstream.authority


def test_a_fragment_is_no_part_of_what_is_decided_on_and_does_not_go_out(guarded, upstream):
    assert get(guarded, "/public/a#/../private").statuses == [200]
    assert upstream.received[-1].target == "/echo/public/a"
