"""T42: a program under `caracal run`, or a neighbour of it, goes around the launcher or uses its proxy for more."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from caracal.run.exchange import Exchange
from caracal.run.neighbours import makers
from caracal.run.proxy import Proxy
from caracal.run.routes import Directory
from caracal.tokens.secret import Secret
from caracal.wire.upstream_url import UpstreamUrl
from tests.run.launching import Launching, found
from tests.support.deployment import API, eventually
from tests.support.raw_http import head, send_raw

NAME = "http://reports.example"
CORPUS = Path(__file__).parents[1] / "run" / "request_lines.txt"


@pytest.fixture(scope="module")
def launching(deployment):
    return Launching(deployment.zone(), environment={"CARACAL_RESOURCES": f"{API}={NAME}"})


@pytest.fixture(scope="module")
def inside(launching):
    """A wrapped program's environment, and its launcher's process."""
    with launching.waiting(CLOUD_LOGIN="in-the-shell") as (process, environment):
        yield environment | {"LAUNCHER": str(process.pid)}


@pytest.fixture
def calls(upstream):
    """What reached the upstream since the test began."""
    before = len(upstream.received)
    return lambda: upstream.received[before:]


def proxy(inside) -> str:
    url = urlsplit(inside["HTTP_PROXY"])
    return f"http://{url.hostname}:{url.port}"


def base(inside) -> str:
    return urlsplit(inside["CARACAL_URL_API"]).path


def proof(inside) -> str:
    url = urlsplit(inside["HTTP_PROXY"])
    return "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Proxy-Authorization: Basic Y2FyYWNhbDp4",),
        ("Authorization: Basic Y2FyYWNhbDp4",),
        ("Proxy-Authorization: Bearer x",),
    ],
)
def test_a_neighbour_without_the_runs_credential_gets_nothing(inside, calls, headers):
    for line in (f"GET {NAME}/json HTTP/1.1", "CONNECT reports.example:443 HTTP/1.1"):
        answered = send_raw(proxy(inside), head(line, "Host: x", *headers))
        assert answered.statuses == [407]
        assert answered.closed
    for path in (
        "/",
        "/r/",
        "/r/x/api/json",
        f"/r/{'0' * 48}/api/json",
        base(inside)[:-5] + "x/api",
    ):
        answered = send_raw(proxy(inside), head(f"GET {path} HTTP/1.1", "Host: x", *headers))
        assert answered.statuses == [404]
    assert calls() == []


def test_two_credentials_are_none(inside, calls):
    header = f"Proxy-Authorization: {proof(inside)}"
    answered = send_raw(proxy(inside), head(f"GET {NAME}/json HTTP/1.1", "Host: x", header, header))
    assert answered.statuses == [407]
    assert calls() == []


def test_the_proxy_is_on_loopback_only(inside):
    port = urlsplit(proxy(inside)).port
    listening = [
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]
    assert listening == [f"0100007F:{port:04X}"]


SMUGGLED = "GET {base}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5, 6",),
        ("Content-Length: +5",),
        ("Content-Length: 0x5",),
        ("Content-Length : 5",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("X: y\x00z",),
        ("X: y\rTransfer-Encoding: chunked",),
        ("Host: y",),
        ("X y",),
    ],
)
def test_ambiguous_framing_is_refused_and_ends_the_connection(inside, calls, lines):
    request = head(f"POST {base(inside)}/sink HTTP/1.1", "Host: x", *lines)
    smuggled = SMUGGLED.format(base=base(inside)).encode()
    answered = send_raw(proxy(inside), request + b"0\r\n\r\n" + smuggled)
    assert answered.statuses == [400]
    assert answered.closed
    assert calls() == []


def test_chunks_in_the_old_protocol_are_refused(inside, calls):
    request = head(f"POST {base(inside)}/sink HTTP/1.0", "Transfer-Encoding: chunked")
    assert send_raw(proxy(inside), request + b"0\r\n\r\n").statuses == [400]
    assert calls() == []


@pytest.mark.parametrize("body", [b"zz\r\nabc\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n"])
def test_broken_chunks_are_nobodys_request(inside, calls, body):
    request = head(f"POST {base(inside)}/sink HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
    smuggled = SMUGGLED.format(base=base(inside)).encode()
    answered = send_raw(proxy(inside), request + body + smuggled)
    assert answered.closed
    assert 200 not in answered.statuses
    assert [call.target for call in calls() if "smuggled" in call.target] == []


def test_a_head_without_end_is_cut_off(inside, calls):
    request = f"GET {base(inside)}/json HTTP/1.1\r\nHost: x\r\nX: ".encode()
    answered = send_raw(proxy(inside), request, b"a" * 200_000)
    assert answered.closed
    assert answered.statuses in ([400], [])
    assert calls() == []


def test_no_kept_request_line_reaches_anything_but_the_resource(inside, calls, upstream):
    secret = base(inside).split("/")[2]
    lines = [line for line in CORPUS.read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        request = head(
            f"{line.replace('CRED', secret)} HTTP/1.1",
            f"Proxy-Authorization: {proof(inside)}",
            "Host: x",
            "Connection: close",
        )
        answered = send_raw(proxy(inside), request)
        assert len(answered.statuses) == 1, line
        assert answered.closed, line
    reached = {call.target.partition("?")[0] for call in calls()}
    assert reached <= {"/", "/x", "//twice"}
    assert all(call.header("authorization") is None for call in calls())
    assert upstream.received is not None


def test_a_program_can_not_speak_for_another_resource_or_application(inside, calls):
    request = head(
        f"GET {base(inside)}/json HTTP/1.1",
        "Host: x",
        "Authorization: Bearer stolen",
        "X-Caracal-Resource: resource://other",
        "X-Forwarded-For: 10.0.0.1",
        "Connection: close, X-Caracal-Resource",
    )
    answered = send_raw(proxy(inside), request)
    assert answered.statuses == [200]
    (call,) = calls()
    names = {name for name, _ in call.headers}
    assert not names & {"authorization", "x-caracal-resource", "proxy-authorization"}
    assert call.header("x-forwarded-for") != "10.0.0.1"


def test_a_page_that_led_somewhere_does_not_tell_the_upstream_the_runs_credential(inside, calls):
    request = head(
        f"GET {base(inside)}/json HTTP/1.1",
        "Host: x",
        f"Referer: {inside['CARACAL_URL_API']}/page",
        f"X-Came-From: {base(inside)}/page",
        "X-Kept: yes",
        "Connection: close",
    )
    assert send_raw(proxy(inside), request).statuses == [200]
    (call,) = calls()
    assert call.header("x-kept") == "yes"
    assert base(inside).split("/")[2] not in str(call.headers)


async def _answer_to(user, connect):
    """What a proxy for one user answers to a connection of this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    unused = httpx.AsyncHTTPTransport()
    exchange = Exchange(UpstreamUrl.parse("http://127.0.0.1:1"), {}, unused, lambda _: None)
    serving = Proxy(Directory((), port, Secret("c" * 48)), exchange, user)
    async with await asyncio.start_server(serving.serve, sock=listening):
        reader, writer = await asyncio.open_connection(sock=connect(port))
        writer.write(head("GET /r/x HTTP/1.1", "Host: x", "Connection: close"))
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def _by_ipv4(port):
    return socket.create_connection(("127.0.0.1", port))


