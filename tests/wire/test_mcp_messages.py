"""One MCP message, read one way: what is taken, what is refused, and the digest of its arguments."""

import hashlib
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mcp import METHODS, McpRequest
from caracal.authority.outcomes import Reason
from caracal.evidence.canonical import canonical_json
from caracal.wire.argument_digest import digest_arguments, render_number
from caracal.wire.errors import WireError
from caracal.wire.mcp import MAX_DEPTH, MAX_VALUES, REVISIONS, message_id, parse_message

JSON = (b"content-type", b"application/json")
MODERN = (b"mcp-protocol-version", b"2026-07-28")
VERSION = "io.modelcontextprotocol/protocolVersion"
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search", "arguments": {"q": "a"}},
}


def read(message, *headers, json_type=True) -> McpRequest:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return parse_message(body, (*((JSON,) if json_type else ()), *headers))


def refusal(message, *headers, **more) -> Reason:
    with pytest.raises(WireError) as caught:
        read(message, *headers, **more)
    return caught.value.reason


def called(**params):
    return CALL | {"params": CALL["params"] | params}


def request(method, **params):
    return {"jsonrpc": "2.0", "id": "a", "method": method, "params": params}


def test_a_tool_call_is_its_name_and_the_digest_of_its_arguments():
    digest = hashlib.sha256(b'{"q":"a"}').hexdigest()
    said = '{"q":"a"}'
    assert read(CALL) == McpRequest("tools/call", "search", digest, said=said)


def test_a_call_without_arguments_has_no_digest():
    assert read(request("tools/call", name="now")) == McpRequest("tools/call", "now")
    assert read(called(arguments={})).arguments == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_what_the_later_revision_has_no_longer_is_not_read_in_it(method):
    asked = request(method, uri="file:///a")
    assert read(asked) == McpRequest(method, "file:///a")
    assert refusal(asked, MODERN) is Reason.OPERATION_UNDECLARED


def test_prompts_and_contents_are_named_too():
    assert read(request("prompts/get", name="ask")) == McpRequest("prompts/get", "ask")
    for method in ("resources/read", "resources/subscribe", "resources/unsubscribe"):
        assert read(request(method, uri="file:///a%20b")) == McpRequest(method, "file:///a%20b")


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"name": 7}},
    ],
    ids=lambda message: message["method"],
)
def test_a_message_that_names_nothing_is_its_method(message):
    assert read(message) == McpRequest(message["method"])


@pytest.mark.parametrize("member", ["result", "error"])
def test_an_answer_to_the_server_is_told_from_a_request(member):
    assert read({"jsonrpc": "2.0", "id": 7, member: {}}) == McpRequest("response")


TWO_READINGS = {
    "batch": b"[" + json.dumps(CALL).encode() + b"]",
    "member twice": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    "member twice, escaped": b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}',
    "member twice, deep": json.dumps(CALL).replace('"q": "a"', '"q": [{"a": 1, "a": 2}]').encode(),
    "envelope in another case": json.dumps(CALL | {"Method": "ping"}).encode(),
    "name in another case": json.dumps(called(Name="remove")).encode(),
    "name that folds": json.dumps(CALL | {"params": {"name": "a", "argument\u017f": {}}}).encode(),
    "NaN": json.dumps(called(arguments={"a": float("nan")})).encode(),
    "infinity by size": json.dumps(CALL).replace('"a"', "1e999").encode(),
    "integer that doubles lose": json.dumps(called(arguments={"a": 2**53})).encode(),
    "integer without end": json.dumps(CALL).replace('"a"', "9" * 5000).encode(),
    "bytes that are no UTF-8": json.dumps(CALL).replace("search", "sear\\xff").encode("latin-1"),
    "UTF-16": json.dumps(CALL).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(CALL).encode(),
    "lone surrogate": json.dumps(called(name="a\ud800")).encode(),
    "two messages": json.dumps(CALL).encode() * 2,
    "comment": b"//\n" + json.dumps(CALL).encode(),
    "nothing": b"",
    "text": b'"ping"',
    "deep": json.dumps(CALL).replace('"a"', "[" * 70 + "]" * 70).encode(),
    "deeper than any stack": b'{"jsonrpc":' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", TWO_READINGS)
def test_what_could_be_read_in_two_ways_is_refused(name):
    body = TWO_READINGS[name].replace(b"sear\\xff", b"sear\xff")
    assert refusal(body) is Reason.MCP_MESSAGE_INVALID
    assert message_id(b"[]") is None


def test_the_last_depth_that_is_read_is_the_bound():
    depth = MAX_DEPTH - 3
    inside = json.dumps(CALL).replace('"a"', "[" * depth + "]" * depth)
    assert read(inside.encode()).name == "search"


