"""T40: a message that the Gateway would read as one thing and the MCP server as another."""

import gzip
import json

import pytest

from tests.support.deployment import reason, unique
from tests.support.mcp_server import MODERN, READ, SESSION, call, deployed_with_mcp, mcp_client
from tests.support.raw_http import head, send_raw


@pytest.fixture(scope="module")
def client(tmp_path_factory, upstream):
    with deployed_with_mcp(tmp_path_factory.mktemp("mcp") / "data", upstream) as both:
        yield mcp_client(*both)


@pytest.fixture
def attack(client):
    """Send a body and headers; nothing of it may arrive."""

    def send(body, headers=(), request="", **more):
        answer = client.post(body, request, headers=dict(headers), **more)
        assert client.arrived() == []
        return answer

    return send


ALLOWED = json.dumps(call("search", q="a"))
HIDDEN = json.dumps(call("drop_everything"))
SMUGGLED = {
    "a batch": f"[{ALLOWED},{HIDDEN}]",
    "the name twice": ALLOWED.replace('"name"', '"name":"drop_everything","name"'),
    "the name twice, escaped": ALLOWED.replace('"name"', '"n\\u0061me":"drop_everything","name"'),
    "the name in another case": ALLOWED.replace('"name"', '"Name":"drop_everything","name"'),
    "the method twice": ALLOWED.replace('"method"', '"method":"ping","method"'),
    "the method in another case": ALLOWED.replace('"method"', '"METHOD":"tasks/get","method"'),
    "arguments with a member twice": ALLOWED.replace('"q"', '"q":1,"q"'),
    "two messages": ALLOWED + HIDDEN,
    "a message after a line": f"{ALLOWED}\n{HIDDEN}\n",
    "NaN": ALLOWED.replace('"a"', "NaN"),
    "no arguments but a list": ALLOWED.replace('{"q": "a"}', '["q"]'),
    "a name of the wrong type": ALLOWED.replace('"search"', '["search"]'),
    "nothing at all": "",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_message_with_two_readings_does_not_pass(attack, name):
    answer = attack(SMUGGLED[name].encode())
    assert (answer.status_code, reason(answer)) == (400, "mcp_message_invalid")


CODED = {
    "compressed": (gzip.compress(ALLOWED.encode()), {"content-encoding": "gzip"}),
    "said to be compressed": (ALLOWED.encode(), {"content-encoding": "br"}),
    "UTF-16": (ALLOWED.encode("utf-16"), {}),
    "another media type": (ALLOWED.encode(), {"content-type": "text/plain"}),
    "another charset": (ALLOWED.encode(), {"content-type": "application/json; charset=utf-7"}),
}


@pytest.mark.parametrize("name", CODED)
def test_what_is_not_plain_json_does_not_pass(attack, name):
    body, headers = CODED[name]
    answer = attack(body, headers)
    assert (answer.status_code, reason(answer)) == (400, "mcp_message_invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp-name": "drop_everything"},
        {"mcp-method": "ping"},
        {"mcp-name": "=?base64?ZHJvcF9ldmVyeXRoaW5n?="},
        {"mcp_name": "drop_everything", "mcp-name": "search"},
        {"mcp-protocol-version": MODERN},
    ],
    ids=" ".join,
)
def test_headers_that_disagree_get_the_protocols_own_error(attack, client, headers):
    request = unique("mismatch")
    answer = attack(ALLOWED.encode(), headers, request)
    said = answer.json()
    assert (answer.status_code, said["jsonrpc"], said["id"]) == (400, "2.0", 1)
    assert said["error"]["code"] == -32020
    assert said["error"]["data"]["reason"] == "mcp_header_mismatch"
    assert client.zone.entry(request, "call")["reason"] == "mcp_header_mismatch"


def test_a_revision_from_the_future_gets_the_protocols_own_error(attack, client):
    request = unique("future")
    answer = attack(ALLOWED.encode(), {"mcp-protocol-version": "2099-01-01"}, request)
    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["id"], error["code"]) == (400, 1, -32022)
    assert (error["data"]["supported"], error["data"]["requested"]) == ([MODERN], "2099-01-01")
    assert error["data"]["refusal"]["reason"] == "mcp_message_invalid"
    assert client.zone.entry(request, "call")["reason"] == "mcp_message_invalid"


@pytest.mark.parametrize("method", ["unknown/method", "resources/subscribe"])
def test_a_method_that_the_revision_has_not_gets_the_protocols_own_error(attack, client, method):
    message = {"jsonrpc": "2.0", "id": 7, "method": method}
    request = unique("method")
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
    answer = attack(json.dumps(message).encode(), headers, request)
    error = answer.json()["error"]
    assert (answer.status_code, answer.json()["id"], error["code"]) == (404, 7, -32601)
    assert error["data"]["reason"] == "operation_undeclared"
    assert client.zone.entry(request, "call")["reason"] == "operation_undeclared"


