"""curl and Python, as they are: what a resource answers reaches them, and nothing else does."""

import json
import socket
import subprocess
from urllib.parse import urlsplit

import pytest

from tests.run.launching import Launching, found
from tests.support.deployment import API, eventually

NAME = "http://reports.example/v1"


@pytest.fixture(scope="module")
def curl():
    return found("curl")


def test_a_base_url_leads_to_the_resource(launching, curl, upstream):
    done = launching.run("sh", "-c", f'{curl} -sS "$CARACAL_URL_API/json?page=2"')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    seen = upstream.received[-1]
    assert seen.target == "/json?page=2"
    assert seen.header("authorization") is None


def test_a_url_of_the_upstream_goes_through_the_proxy(launching, curl, upstream):
    done = launching.run(curl, "-sS", f"{NAME}/json", CARACAL_RESOURCES=f"{API}={NAME}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert upstream.received[-1].target == "/json"


@pytest.fixture(scope="module")
def wrapped(deployment):
    """A program that waits, and what its environment says: tests act as that program."""
    with Launching(deployment.zone()).waiting(CARACAL_RESOURCES=f"{API}={NAME}") as (
        _,
        environment,
    ):
        yield environment


def curled(curl, environment, *arguments, stdin=b""):
    return subprocess.run(
        [curl, "-sS", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=30,
        env=dict(environment),
    )


def test_one_connection_carries_one_request_after_another(wrapped, curl, upstream):
    url = wrapped["CARACAL_URL_API"]
    done = curled(curl, wrapped, "-w", "%{num_connects} ", f"{url}/json?a", f"{url}/json?b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"}1 ") + done.stdout.count(b"}0 ") == 2
    assert [seen.target for seen in upstream.received[-2:]] == ["/json?a", "/json?b"]


@pytest.mark.parametrize("framing", ["Content-Length:", "Transfer-Encoding: chunked"])
def test_a_body_streams_to_the_upstream(wrapped, curl, upstream, framing):
    body = bytes(range(256)) * 8192
    more = [] if framing.startswith("Content") else ["-H", framing]
    url = f"{wrapped['CARACAL_URL_API']}/sink"
    done = curled(curl, wrapped, *more, "--data-binary", "@-", url, stdin=body)
    assert json.loads(done.stdout) == {"bytes": len(body)}
    assert upstream.received[-1].body_bytes == len(body)


def test_a_large_answer_comes_whole(wrapped, curl):
    done = curled(curl, wrapped, f"{NAME}/bytes/3000000")
    assert len(done.stdout) == 3_000_000


def test_head_and_the_headers_of_an_answer_pass(wrapped, curl):
    done = curled(curl, wrapped, "-I", f"{NAME}/json")
    head = done.stdout.lower()
    assert head.startswith(b"http/1.1 200")
    assert b"caracal-receipt:" in head
    assert b"content-length:" in head


def test_a_redirect_stays_below_the_base_url(wrapped, curl, upstream):
    upstream.raw["moved"] = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /json?moved\r\nContent-Length: 0\r\n\r\n"
    )
    done = curled(curl, wrapped, "-L", f"{wrapped['CARACAL_URL_API']}/raw/moved")
    assert done.returncode == 0, done.stderr
    assert upstream.received[-1].target == "/json?moved"


def test_an_answer_that_breaks_off_is_seen_to(wrapped, curl):
    done = curled(curl, wrapped, f"{NAME}/close")
    assert done.returncode in (18, 56)
    assert b"only the beginning" in done.stdout


def test_whoever_goes_away_is_seen_to_by_the_upstream(wrapped, upstream):
    url = urlsplit(wrapped["CARACAL_URL_API"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        request = f"GET {url.path}/hang HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n"
        before = len(upstream.received)
        connection.sendall(request.encode())
        eventually(lambda: len(upstream.received) > before)
        seen = upstream.received[-1]
        assert not seen.gone
    eventually(lambda: seen.gone)


def test_a_refused_call_says_why_in_text_and_in_json(launching, curl):
    script = (
        f'{curl} -sS -X DELETE -w "%{{http_code}}\n" "$CARACAL_URL_API/json";'
        f'{curl} -sS -X DELETE -H "Accept: application/json" "$CARACAL_URL_API/json"'
    )
    done = launching.run("sh", "-c", script)
    text, status, document = done.stdout.splitlines()
    assert text.startswith("caracal: could not call")
    assert "[operation_undeclared]" in text
    assert status == "403"
    error = json.loads(document)["error"]
    assert (error["type"], error["code"]) == ("caracal_refused", "operation_undeclared")
    assert error["request_id"]
    assert done.stderr.count("[operation_undeclared]") == 1, "it is said once to whoever started it"


def test_a_tunnel_to_a_governed_host_is_refused_with_the_way_to_go(launching, curl):
    done = launching.run(
        curl,
        "-sS",
        "https://secure.example/json",
        options=(*launching.options, "--map", f"API_BASE={API}"),
        CARACAL_RESOURCES=f"{API}=https://secure.example",
    )
    assert done.returncode == 56
    assert "403" in done.stderr
    assert f"secure.example is governed as {API}" in done.stderr
    assert "have the program use the base URL in API_BASE, CARACAL_URL_API" in done.stderr


def test_other_hosts_are_reached_only_when_they_are_let_go(launching, curl, upstream):
    # Without what is excepted from the proxy: the program's own machine.
    ask = (curl, "-sS", "--noproxy", "", "-w", "%{http_code}")
    url = f"{upstream.url}/json?direct"
    refused = launching.run(*ask, url)
    assert refused.stdout.endswith("403")
    assert "--allow-direct" in refused.stderr
    script = f'{" ".join(ask[:3])} "" {url} && {" ".join(ask[:3])} "" --proxytunnel {url}'
    options = (*launching.options, "--allow-direct", upstream.authority)
    before = len(upstream.received)
    allowed = launching.run("sh", "-c", script, options=options)
    assert allowed.returncode == 0, allowed.stderr
    assert [seen.target for seen in upstream.received[before:]] == ["/json?direct"] * 2


def test_a_resource_on_this_machine_goes_through_the_proxy(launching, curl, upstream):
    url = f"{upstream.url}/json"
    done = launching.run(curl, "-sSi", url, CARACAL_RESOURCES=f"{API}={upstream.url}")
    assert b"caracal-receipt" in done.stdout.lower().encode()


def test_an_operator_ends_it_and_the_next_call_says_so(launching, curl):
    script = f"while read -r _; do {curl} -s $CARACAL_URL_API/json; echo; done"
    session = 'echo "$CARACAL_RUN_SESSION_ID"'
    with launching.started("sh", "-c", f"{session}; {script}") as process:
        killed = process.stdout.readline().decode().strip()
        process.stdin.write(b"call\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"{")
        launching.zone.kill(killed)
        process.stdin.write(b"call\n")
        process.stdin.close()
        told = process.stdout.readline().decode()
        assert told.startswith("caracal: could not")
        assert "[session_" in told or "[mandate_revoked]" in told or "[delegation_" in told
        assert process.wait(20) == 0
        assert "caracal: " in process.stderr.read().decode()
