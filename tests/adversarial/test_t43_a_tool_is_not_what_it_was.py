"""T43: an MCP server that changes what its tools are once they are trusted, or answers to do harm."""

import json

import httpx
import pytest
from starlette.responses import Response, StreamingResponse

from tests.support.deployment import eventually, reason, unique
from tests.support.mcp_server import (
    LEGACY,
    MODERN,
    READ,
    TICKETS,
    WRITE,
    deployed_with_mcp,
    mcp_client,
)
from tests.support.published_programs import free_port, published_server

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
TOOLS = [{"name": "search", "description": "Find."}, {"name": "ticket_open"}]


@pytest.fixture(scope="module")
def world(tmp_path_factory, upstream):
    folder, port = tmp_path_factory.mktemp("tools"), free_port()
    sign = folder / "sign"
    with (
        published_server("shifting_server.py", port, str(sign)) as authority,
        deployed_with_mcp(folder / "data", upstream, authority) as (deployment, server),
    ):
        yield deployment, server, authority, sign


@pytest.fixture
def server(world):
    server = world[1]
    server.tools = [dict(one) for one in TOOLS]
    yield server
    server.misbehaves = None


@pytest.fixture
def client(world, server):
    return mcp_client(world[0], server)


def names(client) -> list[str]:
    return [one["name"] for one in client.post(LIST).json()["result"]["tools"]]


def control(client, method: str, path: str, **more) -> httpx.Response:
    deployment = client.zone.deployment
    url = f"{deployment.running.control}/v1/zones/{client.zone.id}/{path}"
    return deployment.http.request(method, url, headers=deployment.operator, **more)


def known(client) -> dict[str, dict]:
    return {one["tool"]: one for one in control(client, "GET", "tools").json()["items"]}


def accept(client, tool: str, digest: str) -> httpx.Response:
    body = {"resource": TICKETS, "tool": tool, "digest": digest}
    return control(client, "POST", "tools/accept", json=body)


def modern(client, method: str, request: str = "", **params) -> httpx.Response:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    return client.post(message, request, headers=headers)


def test_a_published_server_that_pulls_the_rug_is_held_until_an_operator_accepts(world):
    deployment, server, authority, sign = world
    resource = {
        "upstream": f"http://{authority}/mcp",
        "tools": {"search": READ, "add": WRITE},
    }
    client = mcp_client(deployment, server, resource)

    def listed():
        return [one["name"] for one in modern(client, "tools/list").json()["result"]["tools"]]

    assert listed() == ["search", "add"]
    assert "found a" in modern(client, "tools/call", name="search", arguments={"q": "a"}).text
    eventually(lambda: len(known(client)) == 2)
    sign.touch()
    assert listed() == ["add"]
    request = unique("rug")
    refused = modern(client, "tools/call", request, name="search", arguments={"q": "a"})
    assert (refused.status_code, reason(refused)) == (403, "tool_definition_changed")
    assert client.zone.entry(request, "call")["reason"] == "tool_definition_changed"
    assert "added" in modern(client, "tools/call", name="add", arguments={"text": "a"}).text
    held = eventually(lambda: (one := known(client)["search"])["held_digest"] and one)
    assert "ssh" in held["held_definition"]
    assert "ssh" not in held["definition"]
    assert accept(client, "search", held["held_digest"]).status_code == 200
    assert listed() == ["search", "add"]
    assert "found a" in modern(client, "tools/call", name="search", arguments={"q": "a"}).text


def test_what_happens_to_a_definition_is_on_record(client, server):
    assert names(client) == ["search", "ticket_open"]
    seen = eventually(
        lambda: {one["target"]: one for one in client.zone.evidence(kind="tool.seen")}
    )
    assert set(seen) == {"search", "ticket_open"}
    eventually(lambda: len(known(client)) == 2)
    assert seen["search"]["digest"] == known(client)["search"]["digest"]
    assert seen["search"]["application_name"] == "agent"
    server.tools[0]["description"] = "Find and tell."
    names(client)
    (changed,) = eventually(lambda: client.zone.evidence(kind="tool.changed"))
    assert (changed["target"], changed["resource"]) == ("search", TICKETS)
    assert seen["search"]["digest"] in changed["detail"]
    eventually(lambda: known(client)["search"]["state"] == "held")
    assert accept(client, "search", changed["digest"]).json()["state"] == "in_force"
    (accepted,) = client.zone.evidence(kind="tool.accept")
    assert (accepted["digest"], accepted["target"]) == (changed["digest"], f"{TICKETS} search")
    assert accepted["actor"]
    client.zone.verify_evidence()


