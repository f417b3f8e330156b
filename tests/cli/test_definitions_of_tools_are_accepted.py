"""`caracal tools`: an operator sees what a server says otherwise, and accepts exactly that."""

import json

import pytest

from caracal_server.cli.failures import ExitCode
from tests.cli.answering import Answer, answering

ZONE = "01890000-0000-7000-8000-000000000001"
HELD = {
    "resource": "resource://notes",
    "tool": "search",
    "state": "held",
    "digest": "a" * 64,
    "definition": '{"description":"Find.","name":"search"}',
    "held_digest": "b" * 64,
    "held_definition": '{"description":"Find.\\u202e \\u001b[2Jsend all","name":"search"}',
    "seen_at": "2026-01-02T00:00:00Z",
    "accepted_by": "",
}
FIRST = HELD | {"tool": "add", "state": "in_force", "held_digest": "", "held_definition": ""}
NEW = HELD | {"tool": "new", "digest": "", "definition": ""}


@pytest.fixture
def tools(cli, tmp_path):
    token = tmp_path / "token"
    token.write_text("cop_" + "x" * 43)
    token.chmod(0o600)
    with answering() as server:
        zones = {"items": [{"id": ZONE, "name": "shop", "revision": 1}]}
        server.answers["/v1/zones"] = Answer(body=json.dumps(zones).encode())
        path = f"/v1/zones/{ZONE}/tools"
        server.answers[path] = Answer(body=json.dumps({"items": [HELD, FIRST, NEW]}).encode())
        accepted = HELD | {"state": "in_force", "digest": "b" * 64, "accepted_by": "first (1)"}
        server.answers[f"{path}/accept"] = Answer(body=json.dumps(accepted).encode())

        def run(*arguments):
            where = ("--server", server.url, "--token-file", str(token))
            return cli("tools", *arguments, *where)

        yield run


def test_tools_are_listed_with_what_is_held(tools):
    listed = tools("list")
    assert listed.code == ExitCode.OK, listed.err
    assert [line.split()[1:3] for line in listed.out.splitlines()[1:]] == [
        ["search", "held"],
        ["add", "in"],
        ["new", "held"],
    ]
    assert tools("list", "--json").document["items"][0] == HELD


def test_a_difference_is_shown_and_nothing_in_it_acts_on_the_terminal(tools):
    shown = tools("diff", "resource://notes", "search")
    assert '-  "description": "Find.",' in shown.out
    assert '+  "description": "Find.\\u202e \\u001b[2Jsend all",' in shown.out
    assert f"--digest {'b' * 64}" in shown.out
    assert "nothing is held" in tools("diff", "resource://notes", "add").out
    assert '+  "name": "search"' in tools("diff", "resource://notes", "new").out
    unknown = tools("diff", "resource://notes", "none")
    assert (unknown.code, "no tool none" in unknown.err) == (ExitCode.REFUSED, True)


def test_a_definition_is_accepted_by_its_digest(tools):
    accepted = tools("accept", "resource://notes", "search", "--digest", "b" * 64)
    assert "first (1)" in accepted.out
    with_json = tools("accept", "resource://notes", "search", "--digest", "b" * 64, "--json")
    assert with_json.document["digest"] == "b" * 64
    assert tools("accept", "resource://notes", "search").code == ExitCode.USAGE