def test_a_message_has_a_bounded_number_of_values():
    inside = MAX_VALUES - 8
    assert read(called(arguments={"a": [1] * inside})).name == "search"
    assert refusal(called(arguments={"a": [1] * MAX_VALUES})) is Reason.MCP_MESSAGE_INVALID


WRONG = {
    "version of JSON-RPC": CALL | {"jsonrpc": 2.0},
    "no version": {"id": 1, "method": "ping"},
    "id null": CALL | {"id": None},
    "id boolean": CALL | {"id": True},
    "id fraction": CALL | {"id": 1.5},
    "id object": CALL | {"id": {}},
    "more members": CALL | {"extra": 1},
    "method and result": CALL | {"result": {}},
    "result and error": {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
    "result without id": {"jsonrpc": "2.0", "result": {}},
    "result that is none": {"jsonrpc": "2.0", "id": 1, "result": []},
    "method no text": CALL | {"method": 7},
    "method with a space": CALL | {"method": "tools/call x"},
    "method that stands for a stream": CALL | {"method": "GET"},
    "method that stands for an end": CALL | {"method": "DELETE"},
    "method that stands for an answer": CALL | {"method": "response"},
    "call without id": {"jsonrpc": "2.0", "method": "tools/call", "params": CALL["params"]},
    "notification with id": {"jsonrpc": "2.0", "id": 1, "method": "notifications/initialized"},
    "params a list": CALL | {"params": ["search"]},
    "no name": request("tools/call", arguments={}),
    "name no text": called(name=["search"]),
    "empty name": called(name=""),
    "name too long": called(name="a" * 513),
    "name that can not be seen": called(name="a\u0000b"),
    "name with a space around": called(name="search "),
    "arguments a list": called(arguments=[1]),
    "arguments null": called(arguments=None),
    "no uri": request("resources/read", name="file:///a"),
    "uri with a way up": request("resources/read", uri="file:///a/../b"),
    "uri with an escaped way up": request("resources/read", uri="file:///a/%252e%252e/b"),
    "uri with an escaped slash and a way up": request("resources/read", uri="file:///a%2f..%2fb"),
    "uri with a backslash": request("resources/read", uri="file:///a%5c..%5cb"),
    "meta no object": called(_meta=[]),
    "version no text": called(_meta={VERSION: 7}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_message_of_the_wrong_form_is_refused(name):
    assert refusal(WRONG[name]) is Reason.MCP_MESSAGE_INVALID


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"content-type", b"text/plain"),),
        ((b"content-type", b"application/json; charset=utf-16"),),
        ((b"content-type", b"application/json; charset=utf-8; a=b"),),
        (JSON, JSON),
        (JSON, (b"content_type", b"text/plain")),
        (JSON, (b"content-encoding", b"gzip")),
        (JSON, (b"content_encoding", b"br")),
        (JSON, (b"mcp-protocol-version", b"2027-01-01")),
    ],
)
def test_what_is_not_plain_json_of_a_known_revision_is_refused(headers):
    assert refusal(CALL, *headers, json_type=False) is Reason.MCP_MESSAGE_INVALID


@pytest.mark.parametrize(
    "headers",
    [
        ((b"content-type", b'Application/JSON ; charset="UTF-8"'),),
        (JSON, (b"mcp-session-id", b"a"), (b"mcp-param-region", b"b")),
        (JSON, (b"content-encoding", b"identity")),
        *((JSON, (b"mcp-protocol-version", revision.encode())) for revision in REVISIONS[:-1]),
    ],
)
def test_plain_json_is_read(headers):
    assert read(CALL, *headers, json_type=False).name == "search"


def header(name: str, value: str) -> tuple[bytes, bytes]:
    return (name.encode(), value.encode())


