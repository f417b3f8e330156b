"""An MCP server behind the Gateway: each tool is decided on, and each call is on record."""

import hashlib
import json
from dataclasses import replace

import httpx
import pytest
from starlette.responses import Response

from tests.support.deployment import reason, unique
from tests.support.mcp_server import (
    LEGACY,
    MODERN,
    READ,
    SESSION,
    TICKETS,
    TOOLS,
    call,
    deployed_with_mcp,
    mcp_client,
)


@pytest.fixture(scope="module")
def mcp(tmp_path_factory, upstream):
    with deployed_with_mcp(tmp_path_factory.mktemp("mcp") / "data", upstream) as both:
        yield both


@pytest.fixture(scope="module")
def client(mcp):
    return mcp_client(*mcp)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_tool_call_passes_byte_for_byte_and_its_answer_streams_back(client):
    body = b'{ "params":{"arguments":{"q": 1.50},"name":"search"},\n"method":"tools/call","id":"a","jsonrpc":"2.0"}'
    request = unique("call")
    answer = client.post(body, request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    assert [event.get("method") for event in events] == ["notifications/progress", None]
    assert events[1]["result"]["content"][0]["text"] == 'search {"q": 1.5}'
    assert client.arrived() == [body]

    entry = client.zone.entry(request, "call")
    assert entry["verdict"] == "allow"
    assert entry["operation"] == "tools/call search"
    assert entry["resource"] == TICKETS
    assert entry["scopes"] == READ
    assert entry["arguments"] == digest('{"q":1.5}')
    result = client.zone.entry(request, "call.result")
    assert (result["status"], result["body"]) == (200, hashlib.sha256(body).hexdigest())


def test_a_tool_whose_scope_is_not_held_is_refused_and_nothing_arrives(client):
    reader = replace(client, scope=READ)
    request = unique("refused")
    answer = reader.call("ticket_close", request, number=7)
    assert (answer.status_code, reason(answer)) == (403, "operation_scope_missing")
    assert client.arrived() == []
    entry = client.zone.entry(request, "call")
    assert (entry["verdict"], entry["reason"]) == ("refuse", "operation_scope_missing")
    assert entry["operation"] == "tools/call ticket_close"
    assert entry["arguments"] == digest('{"number":7}')


def test_an_unknown_tool_is_told_apart_and_does_not_look_like_a_lost_session(client):
    answer = client.call("drop_everything")
    assert (answer.status_code, reason(answer)) == (404, "tool_unknown")
    message = call("drop_everything")
    answer = client.post(message, headers={"mcp-session-id": SESSION})
    assert (answer.status_code, reason(answer)) == (400, "tool_unknown")
    assert client.arrived() == []


def test_policy_decides_on_the_name_of_a_tool(mcp):
    policy = """
    @id("all") permit (principal, action, resource);
    @id("no-closing") forbid (principal, action, resource)
    when { context.call.method == "tools/call" && context.call.path == "ticket_close" };
    """
    client = mcp_client(*mcp, policy=policy)
    assert client.call("ticket_open").status_code == 200
    request = unique("policy")
    answer = client.call("ticket_close", request)
    assert (answer.status_code, reason(answer)) == (403, "policy_forbid")
    assert client.zone.entry(request, "call")["policies"] == ["no-closing"]
    assert len(client.arrived()) == 1


def test_a_session_of_the_older_revision_works_from_its_beginning_to_its_end(client):
    begun = client.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}})
    assert begun.json()["result"]["protocolVersion"] == LEGACY
    session = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert client.post(ready, headers=session).status_code == 202
    listed = client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=session)
    assert "search" in [tool["name"] for tool in listed.json()["result"]["tools"]]
    answered = {"jsonrpc": "2.0", "id": 9, "result": {}}
    assert client.post(answered, headers=session).status_code == 202
    stream = client.request("GET", headers=session | {"accept": "text/event-stream"})
    assert "list_changed" in stream.text
    request = unique("end")
    assert client.request("DELETE", request, headers=session).status_code == 204
    assert client.zone.entry(request, "call")["operation"] == "DELETE"
    assert [method for method, _, _ in client.server.received] == ["POST"] * 4 + ["GET", "DELETE"]
    client.arrived()


