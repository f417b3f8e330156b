"""What can be typed, and what a mistyped line gets: one line on stderr and a documented code."""

import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.program import COMMANDS
from caracal_server.cli.up import parse_address

GROUPS = {
    "zone": ("list", "show"),
    "session": ("list", "tree", "kill"),
    "delegation": ("list", "revoke"),
    "user": ("revoke",),
    "tools": ("list", "accept"),
    "evidence": ("tail", "export", "verify", "proof", "receipt", "verify-receipt"),
    "key": ("rotate", "reseal", "rotate-log", "retire-log"),
    "application": ("renew",),
    "operator": ("list", "create", "rotate", "revoke"),
    "release": ("verify",),
}
LEAVES = [
    (command, part)
    for command in COMMANDS
    for part in GROUPS.get(command, ("",))
    if command != "demo"
]
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_help_names_every_command(cli):
    shown = cli("--help").out
    assert all(re.search(rf"\b{command}\b", shown) for command in COMMANDS)


def test_a_bare_caracal_shows_the_help(cli):
    assert cli().out == cli("--help").out


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_help_and_json(cli, words):
    ended = cli(*filter(None, words), "--help")
    assert ended.code == 0
    if words[0] != "run":  # what it prints is its program's
        assert "--json" in ended.out


def test_the_version_is_one_line_or_one_document(cli):
    assert cli("version").out.startswith("caracal 0.")
    document = cli("version", "--json").document
    assert document["version"] in cli("version").out
    assert document["openssl"].startswith("OpenSSL ")
    assert document["tls"] == ssl.OPENSSL_VERSION


@pytest.mark.parametrize(
    "arguments",
    [
        ["verson"],
        ["version", "--jsn"],
        ["version", "surplus"],
        ["apply"],
        ["session"],
        ["session", "end"],
        ["evidence", "proof", "--", "-1"],
        ["evidence", "proof", "first"],
        ["evidence", "export"],
        ["evidence", "receipt", "zone.1.code"],
        ["evidence", "verify-receipt", "no-such-file", "--log-key", "no-key"],
        ["evidence", "tail", "--lines", "-3"],
        ["up", "--control", "8080"],
        ["up", "--gateway", "127.0.0.1:65536"],
        ["apply", "no-such-file.yaml"],
        ["evidence", "verify", "no-such-file.jsonl"],
        ["status"],
    ],
    ids=" ".join,
)
def test_a_wrong_line_is_answered_with_one_line_and_2(cli, arguments):
    ended = cli(*arguments)
    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert ended.err.startswith("caracal: ")
    assert len(ended.err.splitlines()) == 1


def test_a_wrong_line_tells_where_help_is(cli):
    assert "see `caracal session kill --help`" in cli("session", "kill").err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8443", ("::1", 8443)),
    ],
)
def test_an_address_is_a_host_and_a_port(text, address):
    assert parse_address("--control", text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "host", "host:", ":80", "::1:80", "[host]:80", "a b:80", "h:-1", "h:8o", "h:٣"],
)
def test_anything_else_is_no_address(text):
    with pytest.raises(CommandFailed) as failed:
        parse_address("--control", text)
    assert failed.value.code is ExitCode.USAGE


def test_every_exit_code_is_documented():
    documented = re.findall(r"^\| (\d+) \|", PAGE.read_text(), flags=re.MULTILINE)
    assert [int(code) for code in documented] == [int(code) for code in ExitCode]


def test_every_command_is_documented():
    page = PAGE.read_text()
    for command, part in [*LEAVES, ("demo", "")]:
        assert f"`caracal {command} {part}".rstrip() in page


def test_the_module_runs_like_the_program():
    command = [sys.executable, "-m", "caracal_server.cli", "version", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert set(json.loads(finished.stdout)) == {"version", "python", "openssl", "tls"}


def test_completion_offers_the_commands():
    finished = subprocess.run(
        [sys.executable, "-m", "caracal_server.cli", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "_CARACAL_COMPLETE" in finished.stdout
