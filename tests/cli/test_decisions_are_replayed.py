"""Recorded decisions are decided again: by the policy that made them, and by a candidate."""

from hashlib import sha256

import httpx
import pytest

from caracal_server.cli.failures import ExitCode
from examples.demo.agent import Agent
from tests.support.running import Running, running_caracal

SECRET = "the-upstream-credential-of-the-shop"
RULE = '@id("{id}") {effect} (principal, action == Action::"orders:{verb}", resource);\n'
READS = RULE.format(id="agents-read", effect="permit", verb="read")
WRITES = RULE.format(id="agents-write", effect="permit", verb="write")
NO_READS = RULE.format(id="no-reads", effect="forbid", verb="read")
FILE = """\
zone: replayed
applications: [{{name: orders-agent}}]
providers: [{{name: shop, kind: bearer_token, secret: {{env: SHOP_TOKEN}}}}]
resources:
  - identifier: resource://shop
    upstream: http://127.0.0.1:9
    provider: shop
    operations:
      GET /orders: orders:read
      GET /orders/{{id}}: orders:read
      POST /orders: orders:write
policy: |
  {policy}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_caracal(tmp_path_factory.mktemp("replayed")) as caracal:
        yield caracal


@pytest.fixture
def run(cli, server: Running):
    def command(*arguments: str):
        return cli(*arguments, environment=server.environment | {"SHOP_TOKEN": SECRET})

    return command


@pytest.fixture(scope="module")
def decided(server: Running, tmp_path_factory) -> dict:
    """A zone in which agents got and did what policy let them, under two versions of it."""
    file = tmp_path_factory.mktemp("zone") / "zone.yaml"
    file.write_text(FILE.format(policy=READS.strip()))
    applied = server.ask("apply", str(file), environment={"SHOP_TOKEN": SECRET})
    application = applied["applications"][0]
    agent = Agent(
        {
            "CARACAL_STS_URL": server.control,
            "CARACAL_GATEWAY_URL": server.gateway,
            "CARACAL_ZONE_ID": applied["zone"]["id"],
            "CARACAL_APPLICATION_ID": application["id"],
            "CARACAL_APP_CLIENT_SECRET": application["secret"],
        }
    )
    with agent._http:
        root = agent.start()["body"]["agent_session_id"]
        child = agent.start(root)["body"]["agent_session_id"]
        delegation = agent.delegate(
            source_session_id=root,
            target_session_id=child,
            receiver_application_id=application["id"],
            scopes=["orders:read", "orders:write"],
            max_hops=2,
            ttl_seconds=600,
        )["body"]["delegation_edge_id"]

        def call(path: str):
            minted = agent.mint(child, delegation, "orders:read")
            return agent.call(minted["body"]["access_token"], "GET", path)

        call("/orders")
        call("/orders/17")
        assert agent.mint(child, delegation, "orders:write")["status"] == 403
        file.write_text(FILE.format(policy="\n  ".join((READS + WRITES).splitlines())))
        server.ask("apply", str(file), environment={"SHOP_TOKEN": SECRET})
        assert agent.mint(child, delegation, "orders:write")["status"] == 200
        call("/orders")
    return {"zone": applied["zone"]["id"], "file": file}


def candidate(tmp_path, text: str) -> str:
    file = tmp_path / "candidate.cedar"
    file.write_text(text)
    return str(file)


def test_the_versions_that_decided_reproduce_every_decision(decided, run):
    ended = run("replay", "--active", "--json")
    assert ended.code == 0, ended.err
    report = ended.document["report"]
    assert (report["decisions"], report["replayed"], report["differing"]) == (8, 8, 0)
    assert "comes out as it is recorded" in run("replay", "--active").out


def test_a_candidate_shows_what_it_newly_allows_first_and_then_what_it_refuses(
    decided, run, tmp_path
):
    file = candidate(tmp_path, WRITES + NO_READS)
    report = run("replay", "--policy", file, "--since", "1h", "--json").document["report"]
    (allowed,) = report["newly_allowed"]
    assert allowed["operation"] == "a mandate for orders:write"
    assert (allowed["count"], allowed["policies"]) == (1, ["agents-write"])
    refused = {one["operation"]: one for one in report["newly_refused"]}
    assert {name: one["count"] for name, one in refused.items()} == {
        "a mandate for orders:read": 3,
        "GET /orders": 2,
        "GET /orders/{id}": 1,
    }
    assert refused["GET /orders"]["application"] == "orders-agent"
    assert refused["GET /orders"]["policies"] == ["no-reads"]
    shown = run("replay", "--policy", file).out
    assert shown.index("NEWLY ALLOWED") < shown.index("NEWLY REFUSED")
    explained = run("explain", refused["GET /orders/{id}"]["example"]).out
    assert "/orders/17" in explained


def test_a_window_without_decisions_is_replayed_as_none(decided, run):
    report = run("replay", "--active", "--until", "1d", "--json").document["report"]
    assert report["decisions"] == 0


def test_a_verified_export_is_replayed_with_no_server(decided, run, cli, tmp_path):
    bundle = tmp_path / "log.jsonl"
    assert run("evidence", "export", "-o", str(bundle)).code == 0
    file = candidate(tmp_path, WRITES)
    online = run("replay", "--policy", file, "--json").document["report"]
    ended = cli("replay", "--policy", file, "--export", str(bundle), "--json")
    assert ended.document["proven"] is True
    assert ended.document["report"] == online
    texts = [candidate(tmp_path, READS)]
    unknown = cli("replay", "--active", "--policy", *texts, "--export", str(bundle), "--json")
    assert unknown.document["report"]["unreplayed"][0]["why"] == "policy_unknown"
    assert (unknown.code, unknown.document["reproduced"]) == (ExitCode.REFUSED, False)
    assert "not at hand" in unknown.err
    bundle.write_bytes(bundle.read_bytes().replace(b"/orders/17", b"/orders/18"))
    assert cli("replay", "--policy", file, "--export", str(bundle)).code == ExitCode.REFUSED


def test_what_is_no_candidate_is_told(decided, run, tmp_path):
    for arguments in ((), ("--active", "--policy", candidate(tmp_path, READS))):
        assert run("replay", *arguments).code == ExitCode.USAGE
    wrong = run("replay", "--policy", candidate(tmp_path, READS.replace(":read", ":raed")))
    assert wrong.code == ExitCode.USAGE
    assert "orders:raed" in wrong.err
    assert run("replay", "--active", "--since", "tomorrow").code == ExitCode.USAGE
    assert run("replay", "--policy", str(tmp_path / "none")).code == ExitCode.USAGE


def test_an_entry_leads_to_the_text_of_the_policy_that_decided(decided, run, server: Running):
    entry = run("evidence", "tail", "--kind", "call", "-n", "1", "--json").document["entries"][0]
    digest = entry["entry"]["policy"]
    at = f"{server.control}/v1/zones/{decided['zone']}/policy-versions"
    found = httpx.get(f"{at}/{digest}", headers=server.operator).json()
    assert sha256(found["text"].encode()).hexdigest() == digest
    assert httpx.get(f"{at}/{'0' * 64}", headers=server.operator).status_code == 404
    assert httpx.get(f"{at}/{digest}").status_code == 401


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (("operation=GET /orders",), 3),
        (("operation=GET /orders/1", "scope=orders:read"), 1),
        (("deciding=agents-read", "resource=resource://shop"), 6),
        (("reason=policy_no_permit",), 1),
        (("mandate=none",), 0),
    ],
)
def test_entries_are_looked_for_by_what_they_say(decided, run, where, count):
    options = [part for one in where for part in ("--where", one)]
    ended = run("evidence", "tail", *options, "--since", "1h", "--json")
    found = [one for one in ended.document["entries"] if one["entry"]["kind"] != "call.result"]
    assert len(found) == count


@pytest.mark.parametrize("where", ["mandate", "colour=red", "mandate=", "mandate=a,mandate=b"])
def test_what_cannot_be_looked_for_is_told(cli, where):
    options = [part for one in where.split(",") for part in ("--where", one)]
    ended = cli("evidence", "tail", *options)
    assert ended.code == ExitCode.USAGE
    assert "--where" in ended.err


def test_an_operator_is_told_what_mattered_and_what_would_have_allowed_it(decided, run):
    found = run("evidence", "tail", "--verdict", "refuse", "--kind", "exchange", "--json").document
    request = found["entries"][-1]["entry"]["request"]
    shown = run("explain", request).out
    assert "Smallest change that would have allowed it: add a permit." in shown
    assert 'permit (principal == Application::"orders-agent"' in shown
    assert 'action == Action::"orders:write"' in shown