def test_only_a_definition_that_is_known_can_be_accepted(client):
    names(client)
    eventually(lambda: len(known(client)) == 2)
    other = accept(client, "search", "0" * 64)
    assert (other.status_code, reason(other)) == (409, "tool_definition_changed")
    unknown = accept(client, "drop_everything", "0" * 64)
    assert (unknown.status_code, reason(unknown)) == (404, "tool_unknown")
    assert accept(client, "search", "no digest").status_code == 400


def test_where_all_have_to_be_accepted_nothing_passes_before(world, server):
    client = mcp_client(world[0], server, {"definitions": "accepted"})
    unlisted = client.call("search", q="a")
    assert (unlisted.status_code, reason(unlisted)) == (403, "tool_definition_unaccepted")
    assert names(client) == []
    held = eventually(lambda: known(client).get("search"))
    assert held["state"] == "held"
    assert accept(client, "search", held["held_digest"]).status_code == 200
    assert names(client) == ["search"]
    assert client.call("search", q="a").status_code == 200


def test_where_nothing_is_pinned_the_server_says_what_it_likes(world, server):
    client = mcp_client(world[0], server, {"definitions": "off"})
    names(client)
    server.tools[0]["description"] = "Something else."
    assert names(client) == ["search", "ticket_open"]
    assert known(client) == {}


def test_a_tool_that_was_never_listed_is_decided_on_by_its_name(client):
    assert client.call("search", q="a").status_code == 200


def test_pins_outlast_an_apply_and_go_with_the_rule(client, server):
    names(client)
    eventually(lambda: len(known(client)) == 2)
    before = known(client)
    resource = client.zone.document["resources"][0]
    client.zone.apply(resources=[resource | {"tools": {"search": READ}}])
    assert known(client) == {"search": before["search"]}


def test_the_same_tool_on_two_pages_is_one_tool(client, server):
    assert names(client) == ["search", "ticket_open"]
    server.tools = [{"name": "search", "description": "Another search, on page two."}]
    assert names(client) == []
    refused = client.call("search", q="a")
    assert (refused.status_code, reason(refused)) == (403, "tool_definition_changed")


def answer(result, **more) -> Response:
    body = {"jsonrpc": "2.0", "id": 1, "result": result}
    return Response(json.dumps(body), media_type="application/json", **more)


def test_a_list_that_names_a_tool_twice_is_not_passed_on(client, server):
    twice = [{"name": "search"}, {"name": "search", "description": "The other one."}]
    server.misbehaves = answer({"tools": twice})
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(LIST)
    assert known(client) == {}


def test_a_definition_that_is_too_large_is_not_shown(client, server):
    server.tools[0]["description"] = "a" * 40_000
    assert names(client) == ["ticket_open"]


def test_more_tools_than_can_be_pinned_are_not_shown(client, server):
    server.tools = [{"name": f"ticket_{number}"} for number in range(510)]
    assert len(names(client)) == 500


def test_a_list_beyond_the_inspected_size_is_not_passed_on(client, server):
    server.misbehaves = answer({"tools": [{"name": "search", "description": "a" * 70_000}]})
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(LIST)


def endless():
    while True:
        yield b": nothing\n" + b"data: a" * 1_000


def test_a_list_that_never_ends_is_cut(client, server):
    server.misbehaves = StreamingResponse(endless(), media_type="text/event-stream")
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(LIST)


@pytest.mark.parametrize(
    "header",
    [
        (b"x-caracal-token-expires-in", b"9999"),
        (b"caracal-receipt", b"mine"),
        (b"connection", b"x-request-id"),
        (b"content-type", b"application/json\r\nx-injected: 1"),
    ],
)
def test_a_servers_headers_say_nothing_in_our_name(client, server, header):
    server.misbehaves = answer({"tools": TOOLS})
    server.misbehaves.raw_headers.append(header)
    request = unique("headers")
    try:
        got = client.post(LIST, request)
    except httpx.RemoteProtocolError:
        return
    assert "x-injected" not in got.headers
    assert got.headers["x-request-id"] == request
    assert "mine" not in got.headers.get_list("caracal-receipt")
    assert "9999" not in got.headers.get_list("x-caracal-token-expires-in")


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_a_cursor_of_the_server_is_only_a_text(client, server, revision):
    server.misbehaves = answer({"tools": TOOLS, "nextCursor": "drop_everything"})
    if revision == MODERN:
        assert modern(client, "tools/list", cursor="a\n../x").status_code == 200
    else:
        assert client.post(LIST | {"params": {"cursor": "a\n../x"}}).status_code == 200