MISMATCHES = {
    "another method": [header("mcp-method", "ping")],
    "another case": [header("mcp-method", "Tools/Call")],
    "another name": [header("mcp-name", "remove")],
    "another name, encoded": [header("mcp-name", "=?base64?cmVtb3Zl?=")],
    "an encoding that is none": [header("mcp-name", "=?base64?!?=")],
    "an encoding of no text": [header("mcp-name", "=?base64?/w==?=")],
    "twice": [header("mcp-name", "search"), header("mcp-name", "search")],
    "twice as servers read it": [header("mcp-name", "search"), header("mcp_name", "remove")],
    "letters beyond ASCII": [(b"mcp-name", b"s\xe9arch")],
    "no method": [MODERN, header("mcp-name", "search")],
    "no name": [MODERN, header("mcp-method", "tools/call")],
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_headers_that_say_something_else_are_refused(name):
    assert refusal(CALL, *MISMATCHES[name]) is Reason.MCP_HEADER_MISMATCH


def test_headers_about_what_names_nothing_are_refused():
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert refusal(ping, header("mcp-name", "search")) is Reason.MCP_HEADER_MISMATCH
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert refusal(answer, header("mcp-method", "response")) is Reason.MCP_HEADER_MISMATCH


def test_the_revision_in_the_message_is_the_one_in_the_header():
    modern = called(_meta={VERSION: "2026-07-28"})
    mirrored = (header("mcp-method", "tools/call"), header("mcp-name", "search"))
    assert read(modern, MODERN, *mirrored).name == "search"
    assert refusal(modern, *mirrored) is Reason.MCP_HEADER_MISMATCH
    older = header("mcp-protocol-version", "2025-11-25")
    assert refusal(modern, older, *mirrored) is Reason.MCP_HEADER_MISMATCH


def test_a_notification_and_an_answer_need_no_mirror():
    assert read({"jsonrpc": "2.0", "method": "notifications/cancelled"}, MODERN).name == ""
    assert read({"jsonrpc": "2.0", "id": 1, "result": {}}, MODERN).method == "response"


@given(st.text(min_size=1, max_size=40))
def test_a_name_in_base64_is_compared_decoded(name):
    encoded = (b"mcp-name", b"=?base64?" + b64encode(name.encode()) + b"?=")
    try:
        found = read(called(name=name), encoded)
    except WireError as error:
        assert error.reason is Reason.MCP_MESSAGE_INVALID  # noqa: PT017 (most texts are read)
    else:
        assert found.name == name


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.randoms())
def test_the_digest_does_not_depend_on_how_arguments_are_written(arguments, random):
    shuffled = list(arguments.items())
    random.shuffle(shuffled)
    spaced = json.dumps(called(arguments=dict(shuffled)), indent=3, ensure_ascii=False)
    assert read(spaced.encode()) == read(called(arguments=arguments))


@given(st.dictionaries(st.text(), st.text() | st.integers(-9, 9), max_size=4))
def test_without_fractions_the_form_is_that_of_evidence(arguments):
    assert digest_arguments(arguments) == hashlib.sha256(canonical_json(arguments)).hexdigest()
    fraction = arguments | {"\U0001f600": 0.5, "\ufb33": [True, None, -0.0]}
    assert render_number(-0.0) == "0"
    assert digest_arguments(fraction) != digest_arguments(arguments)


def test_members_are_sorted_as_utf_16():
    form = '{"\U0001f600":[1,true,null,"é"],"\ufb33":0.5}'
    arguments = {"\ufb33": 0.5, "\U0001f600": [1.0, True, None, "é"]}
    assert digest_arguments(arguments) == hashlib.sha256(form.encode()).hexdigest()


# RFC 8785 appendix B, and the edges between the forms.
NUMBERS = {
    0.0: "0",
    5e-324: "5e-324",
    -1.7976931348623157e308: "-1.7976931348623157e+308",
    9007199254740992.0: "9007199254740992",
    295147905179352830000.0: "295147905179352830000",
    9.999999999999997e22: "9.999999999999997e+22",
    1e23: "1e+23",
    999999999999999700000.0: "999999999999999700000",
    1e21: "1e+21",
    333333333.3333332: "333333333.3333332",
    0.000001: "0.000001",
    1e-7: "1e-7",
    -0.0000033333333333333333: "-0.0000033333333333333333",
    1424953923781206.2: "1424953923781206.2",
    100.0: "100",
}


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_written_as_ecmascript_writes_them(number):
    assert render_number(number) == NUMBERS[number]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_as_it_was(number):
    assert float(render_number(number)) == number


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(body):
    try:
        read(body)
    except WireError as error:
        assert error.reason is Reason.MCP_MESSAGE_INVALID  # noqa: PT017 (nothing else may come)
    assert message_id(body) is None or isinstance(message_id(body), str | int)


ENVELOPE = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0", 2])},
    optional={
        "id": st.sampled_from([1, "a", None, True, 1.5]),
        "method": st.sampled_from([*METHODS, "GET", "x", 1]),
        "params": st.dictionaries(st.sampled_from(["name", "uri", "arguments", "NAME"]), VALUES)
        | st.just({"name": "search"}),
        "result": st.just({}),
    },
)


@given(ENVELOPE, st.lists(st.sampled_from([MODERN, header("mcp-method", "ping")]), max_size=2))
def test_whatever_is_read_says_the_same_as_a_plain_reading_of_the_message(message, headers):
    try:
        found = read(message, *headers)
    except WireError:
        return
    if found.method == "response":
        assert "result" in message
        return
    assert found.method == message["method"]
    params = message.get("params", {})
    assert found.name in ("", params.get("name"), params.get("uri"))
    if METHODS.get(found.method):
        assert found.name


def test_the_id_of_a_message_can_be_told_for_an_answer():
    assert message_id(json.dumps(CALL).encode()) == 1
    assert message_id(json.dumps(CALL | {"id": [1]}).encode()) is None