def test_the_newer_revision_needs_no_session_and_its_headers_pass(client):
    message = call("ticket_open", title="a")
    message["params"]["_meta"] = {"io.modelcontextprotocol/protocolVersion": MODERN}
    mirrored = {
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": "=?base64?dGlja2V0X29wZW4=?=",
        "mcp-param-title": "a",
    }
    assert client.post(message, headers=mirrored).status_code == 200
    [(_, headers, _)] = client.server.received
    assert {name: headers[name] for name in mirrored} == mirrored
    client.arrived()


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.mark.parametrize("accept", ["application/json, text/event-stream", "text/event-stream"])
def test_a_list_shows_what_a_call_would_be_allowed(mcp, client, accept):
    def shown(asking):
        answer = asking.post(LIST, headers={"accept": accept, "accept-encoding": "gzip"})
        assert answer.status_code == 200, answer.text
        text = answer.text.partition("data: ")[2] if accept[0] == "t" else answer.text
        return [tool["name"] for tool in json.loads(text)["result"]["tools"]]

    assert shown(client) == ["search", "ticket_open", "ticket_close"]
    assert shown(replace(client, scope=READ)) == ["search"]
    policy = """
    permit (principal, action, resource);
    forbid (principal, action, resource) when { context.call.path == "ticket_close" };
    """
    other = mcp_client(*mcp, policy=policy)
    seen = shown(other)
    assert seen == [name for name in TOOLS if other.call(name).status_code == 200]
    other.arrived()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Response("<p>", media_type="text/html"), 502),
        (Response(b"x", headers={"content-encoding": "gzip"}, media_type="application/json"), 502),
        (Response("", status_code=405), 405),
    ],
    ids=["another form", "compressed", "an error"],
)
def test_a_list_that_can_not_be_read_is_not_passed_on(client, answer, status):
    client.server.misbehaves = answer
    try:
        request = unique("list")
        assert client.post(LIST, request).status_code == status
    finally:
        client.server.misbehaves = None
    result = client.zone.entry(request, "call.result")
    assert result.get("error", "") == ("protocol" if status == 502 else "")
    client.arrived()


def test_a_list_without_end_is_cut(client):
    client.server.misbehaves = Response("[" * 100_000, media_type="application/json")
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(LIST)
    finally:
        client.server.misbehaves = None
    client.arrived()


def test_contents_and_prompts_come_under_rules_of_their_own(client):
    def read(uri):
        return client.post(
            {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
        )

    assert read("file:///handbook/a").json()["result"]["contents"][0]["text"] == "be kind"
    assert reason(read("file:///secrets")) == "tool_unknown"
    prompt = {"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {"name": "summary"}}
    assert client.post(prompt).status_code == 200
    client.arrived()


def test_each_message_spends_a_mandate(client):
    mandate = client.authority.mint(READ)
    headers = {"content-type": "application/json"}
    body = json.dumps(call("search")).encode()
    first = client.authority.use(mandate, "/", "POST", content=body, headers=headers)
    again = client.authority.use(mandate, "/", "POST", content=body, headers=headers)
    assert (first.status_code, reason(again)) == (200, "mandate_replayed")
    assert len(client.arrived()) == 1


def test_what_was_decided_is_decided_alike_when_it_is_replayed(client):
    running = client.zone.deployment.running
    client.call("ticket_open")
    client.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    client.arrived()
    replayed = running.run("replay", "--active", "--zone", client.zone.name)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def test_a_zone_shows_its_tools(client):
    shown = client.zone.deployment.running.run("zone", "show", client.zone.name)
    assert "tool ticket_*" in shown.stdout, shown.stdout + shown.stderr
