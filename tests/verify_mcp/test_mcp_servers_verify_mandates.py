"""Real MCP servers behind a real Gateway know who calls their tools, and are closed to everybody else."""

import json

import httpx
import pytest

from tests.verify_mcp.conftest import READ, TICKETS, WRITE, Client, call, initialize

METADATA = "/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def client(tickets) -> Client:
    it = tickets.client()
    it.open()
    return it


def told(client, *scope) -> dict:
    return json.loads(client.call("told", *scope)["content"][0]["text"])


def direct(tickets, message, **headers) -> httpx.Response:
    accept = {"accept": "application/json, text/event-stream"}
    return httpx.post(tickets.url, json=message, headers=accept | headers, trust_env=False)


def refused(answer, tickets, status, error):
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    at = httpx.URL(tickets.url).join(METADATA)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert f'resource_metadata="{at}"' in challenge
    return challenge


def test_a_tool_knows_who_calls_it(client):
    found = client.call("ticket_close", number=7)
    assert found["isError"] is False
    assert found["content"][0]["text"] == f"7 closed for {client.authority.agent.application}"


def test_a_tool_refuses_a_mandate_without_its_scope(client, kind):
    found = client.call("ticket_close", READ, number=7)
    assert found["isError"] is True
    text = found["content"][0]["text"]
    assert "ticket_close" in text
    assert "closed" not in text
    # `mcp` keeps to itself what a tool raised; `fastmcp` says it.
    assert (f"insufficient_scope: the mandate lacks {WRITE}" in text) == (kind == "fastmcp")


def test_the_server_is_told_in_its_own_terms_and_never_the_mandate(client):
    found = told(client)
    token, application = found["token"], client.authority.agent.application
    assert found["application"] == token["client_id"] == token["subject"] == application
    assert token["token"] == token["id"]
    assert token["token"] not in found["header"]
    assert (token["scopes"], token["resource"]) == ([READ, WRITE], TICKETS)
    assert token["claims"]["iss"] == client.authority.agent.zone.deployment.running.control


def test_each_message_of_a_session_has_the_caller_of_its_own_request(client):
    first = told(client)["token"]
    second = told(client, READ)["token"]
    assert first["id"] != second["id"]
    assert (first["token"], second["token"]) == (first["id"], second["id"])
    assert second["scopes"] == [READ]


def test_a_session_of_the_server_stays_with_the_application_that_opened_it(client, tickets):
    authority = tickets.zone.agent("helper").authority()
    other = Client(authority, tickets.url, client.session)
    assert other.post(call("told")).status_code == 404
    assert client.call("told")["isError"] is False


def test_a_call_past_the_gateway_without_a_mandate_is_shown_the_way(tickets):
    challenge = refused(direct(tickets, initialize()), tickets, 401, "missing_token")
    assert "error=" not in challenge
    at = httpx.URL(tickets.url).join(METADATA)
    metadata = httpx.get(at, trust_env=False).json()
    assert metadata["resource"] == tickets.url
    issuer = tickets.zone.deployment.running.control
    assert metadata["authorization_servers"] == [issuer]


def test_a_call_past_the_gateway_with_a_mandate_for_the_gateway_is_refused(tickets, client):
    mandate = client.authority.mint(f"{READ} {WRITE}")
    answer = direct(tickets, initialize(), authorization=f"Bearer {mandate}")
    refused(answer, tickets, 401, "invalid_token")
    assert answer.json()["reason"] == "mandate_class"


def test_a_mandate_that_was_altered_is_refused_and_a_session_id_opens_nothing(tickets, client):
    header = told(client)["header"]
    altered = header[:-60] + ("A" if header[-60] != "A" else "B") + header[-59:]
    named = {"mcp-session-id": client.session}
    answer = direct(tickets, call("told"), authorization=altered, **named)
    refused(answer, tickets, 401, "invalid_token")
    refused(direct(tickets, call("told"), **named), tickets, 401, "missing_token")
