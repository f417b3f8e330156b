"""Bodies pass in both directions as they come, however large, and events one by one."""

import contextlib
import os
import socket
from urllib.parse import urlsplit

import pytest

MIB = 1024 * 1024
BODY_BYTES = int(os.environ.get("CARACAL_TEST_BODY_MIB", "1024")) * MIB
GROWTH = 64 * MIB
PIECE = bytes(MIB)


@pytest.fixture
def authority(deployment):
    return deployment.zone().agent().authority()


def opened(authority, request_line, *headers):
    """A connection to the Gateway on which the head of a request has been sent."""
    method = request_line.split(" ")[0]
    mandate = authority.mint("api:write" if method == "POST" else "api:read")
    gateway = urlsplit(authority.agent.zone.deployment.running.gateway)
    connection = socket.create_connection((gateway.hostname, gateway.port), timeout=30)
    lines = [
        f"{request_line} HTTP/1.1",
        f"Host: {gateway.netloc}",
        *(f"{name}: {value}" for name, value in authority.headers(mandate).items()),
        *headers,
        "Connection: close",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def test_a_large_download_passes_in_bounded_memory(authority, deployment):
    before = peak = deployment.resident_bytes()
    received = 0
    buffer = memoryview(bytearray(MIB))
    with opened(authority, f"GET /bytes/{BODY_BYTES}") as connection:
        while taken := connection.recv_into(buffer):
            received += taken
            if received % (16 * MIB) < taken:
                peak = max(peak, deployment.resident_bytes())
    assert BODY_BYTES < received < BODY_BYTES + 2048
    assert peak - before < GROWTH


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_large_upload_passes_in_bounded_memory(authority, deployment, upstream, framing):
    size = BODY_BYTES if framing == "content-length" else BODY_BYTES // 4
    before = peak = deployment.resident_bytes()
    chunked = framing == "chunked"
    header = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with opened(authority, "POST /sink", header) as connection:
        for _ in range(size // MIB):
            connection.sendall(b"%x\r\n%s\r\n" % (MIB, PIECE) if chunked else PIECE)
            peak = max(peak, deployment.resident_bytes())
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'{"bytes": %d}' % size in answer
    assert upstream.to("/sink")[-1].body_bytes == size
    assert peak - before < GROWTH


def test_events_pass_one_by_one(authority, upstream):
    with authority.stream("/events?one-by-one") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        for number in range(3):
            # The next is sent only once this one has arrived.
            upstream.push("one-by-one", f"event {number}")
            assert (next(lines), next(lines)) == (f"data: event {number}", "")


def test_a_body_that_the_upstream_reads_slowly_is_not_collected(authority, upstream):
    """What the caller can push in is bounded by what the upstream has taken, not by memory."""
    with opened(authority, "POST /hang?stuck", f"Content-Length: {64 * MIB}") as connection:
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            pushed = 0
            while pushed < 32 * MIB:
                pushed += connection.send(PIECE)
    assert pushed < 32 * MIB
    upstream.push("stuck", "break off")
