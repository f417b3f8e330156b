"""What a server says, or fails to say, ends as one line and the exit code that scripts branch on."""

import json
from pathlib import Path

import pytest

from caracal.authority.outcomes import Reason
from caracal_server.cli.failures import ExitCode
from caracal_server.web.problems import Problem, render_coordinator, render_problem_details
from tests.cli.answering import Answer, Answering, answering
from tests.evidence.signing import signed_log

TOKEN = "ct_planted-secret"
ZONES = Answer(body=b'{"items":[{"id":"z-1","name":"shop","revision":3}]}')


@pytest.fixture
def server():
    with answering() as running:
        yield running


@pytest.fixture
def ask(cli, server: Answering, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text(TOKEN)

    def run(*arguments: str, environment: dict[str, str] | None = None):
        given = {"CARACAL_SERVER": server.url, "CARACAL_OPERATOR_TOKEN_FILE": str(token)}
        ended = cli(*arguments, environment=given | (environment or {}))
        assert TOKEN not in ended.out + ended.err
        return ended

    return run


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.OPERATOR_UNKNOWN, ExitCode.UNAUTHORISED),
        (Reason.OPERATOR_SCOPE_MISSING, ExitCode.UNAUTHORISED),
        (Reason.ZONE_UNKNOWN, ExitCode.REFUSED),
        (Reason.POLICY_INVALID, ExitCode.USAGE),
        (Reason.ZONE_FILE_INVALID, ExitCode.USAGE),
        (Reason.STORE_UNAVAILABLE, ExitCode.UNAVAILABLE),
        (Reason.EVIDENCE_UNAVAILABLE, ExitCode.UNAVAILABLE),
        (Reason.IDEMPOTENCY_LIMIT, ExitCode.UNAVAILABLE),
        (Reason.DRAINING, ExitCode.UNAVAILABLE),
        (Reason.INTERNAL, ExitCode.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("render", [render_problem_details, render_coordinator])
def test_a_refusal_tells_why_and_what_to_do(ask, server, reason, code, render):
    reply = render(Problem(reason, "the very detail"), "req-42")
    server.answers["/v1/status"] = Answer(reply.status, reply.body)
    ended = ask("status")
    assert ended.code == code
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("caracal: could not ask for the status: ")
    assert f"({reason}, request req-42); " in ended.err
    assert reason is Reason.INTERNAL or "the very detail" in ended.err


def test_places_that_are_wrong_are_listed_below(ask, server, tmp_path):
    file = tmp_path / "zone.yaml"
    file.write_text("zone: shop\n")
    body = {
        "reason": "policy_invalid",
        "detail": "the policy is wrong",
        "request_id": "r",
        "issues": [{"path": ["policy", 3, 7], "message": "unknown scope"}],
    }
    server.answers["/v1/zones/shop"] = Answer(422, json.dumps(body).encode())
    ended = ask("apply", str(file))
    assert ended.code == ExitCode.USAGE
    assert ended.err.splitlines()[1:] == ["  policy[3][7]: unknown scope"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>"),
        Answer(200, b'{"version": 1}'),
        Answer(200, b"\xff"),
        Answer(404, b"not here"),
        Answer(502, b"<html>"),
        Answer(200, b"{", length=100),
        Answer(200, b"gzip?", headers=(("content-encoding", "gzip"),)),
    ],
    ids=["html", "shape", "bytes", "404", "502", "cut", "encoding"],
)
def test_what_answers_and_is_no_caracal_is_out_of_reach(ask, server, answer):
    server.answers["/v1/status"] = answer
    ended = ask("status")
    assert ended.code == ExitCode.UNREACHABLE
    assert len(ended.err.splitlines()) == 1


def test_a_redirect_takes_the_token_nowhere(ask, server):
    with answering() as elsewhere:
        location = ("location", f"{elsewhere.url}/v1/status")
        server.answers["/v1/status"] = Answer(307, b"", headers=(location,))
        assert ask("status").code == ExitCode.UNREACHABLE
        assert elsewhere.asked == []
    assert server.asked[0].authorization == f"Bearer {TOKEN}"