def _by_ipv6(port):
    connection = socket.socket(socket.AF_INET6)
    connection.connect(("::ffff:127.0.0.1", port))
    return connection


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
@pytest.mark.parametrize("connect", [_by_ipv4, _by_ipv6])
async def test_another_user_who_saw_the_credential_in_a_command_line_is_not_served(connect):
    assert b" 404 " in await _answer_to(os.geteuid(), connect)
    assert await _answer_to(os.geteuid() + 1, connect) == b""


def test_a_connection_is_known_by_both_its_ports_and_every_socket_that_has_them():
    row = "0: 0100007F:{far} 0100007F:{near} {state} 0:0 0:0 0 {user} 0 1"
    elsewhere = "5: 0500000A:0050 0600000A:1F90 01 0:0 0:0 0 11 0 1"
    lines = [
        row.format(far="0050", near="1F90", state="01", user=7),
        row.format(far="1F90", near="0050", state="01", user=8),
        row.format(far="0050", near="1F90", state="06", user=0),
        row.format(far="0051", near="1F90", state="01", user=9),
        row.format(far="0050", near="1F90", state="01", user=10),
        elsewhere,
    ]
    assert list(makers(["\n".join(["sl", *lines])], 0x1F90, 0x50)) == [7, 10]


def test_tunnels_and_addresses_that_nobody_let_go_are_refused(inside, calls):
    header = f"Proxy-Authorization: {proof(inside)}"
    for line in (
        "CONNECT 169.254.169.254:80 HTTP/1.1",
        "CONNECT localhost:22 HTTP/1.1",
        "GET http://169.254.169.254/latest/meta-data HTTP/1.1",
        "GET http://127.0.0.1:22/ HTTP/1.1",
    ):
        answered = send_raw(proxy(inside), head(line, "Host: x", header))
        assert answered.statuses == [403]
    assert calls() == []


def test_no_secret_is_in_the_programs_environment(launching, inside):
    visible = json.dumps(inside)
    assert launching.secret not in visible
    assert "in-the-shell" not in visible
    folder = Path("/proc") / inside["LAUNCHER"] / "task" / inside["LAUNCHER"] / "children"
    child = folder.read_text().split()[0]
    environ = (Path("/proc") / child / "environ").read_bytes()
    assert launching.secret.encode() not in environ
    assert b"in-the-shell" not in environ
    arguments = (Path("/proc") / child / "cmdline").read_bytes()
    assert launching.secret.encode() not in arguments


def test_a_program_of_the_same_user_can_not_look_into_the_launcher(launching):
    """Root without its capabilities is a user like any other; with them it reads everything."""
    script = (
        "import os\n"
        "for name in ('environ', 'mem', 'maps'):\n"
        "    try: open(f'/proc/{os.getppid()}/{name}', 'rb').read(1); print('read', name)\n"
        "    except PermissionError: print('refused', name)\n"
    )
    plain = (
        [found("setpriv"), "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    )
    done = subprocess.run(
        [*plain, *launching.command(sys.executable, "-c", script)],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
        env=launching.environment,
    )
    assert done.stdout.split("\n")[:3] == ["refused environ", "refused mem", "refused maps"], (
        done.stderr
    )


def test_when_the_session_is_ended_the_proxy_leads_nowhere(launching, calls):
    with launching.waiting() as (process, environment):
        url = f"http://{urlsplit(environment['CARACAL_URL_API']).netloc}"
        request = head(f"GET {base(environment)}/json HTTP/1.1", "Host: x", "Connection: close")
        assert send_raw(url, request).statuses == [200]
        launching.zone.kill(environment["CARACAL_RUN_SESSION_ID"])
        answered = send_raw(url, request)
        assert answered.statuses == [403]
        assert b"session" in answered.data
        assert len(calls()) == 1
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_launcher_that_is_killed_leaves_no_way_through(launching, calls):
    with launching.waiting() as (process, environment):
        url = urlsplit(environment["CARACAL_URL_API"])
        process.kill()
        process.wait(20)
        eventually(lambda: _closed(url.hostname, url.port))
    assert calls() == []


def _closed(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return True
    return False
