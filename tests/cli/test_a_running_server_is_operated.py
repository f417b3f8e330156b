"""The commands against a real server: what they change is so, and what they print is what happened."""

import shlex
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from caracal_server.cli.failures import ExitCode
from examples.demo.agent import Agent
from tests.support.running import COMMAND, Running, listen_to_interrupts, running_caracal

SECRET = "the-upstream-credential-of-the-shop"
POLICY = """\
policy: |
  @id("agents-read")
  permit (principal, action == Action::"orders:read", resource == Resource::"resource://shop");
"""
FILE = """\
zone: {zone}
applications:
  - name: orders-agent
  - name: report-agent
providers:
  - name: shop
    kind: bearer_token
    secret: {{env: SHOP_TOKEN}}
resources:
  - identifier: resource://shop
    upstream: http://127.0.0.1:9
    provider: shop
    operations:
      GET /orders: orders:read
      POST /orders: orders:write
"""


@dataclass(slots=True)
class Zone:
    """A zone of its own, an agent in it, and the command line."""

    name: str
    id: str
    file: Path
    applied: dict
    agent: Agent
    run: Callable

    def started(self, parent: str | None = None) -> str:
        answer = self.agent.start(parent)
        assert answer["status"] == 201, answer
        return answer["body"]["agent_session_id"]

    def delegated(self, source: str, target: str) -> str:
        answer = self.agent.delegate(
            source_session_id=source,
            target_session_id=target,
            receiver_application_id=self.applied["applications"][0]["id"],
            scopes=["orders:read", "orders:write"],
            max_hops=2,
            ttl_seconds=600,
        )
        assert answer["status"] == 201, answer
        return answer["body"]["delegation_edge_id"]


@pytest.fixture
def run(cli, caracal: Running):
    def command(*arguments: str):
        return cli(*arguments, environment=caracal.environment | {"SHOP_TOKEN": SECRET})

    return command


@pytest.fixture
def zone(request, run, caracal: Running, tmp_path: Path) -> Zone:
    name = "t-" + request.node.name.lower().replace("_", "-")[5:60]
    file = tmp_path / "zone.yaml"
    file.write_text(FILE.format(zone=name) + POLICY)
    ended = run("apply", str(file), "--json")
    assert ended.code == 0, ended.err
    applied = ended.document
    application = applied["applications"][0]
    agent = Agent(
        {
            "CARACAL_STS_URL": caracal.control,
            "CARACAL_GATEWAY_URL": caracal.gateway,
            "CARACAL_ZONE_ID": applied["zone"]["id"],
            "CARACAL_APPLICATION_ID": application["id"],
            "CARACAL_APP_CLIENT_SECRET": application["secret"],
        }
    )
    with agent._http:
        yield Zone(name, applied["zone"]["id"], file, applied, agent, run)


def test_applying_plans_applies_and_then_changes_nothing(zone, run, tmp_path):
    assert [row["name"] for row in zone.applied["applications"]] == ["orders-agent", "report-agent"]
    assert all(row["secret"] for row in zone.applied["applications"])
    again = run("apply", str(zone.file), "--json")
    assert again.document["changes"] == []
    assert all("secret" not in row for row in again.document["applications"])
    assert "nothing to change" in run("apply", str(zone.file)).out
    zone.file.write_text(FILE.format(zone=zone.name))
    planned = run("apply", "--plan", str(zone.file))
    assert "  - policy " in planned.out
    assert run("zone", "show", zone.name, "--json").document["policy"] is not None
    assert run("apply", str(zone.file)).code == 0
    shown = run("zone", "show", zone.id)
    assert "no policy: everything is refused" in shown.out
    assert "POST /orders" in shown.out
    assert SECRET not in shown.out + planned.out + again.out


def test_the_secret_of_a_new_application_is_shown_once(zone, run):
    zone.file.write_text(zone.file.read_text().replace("- name: report-agent", "- name: new-agent"))
    shown = run("apply", str(zone.file)).out
    assert "  + application new-agent" in shown
    assert "  - application report-agent" in shown
    (line,) = [row for row in shown.splitlines() if row.startswith("  new-agent  cs_")]
    secret = line.split()[-1]
    assert "orders-agent  cs_" not in shown
    for again in (("apply", str(zone.file)), ("zone", "show", zone.name), ("zone", "list")):
        assert secret not in run(*again).out
        assert secret not in run(*again, "--json").out