def test_proxies_of_the_environment_are_not_used(ask, server):
    server.answers["/v1/zones"] = ZONES
    with answering() as proxy:
        ended = ask("zone", "list", environment={"HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url})
        assert ended.code == 0
        assert proxy.asked == []


def test_a_name_can_not_drive_the_terminal(ask, server):
    body = '{"items":[{"id":"01J00000000000000000000000","name":"\\u202eshop\\u001b[31m\\nevil","revision":1}]}'
    server.answers["/v1/zones"] = Answer(body=body.encode())
    shown = ask("zone", "list").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 2


def test_an_id_never_becomes_another_path(ask, server):
    server.answers["/v1/zones"] = ZONES
    ask("session", "kill", "../../v1/operators/x?y#z")
    assert server.asked[-1].path == "/zones/z-1/agents/..%2F..%2Fv1%2Foperators%2Fx%3Fy%23z"


def test_the_only_zone_needs_no_name_and_several_do(ask, server):
    server.answers["/v1/zones"] = ZONES
    server.answers["/v1/zones/z-1/keys/rotate"] = Answer(
        body=b'{"id":"z-1","name":"shop","revision":3}'
    )
    assert ask("key", "rotate").code == 0
    unknown = ask("key", "rotate", "--zone", "shoq")
    assert (unknown.code, "there are: shop" in unknown.err) == (ExitCode.REFUSED, True)
    two = b'{"items":[{"id":"z-1","name":"a","revision":1},{"id":"z-2","name":"b","revision":1}]}'
    server.answers["/v1/zones"] = Answer(body=two)
    ended = ask("key", "rotate")
    assert (ended.code, "a, b" in ended.err) == (ExitCode.USAGE, True)
    server.answers["/v1/zones"] = Answer(body=b'{"items":[]}')
    assert "caracal apply" in ask("key", "rotate").err


def test_a_server_that_is_not_ready_is_unavailable(ask, server):
    body = {
        "version": "1",
        "ready": False,
        "failing": [{"check": "evidence_log", "detail": "the disk is full"}],
        "zones": [],
        "operators": 1,
    }
    server.answers["/v1/status"] = Answer(body=json.dumps(body).encode())
    ended = ask("status")
    assert ended.code == ExitCode.UNAVAILABLE
    assert "NOT READY" in ended.out
    assert "evidence_log: the disk is full" in ended.out
    assert ask("status", "--json").document["ready"] is False


EXPORT = "/v1/zones/z-1/evidence/export"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"x" * 100, length=1000),
        Answer(body=b"not a bundle\n"),
        Answer(body=b""),
        Answer(503, b'{"reason":"store_unavailable","detail":"gone"}'),
    ],
    ids=["cut", "nonsense", "empty", "refused"],
)
def test_an_export_that_fails_leaves_what_was_there(ask, server, tmp_path, answer):
    server.answers |= {
        "/v1/zones": ZONES,
        "/v1/zones/z-1/evidence": Answer(body=b'{"items":[{"index":4}]}'),
        EXPORT: answer,
    }
    file = tmp_path / "out" / "evidence.jsonl"
    file.parent.mkdir()
    file.write_text("kept")
    ended = ask("evidence", "export", "--output", str(file))
    assert ended.code in {ExitCode.UNREACHABLE, ExitCode.UNAVAILABLE}
    assert len(ended.err.splitlines()) == 1
    assert file.read_text() == "kept"
    assert list(file.parent.iterdir()) == [file]


def test_an_export_that_lacks_its_closing_line_is_not_kept(ask, server, tmp_path):
    note, key = signed_log([b"{}"])
    header = {
        "checkpoint": note,
        "contents": "whole",
        "format": "caracal-evidence/1",
        "verifier_key": key.render(),
    }
    line = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    server.answers |= {
        "/v1/zones": ZONES,
        "/v1/zones/z-1/evidence": Answer(body=b'{"items":[]}'),
        EXPORT: Answer(body=line),
    }
    file = tmp_path / "evidence.jsonl"
    ended = ask("evidence", "export", "--output", str(file))
    assert "broke off before its end" in ended.err
    assert not file.exists()


def test_a_place_that_can_not_be_written_is_a_wrong_line(ask, server, tmp_path):
    server.answers |= {"/v1/zones": ZONES, "/v1/zones/z-1/evidence": Answer(body=b'{"items":[]}')}
    ended = ask("evidence", "export", "--output", str(tmp_path / "absent" / "file"))
    assert ended.code == ExitCode.USAGE
    assert all(asked.path != EXPORT for asked in server.asked)


def test_an_entry_without_a_proof_is_refused(ask, server, tmp_path):
    note, key = signed_log([b"{}"])
    at = "/v1/zones/z-1/evidence/0"
    leaf = "00" * 32
    server.answers |= {
        "/v1/zones": ZONES,
        at: Answer(body=f'{{"index":0,"leaf_hash":"{leaf}","entry":{{}}}}'.encode()),
        f"{at}/proof": Answer(
            body=json.dumps(
                {"size": 1, "leaf_hash": leaf, "hashes": ["no hash"], "checkpoint": note}
            ).encode()
        ),
        "/v1/zones/z-1/evidence/key": Answer(body=key.render().encode()),
    }
    ended = ask("evidence", "proof", "0", "--output", str(tmp_path / "p"))
    assert ended.code == ExitCode.REFUSED
    assert not (tmp_path / "p").exists()


def test_an_entry_of_a_kind_that_is_not_known_is_shown_as_such(ask, server):
    entry = '{"format":1,"kind":"newer.kind","zone":"z-1","at":1,"request":"r"}'
    page = f'{{"items":[{{"index":3,"leaf_hash":"00","entry":{entry}}}],"next_cursor":null}}'
    server.answers |= {
        "/v1/zones": ZONES,
        "/v1/zones/z-1/evidence/story": Answer(body=page.encode()),
    }
    assert "3  of a kind that this version of caracal does not know" in ask("evidence", "tail").out
    assert ask("evidence", "tail", "--json").document["entries"][0]["entry"]["kind"] == "newer.kind"
    assert "does not know: 1." in ask("explain", "r").out
