"""Whoever was answered takes the proof away, and holds it to the log's key where nothing of ours runs."""

import json

import pytest

from caracal.evidence.notes import parse_verifier_key
from caracal.evidence.receipts import parse_receipt, verify_receipt
from tests.support.deployment import PERMIT_ALL, READ, WRITE


@pytest.fixture(scope="module")
def zone(deployment):
    return deployment.zone()


@pytest.fixture(scope="module")
def authority(zone):
    return zone.agent().authority()


@pytest.fixture(scope="module")
def key(zone):
    deployment = zone.deployment
    url = f"{deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    return deployment.http.get(url, headers=deployment.operator).text.strip()


def fetched(zone, reference):
    deployment = zone.deployment
    return deployment.http.get(f"{deployment.running.control}/v1/receipts/{reference}")


def proven(zone, key, answer):
    """The entry that an answer refers to, by the receipt and the log's key alone."""
    receipt = fetched(zone, answer.headers["caracal-receipt"])
    assert receipt.status_code == 200, receipt.text
    return json.loads(verify_receipt(parse_receipt(receipt.text), parse_verifier_key(key)).entry)


def test_a_call_is_answered_with_the_reference_to_its_decision(zone, authority, key):
    answer = authority.call("/json")
    assert answer.status_code == 200
    entry = proven(zone, key, answer)
    assert (entry["kind"], entry["verdict"]) == ("call", "allow")
    assert entry["request"] == answer.headers["x-request-id"]
    assert entry == zone.entry(answer.headers["x-request-id"], "call")


def test_a_call_that_is_refused_has_one_too(zone, authority, key):
    answer = authority.use(authority.mint(READ), "/sink", "POST")
    assert answer.status_code == 403
    entry = proven(zone, key, answer)
    assert (entry["verdict"], entry["reason"]) == ("refuse", "operation_scope_missing")


def test_a_streamed_answer_names_it_before_the_stream_ends(zone, authority, key):
    with authority.stream("/events?receipt") as answer:
        entry = proven(zone, key, answer)
    assert (entry["kind"], entry["verdict"]) == ("call", "allow")


def test_a_token_names_it_in_a_header_and_a_member(zone, authority, key):
    answer = authority.ask(WRITE)
    assert answer.json()["caracal_receipt"] == answer.headers["caracal-receipt"]
    assert proven(zone, key, answer)["kind"] == "exchange"
    refused = authority.ask("api:unknown")
    assert refused.status_code == 403
    assert proven(zone, key, refused)["verdict"] == "refuse"


def test_acts_on_sessions_and_delegations_name_theirs(zone, key):
    agent = zone.agent()
    session = {"application_id": agent.application, "ttl_seconds": 60}
    started = agent.steer("POST", "agents", json=session)
    entry = proven(zone, key, started)
    assert (entry["kind"], entry["target"]) == (
        "session.start",
        started.json()["agent_session_id"],
    )
    root = started.json()["agent_session_id"]
    handed = agent.delegate(root, agent.start(root), agent, ttl_seconds=30)
    assert proven(zone, key, handed)["kind"] == "delegation.create"
    suspended = agent.steer("PATCH", f"agents/{root}/suspend")
    assert proven(zone, key, suspended)["kind"] == "session.suspend"
    ended = zone.kill(root)
    assert proven(zone, key, ended)["kind"] == "session.end"
    refused = agent.steer("PATCH", f"agents/{root}/suspend")
    assert proven(zone, key, refused)["verdict"] == "refuse"


def test_what_an_operator_did_or_was_refused_names_its_entry(zone, key):
    deployment = zone.deployment
    applied = deployment.put_zone(zone.document | {"policy": PERMIT_ALL + "// again\n"})
    assert (applied.status_code, proven(zone, key, applied)["kind"]) == (200, "zone.apply")
    url = f"{deployment.running.control}/v1/operators"
    asked = {"name": "reader", "scopes": ["read"]}
    made = deployment.http.post(url, json=asked, headers=deployment.operator)
    assert made.status_code == 201, made.text
    reader = {"authorization": f"Bearer {made.json()['token']}"}
    url = f"{deployment.running.control}/v1/zones/{zone.name}"
    refused = deployment.http.put(url, json=zone.document, headers=reader)
    assert refused.status_code == 403
    entry = proven(zone, key, refused)
    assert (entry["kind"], entry["reason"]) == ("admin.refused", "operator_scope_missing")
    assert "caracal-receipt" not in deployment.http.get(url, headers=reader).headers


def test_what_nobody_waited_for_names_none(zone, authority):
    assert "caracal-receipt" not in authority.use("no.mandate.atall", "/json").headers
    repeated = zone.agent().token(client_secret="wrong", scope=READ, resource="resource://api")
    assert "caracal-receipt" not in repeated.headers


def test_another_ones_receipt_can_not_be_fetched(zone, authority):
    reference = authority.call("/json").headers["caracal-receipt"]
    zone_id, index, code = reference.rsplit(".", 2)
    for guess in (
        f"{zone_id}.{int(index) - 1}.{code}",
        f"{zone_id}.{int(index) + 1000}.{code}",
        f"system.0.{code}",
        f"{zone_id}.{index}.{code[::-1]}",
    ):
        answer = fetched(zone, guess)
        assert (answer.status_code, answer.json()["reason"]) == (404, "receipt_unknown")


def test_the_command_line_takes_it_away_and_verifies_it_with_nothing_running(
    zone, authority, key, tmp_path
):
    running = zone.deployment.running
    answer = authority.use(authority.mint(READ), "/sink", "POST")
    file = tmp_path / "refused.tlog-proof"
    where = ("--server", running.control)
    taken = running.run(
        "evidence", "receipt", answer.headers["caracal-receipt"], "-o", str(file), *where
    )
    assert taken.returncode == 0, taken.stderr
    log_key = tmp_path / "log.key"
    log_key.write_text(key + "\n")
    nowhere = {"CARACAL_SERVER": "http://127.0.0.1:1", "CARACAL_DATA": str(tmp_path / "none")}
    verified = running.run(
        "evidence", "verify-receipt", str(file), "--log-key", str(log_key), environment=nowhere
    )
    assert verified.returncode == 0, verified.stderr
    told = dict(line.split("  ", 1) for line in verified.stdout.splitlines() if "  " in line)
    assert told["decision"].strip().startswith("refuse, operation_scope_missing")
    assert told["who"].strip() == "agent"
    assert verified.stdout.splitlines()[-1].startswith("verified: entry ")
    raw = bytearray(file.read_bytes())
    raw[raw.index(b"extra ") + 40] ^= 1
    file.write_bytes(raw)
    caught = running.run("evidence", "verify-receipt", str(file), "--log-key", key, "--json")
    assert caught.returncode == 1
    assert json.loads(caught.stdout)["verified"] is False