def test_a_policy_that_does_not_fit_is_told_with_its_place(zone, run):
    zone.file.write_text(FILE.format(zone=zone.name) + POLICY.replace("orders:read", "orders:raed"))
    ended = run("apply", str(zone.file))
    assert ended.code == ExitCode.USAGE
    assert "orders:raed" in ended.err
    assert "policy_invalid" in ended.first_error


def test_the_status_and_the_list_know_the_zone(zone, run):
    shown = run("status", "--json").document
    assert shown["ready"] is True
    assert zone.id in {row["id"] for row in shown["zones"]}
    assert zone.name in run("status").out
    assert zone.name in run("zone", "list").out
    assert zone.id in {row["id"] for row in run("zone", "list", "--json").document["zones"]}


def test_sessions_are_listed_drawn_and_killed(zone, run):
    root, other = zone.started(), zone.started()
    child = zone.started(root)
    grandchild = zone.started(child)
    handed = zone.delegated(root, child)
    within = ("--zone", zone.name)
    listed = run("session", "list", *within, "--json").document["sessions"]
    assert {row["id"]: row["parent"] for row in listed} == {
        root: None, other: None, child: root, grandchild: child,
    }  # fmt: skip
    assert {row["application"] for row in listed} == {"orders-agent"}
    drawn = run("session", "tree", root, *within).out
    assert drawn.index(root) < drawn.index(child) < drawn.index(grandchild)
    assert other not in drawn
    (tree,) = run("session", "tree", child, *within, "--json").document["trees"]
    assert tree["children"][0]["session"]["id"] == grandchild
    assert handed in run("delegation", "list", *within).out
    killed = run("session", "kill", root, *within, "--reason", "test", "--json").document
    assert killed == {"session": root, "ended_sessions": 3, "revoked_delegations": 1}
    left = run("session", "list", *within, "--json").document["sessions"]
    assert [row["id"] for row in left] == [other]
    ended = run("session", "list", "--all", *within, "--json").document["sessions"]
    assert {row["id"] for row in ended if row["status"] == "terminated"} == {
        root,
        child,
        grandchild,
    }
    assert (
        run("session", "kill", other, *within).out == "ended 1 session and revoked 0 delegations\n"
    )
    assert "no live sessions" in run("session", "list", *within).out
    assert run("session", "tree", root, *within).code == ExitCode.REFUSED


def test_a_session_that_is_unknown_is_refused(zone, run):
    ended = run("session", "kill", "nobody", "--zone", zone.name)
    assert ended.code == ExitCode.REFUSED
    assert "session_unknown" in ended.err


def test_a_delegation_is_revoked_with_what_works_by_it(zone, run):
    root = zone.started()
    child = zone.started(root)
    handed = zone.delegated(root, child)
    within = ("--zone", zone.name)
    (row,) = run("delegation", "list", *within, "--json").document["delegations"]
    assert (row["id"], row["source_session"], row["target_session"]) == (handed, root, child)
    revoked = run("delegation", "revoke", handed, *within, "--json").document
    assert revoked == {"delegation": handed, "revoked_delegations": 1, "ended_sessions": 1}
    assert run("delegation", "list", *within, "--json").document["delegations"] == []
    assert run("delegation", "revoke", handed, *within).code == ExitCode.REFUSED


def test_a_user_is_revoked_whether_or_not_the_zone_has_seen_them(zone, run):
    within = ("--zone", zone.name)
    words = ("user", "revoke", "https://id.example", "ann")
    assert run(*words, *within, "--json").document == {
        "issuer": "https://id.example",
        "user": "ann",
        "ended_sessions": 0,
        "revoked_delegations": 0,
    }
    assert run(*words, *within).out == "ended 0 sessions and revoked 0 delegations\n"
    (index, *_) = run("evidence", "tail", *within, "--json").document["entries"][-1:]
    assert (index["entry"]["kind"], index["entry"]["reason"]) == ("subject.revoke", "requested")
    refused = run("user", "revoke", "https://id.example", "caracal:shared", *within)
    assert refused.code == ExitCode.REFUSED