def test_a_message_beyond_the_inspected_size_does_not_pass(attack):
    large = json.dumps(call("search", q="a" * 70_000)).encode()
    answer = attack(large)
    assert (answer.status_code, reason(answer)) == (413, "body_too_large")

    def chunks():
        yield large[:40_000]
        yield large[40_000:]

    answer = attack(b"", content=chunks())
    assert (answer.status_code, reason(answer)) == (413, "body_too_large")


def test_a_message_that_does_not_come_holds_nothing_up(client):
    lines = [
        f"{name}: {value}"
        for name, value in client.authority.headers(client.authority.mint(READ)).items()
    ]
    start = head("POST / HTTP/1.1", "Host: gateway", "Content-Length: 100", *lines)
    answer = send_raw(client.zone.deployment.running.gateway, start, b'{"jsonrpc"')
    assert answer.statuses == [408]
    assert client.arrived() == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/admin", "mcp_message_invalid"),
        ("POST", "/?tool=drop_everything", "mcp_message_invalid"),
        ("PUT", "/", "operation_undeclared"),
        ("HEAD", "/", None),
    ],
)
def test_nothing_but_the_endpoint_is_reached(client, method, path, code):
    answer = client.request(method, path=path, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 403)
    assert code is None or reason(answer) == code
    assert client.arrived() == []


def test_a_stream_is_not_opened_with_a_body(client):
    answer = client.request("GET", content=ALLOWED.encode())
    assert (answer.status_code, reason(answer)) == (400, "mcp_message_invalid")
    assert client.arrived() == []


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
def test_a_method_that_the_gateway_does_not_know_does_not_pass(attack, method):
    answer = attack({"jsonrpc": "2.0", "id": 1, "method": method})
    assert (answer.status_code, reason(answer)) == (403, "operation_undeclared")


def test_a_message_costs_its_mandate_whatever_is_in_it(client):
    mandate = client.authority.mint(READ)
    headers = {"content-type": "application/json"}
    first = client.authority.use(mandate, "/", "POST", content=b"[]", headers=headers)
    again = client.authority.use(mandate, "/", "POST", content=ALLOWED.encode(), headers=headers)
    assert (reason(first), reason(again)) == ("mcp_message_invalid", "mandate_replayed")
    assert client.arrived() == []


def test_a_session_of_the_server_is_of_use_to_who_began_it_only(client):
    def ask(authority, session="session-of-mine", **more):
        headers = {"content-type": "application/json", "mcp-session-id": session} | more
        mandate = authority.mint(READ)
        return authority.use(mandate, "/", "POST", content=ALLOWED.encode(), headers=headers)

    start = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    assert client.post(start).headers["mcp-session-id"] == SESSION
    other = client.zone.agent("helper").authority()
    for session in (SESSION, "session-of-mine"):
        assert ask(client.authority, session).status_code == 200
        client.arrived()
        stolen = ask(other, session)
        assert (stolen.status_code, reason(stolen)) == (404, "mcp_session_foreign")
        twice = ask(other, "another", mcp_session_id=session)
        assert (twice.status_code, reason(twice)) == (400, "mcp_message_invalid")
        assert client.arrived() == []
    assert ask(other, "session-of-theirs").status_code == 200


SMALL = """
@id("reads") permit (principal, action, resource) when { context.phase == "exchange" };
@id("small") permit (principal, action, resource)
when { context.call.arguments has amount && context.call.arguments.amount < 100 };
"""


def test_arguments_decide_and_only_their_digest_is_on_record_unless_an_operator_wants_more(client):
    paying = mcp_client(client.zone.deployment, client.server, policy=SMALL)
    for amount, status in ((99, 200), (100, 403), ("1", 403)):
        request = unique("pay")
        assert paying.call("search", request, amount=amount).status_code == status
        entry = paying.zone.entry(request, "call")
        assert (len(entry["arguments"]), "argument_values" in entry) == (64, False)
    assert entry["reason"] == "policy_error"
    resource = paying.zone.document["resources"][0] | {"record_arguments": True}
    paying.zone.apply(resources=[resource])
    for amount in (1, 100):
        request = unique("pay")
        paying.call("search", request, amount=amount)
        entry = paying.zone.entry(request, "call")
        assert json.loads(entry["argument_values"]) == {"amount": amount}
    request = unique("pay")
    assert paying.call("search", request, amount=1, q="a" * 17_000).is_success
    assert "argument_values" not in paying.zone.entry(request, "call")
