"""The page on conformance belongs to the suite in the lock; the forwarder of its runs adds a token and nothing else."""

import json
import re
import socket

from tests.conformance.bearer import forwarder, with_token
from tests.conformance.reasons import FAILING
from tests.conformance.suite import HERE, PACKAGE, REVISIONS, locked_version
from tools.repository import ROOT

PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `([^`]+)` \| (passed|failed|not applicable) \|")
LOCK = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
PACKAGES = {name: told for name, told in LOCK["packages"].items() if name}


def rows(title):
    section = PAGE.split(f"\n### {title}\n", 1)[1].split("\n###", 1)[0]
    return ROW.findall(section)


def test_the_page_is_of_the_locked_version():
    assert f"`{PACKAGE}` {locked_version()}:" in PAGE
    assert locked_version().startswith("0.2.")


def test_the_page_counts_its_scenarios_right():
    for kind in ("servers", "authorization servers"):
        for revision in REVISIONS:
            title = f"{kind}, {revision}"
            found = [outcome for _, outcome in rows(title[0].upper() + title[1:])]
            counts = (found.count(one) for one in ("passed", "failed", "not applicable"))
            assert f"| {title} | {' | '.join(map(str, counts))} |" in PAGE
            assert "passed" in found


def test_the_page_explains_what_failed_and_nothing_else():
    failed = {name for name, outcome in ROW.findall(PAGE) if outcome == "failed"}
    assert failed == FAILING.keys()


def test_the_lock_pins_what_is_installed_and_names_no_registry():
    assert all(told["integrity"].startswith("sha512-") for told in PACKAGES.values())
    assert not any("resolved" in told for told in PACKAGES.values())
    assert LOCK["packages"][""]["dependencies"][PACKAGE] == locked_version()


def test_the_token_is_added_and_the_rest_is_left_alone():
    sent = b"POST /mcp HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nMcp-Method: ping"
    assert with_token(sent, "TOKEN") == (
        b"POST /mcp HTTP/1.1\r\nHost: a\r\nMcp-Method: ping\r\n"
        b"Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
    )


def test_a_request_and_its_answer_are_forwarded():
    with (
        socket.create_server(("127.0.0.1", 0)) as gateway,
        forwarder(gateway.getsockname(), lambda: "TOKEN") as authority,
        socket.create_connection(("127.0.0.1", int(authority.rpartition(":")[2])), 10) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")
        served, _ = gateway.accept()
        with served:
            arrived = b""
            while not arrived.endswith(b"ab"):
                arrived += served.recv(4096)
            served.sendall(b"HTTP/1.1 200 OK\r\n\r\nanswer")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert b"\r\nAuthorization: Bearer TOKEN\r\n" in arrived
    assert answer == b"HTTP/1.1 200 OK\r\n\r\nanswer"