def test_a_refused_request_is_explained(zone, run):
    root = zone.started()
    child = zone.started(root)
    handed = zone.delegated(root, child)
    refused = zone.agent.mint(child, handed, "orders:write")
    assert refused["status"] == 403
    request = refused["request_id"]
    told = run("explain", request, "--zone", zone.name).out
    first, *others = told.splitlines()
    assert first.startswith("Refused: orders-agent asked for orders:write on resource://shop")
    assert any(child in line and handed in line for line in others)
    assert any("Evidence: entry " in line for line in others)
    found = run("explain", request, "--zone", zone.name, "--json").document
    assert found["request"] == request
    assert found["stories"][0][0] == first
    assert found["entries"][0]["entry"]["verdict"] == "refuse"


def test_what_is_not_recorded_can_not_be_explained(zone, run):
    ended = run("explain", "never-was", "--zone", zone.name)
    assert ended.code == ExitCode.REFUSED
    assert "nothing is recorded" in ended.err


def test_evidence_is_shown_exported_and_verified(zone, run, tmp_path):
    zone.started()
    within = ("--zone", zone.name)
    entries = run("evidence", "tail", *within, "--json").document["entries"]
    assert [row["index"] for row in entries] == list(range(len(entries)))
    assert {row["entry"]["kind"] for row in entries} >= {"zone.apply", "exchange", "session.start"}
    assert "orders-agent" in run("evidence", "tail", *within).out
    only = run("evidence", "tail", "--kind", "zone.apply", "-n", "1", *within, "--json").document
    assert [row["entry"]["kind"] for row in only["entries"]] == ["zone.apply"]
    bundle = tmp_path / "evidence.jsonl"
    exported = run("evidence", "export", *within, "--output", str(bundle), "--json").document
    assert exported["entries"] == exported["size"] == len(entries)
    assert bundle.stat().st_mode & 0o077 == 0
    verified = run("evidence", "verify", str(bundle), "--log-key", exported["key"])
    assert verified.out.splitlines()[-1].startswith(f"verified: {len(entries)} entries, tree size")
    assert SECRET.encode() not in bundle.read_bytes()
    changed = bundle.read_bytes().replace(b"session.start", b"session.stars", 1)
    bundle.write_bytes(changed)
    refused = run("evidence", "verify", str(bundle), "--log-key", exported["key"])
    assert (refused.code, "entry " in refused.first_error) == (ExitCode.REFUSED, True)


def test_one_entry_is_proven(zone, run, tmp_path):
    zone.started()
    proof = tmp_path / "proof.jsonl"
    within = ("--zone", zone.name)
    written = run("evidence", "proof", "1", *within, "--output", str(proof), "--json").document
    assert written["entries"] == 1
    verified = run("evidence", "verify", str(proof), "--log-key", written["key"], "--json").document
    assert (verified["contents"], verified["entries"]) == ("selection", 1)
    assert run("evidence", "proof", "1", *within).out.count("\n") == 3
    assert run("evidence", "proof", "999999", *within).code == ExitCode.REFUSED


def test_an_export_says_how_to_verify_it(zone, run, tmp_path):
    file = tmp_path / "evidence.jsonl"
    shown = run("evidence", "export", "--zone", zone.name, "-o", str(file)).out
    words = shlex.split(shown.splitlines()[-1].partition(": caracal ")[2])
    assert run(*words).out.splitlines()[-1].startswith("verified: ")


def test_the_log_of_the_system_is_shown(zone, run):
    shown = run("evidence", "tail", "--zone", "system", "--lines", "1000", "--json").document
    assert "service.start" in {row["entry"]["kind"] for row in shown["entries"]}


def test_a_filter_that_is_none_is_refused(zone, run):
    ended = run("evidence", "tail", "--kind", "nonsense", "--zone", zone.name)
    assert ended.code == ExitCode.REFUSED
    assert len(ended.err.splitlines()) >= 1


def test_a_key_is_rotated(zone, run):
    rotated = run("key", "rotate", "--zone", zone.name, "--json").document["zone"]
    assert (rotated["id"], rotated["name"]) == (zone.id, zone.name)
    kinds = run("evidence", "tail", "--kind", "key.rotate", "--zone", zone.name, "--json").document
    assert len(kinds["entries"]) == 1


def test_operators_come_and_go(zone, run, cli, caracal, tmp_path):
    file = tmp_path / "reader.token"
    made = run("operator", "create", "reader", "--output", str(file), "--json").document
    assert (made["scopes"], "token" in made) == (["read"], False)
    assert file.stat().st_mode & 0o077 == 0
    reader = caracal.environment | {"CARACAL_OPERATOR_TOKEN_FILE": str(file)}
    assert cli("zone", "show", zone.name, environment=reader).code == 0
    refused = cli("key", "rotate", "--zone", zone.name, environment=reader)
    assert refused.code == ExitCode.UNAUTHORISED
    assert "operator_scope_missing" in refused.err
    assert file.read_text().strip() not in refused.err + refused.out
    assert made["id"] in run("operator", "list").out
    assert run("operator", "revoke", made["id"], "--json").document == {"revoked": made["id"]}
    assert cli("status", environment=reader).code == ExitCode.UNAUTHORISED
    assert run("operator", "revoke", made["id"]).code == ExitCode.REFUSED


def test_a_token_that_is_shown_is_shown_once(run):
    shown = run("operator", "create", "shown", "--scope", "read", "--scope", "write").out
    token = shown.splitlines()[-1].strip()
    assert len(token) > 30
    assert token not in run("operator", "list").out
    assert token not in run("operator", "list", "--json").out


def test_up_says_where_it_is_and_the_commands_find_it(tmp_path, cli):
    data = tmp_path / "data"
    with running_caracal(data) as running:
        assert running.pid == running.process.pid
        assert running.data == data
        assert cli("status", "--data", str(data)).code == 0
        assert cli("zone", "list", environment={"CARACAL_DATA": str(data)}).code == 0
        taken = running.control.removeprefix("http://")
        second = running.run("up", "--data", str(tmp_path / "other"), "--control", taken)
        assert second.returncode == ExitCode.USAGE
        assert second.stderr.count("caracal: could not start: ") == 1
        assert "Traceback" not in second.stderr
        same = running.run("up", "--data", str(data), "--control", "127.0.0.1:0",
                           "--gateway", "127.0.0.1:0")  # fmt: skip
        assert same.returncode == ExitCode.UNAVAILABLE
        assert str(running.pid) in same.stderr
    assert not (data / "server.json").exists()
    assert cli("status", "--data", str(data)).code == ExitCode.USAGE


def test_up_tells_a_person_what_a_program_gets_as_a_document(tmp_path, caracal):
    told = start_and_stop(tmp_path / "data")
    assert told.splitlines()[0] == "Caracal is up."
    assert str(tmp_path / "data" / "operator.token") in told
    assert (tmp_path / "data" / "operator.token").read_text().strip() not in told


def start_and_stop(data: Path) -> str:
    addresses = ("--control", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    process = subprocess.Popen(
        [*COMMAND, "up", "--data", str(data), *addresses],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_interrupts,  # noqa: PLW1509 (no other thread starts one)
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(30) == 0
    return "".join(lines)


def test_a_setting_that_is_none_is_named(tmp_path, caracal):
    ended = caracal.run(
        "up", "--data", str(tmp_path / "data"), environment={"CARACAL_MAX_IN_FLIGHT": "many"}
    )
    assert ended.returncode == ExitCode.USAGE
    assert "CARACAL_MAX_IN_FLIGHT must be" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_directory_that_can_not_be_had_is_named(tmp_path, caracal):
    (tmp_path / "file").write_text("")
    ended = caracal.run("up", "--data", str(tmp_path / "file" / "data"))
    assert ended.returncode == ExitCode.USAGE
    assert ended.stderr.startswith("caracal: could not start: ")
    assert len(ended.stderr.splitlines()) == 1
