"""A list shows what a call would be allowed, however the answer is cut and framed."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.mcp import McpRequest
from caracal.wire.mcp_lists import filter_for, is_list

TOOLS = [{"name": "search", "x": 1.5}, {"name": "drop"}, {"name": 7}, {}, "search", {"name": "a\n"}]
ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS, "nextCursor": "b"}}
SHOWN = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {"tools": [{"name": "search", "x": 1.5}], "nextCursor": "b"},
}
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}


def allowed(request: McpRequest) -> bool:
    return request.name in {"search", "file:///a"}


def seen(listed) -> set[str]:
    """A tool that must not be shown, though it is allowed."""
    return {one.tool for one in listed if one.tool == "file:///a"}


def filtered(pieces, method="tools/list", content_type=b"application/json", limit=4096) -> bytes:
    listing = filter_for(McpRequest(method), content_type, allowed, limit, seen)
    return b"".join([*map(listing.feed, pieces), listing.finish()])


def cut(data: bytes, places) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


def messages(stream: bytes) -> list[dict]:
    """An independent reading: the data of each event."""
    return [
        json.loads("\n".join(line[6:] for line in event.splitlines() if line.startswith("data: ")))
        for event in stream.decode().split("\n\n")
        if "data:" in event
    ]


@given(st.lists(st.integers(0, 300), max_size=6))
def test_only_what_is_allowed_is_in_the_answer(places):
    assert json.loads(filtered(cut(json.dumps(ANSWER).encode(), places))) == SHOWN


@given(st.lists(st.integers(0, 500), max_size=8), st.sampled_from(["\n", "\r", "\r\n"]))
def test_only_what_is_allowed_is_in_the_stream(places, line):
    spread = json.dumps(ANSWER, indent=1).split("\n")
    lines = [": hello", "", f"data: {json.dumps(PROGRESS)}", "", "event: message", "id: 7"]
    lines += [f"data:{part}" if part.startswith(" ") else f"data: {part}" for part in spread]
    stream = b"\xef\xbb\xbf" + line.join([*lines, "", ""]).encode()
    found = filtered(cut(stream, places), content_type=b"Text/Event-Stream; charset=utf-8")
    assert messages(found) == [PROGRESS, SHOWN]
    assert b"drop" not in found
    assert b"id: 7\n" in found


def test_each_event_is_passed_on_when_it_is_whole():
    listing = filter_for(McpRequest("tools/list"), b"text/event-stream", allowed, 4096, seen)
    assert listing.feed(b": first\n\nda") == b": first\n\n"
    assert messages(listing.feed(f"ta: {json.dumps(ANSWER)}\n\n".encode())) == [SHOWN]
    assert listing.feed(b'data: {"result":{"tools":[]}}') == b""
    assert listing.finish() == b""


@pytest.mark.parametrize(
    ("method", "result", "shown"),
    [
        (
            "prompts/list",
            {"prompts": [{"name": "search"}, {"name": "b"}]},
            {"prompts": [{"name": "search"}]},
        ),
        (
            "resources/list",
            {"resources": [{"uri": "file:///a"}, {"uri": "file:///b"}, {"uri": "file:///b/../a"}]},
            {"resources": [{"uri": "file:///a"}]},
        ),
        ("tools/list", {"prompts": [{"name": "b"}]}, {"prompts": [{"name": "b"}]}),
        ("tools/list", {"tools": []}, {"tools": []}),
    ],
)
def test_each_list_has_its_member_and_its_key(method, result, shown):
    assert json.loads(filtered([json.dumps({"result": result}).encode()], method)) == {
        "result": shown
    }


def test_an_error_passes_and_so_does_nothing():
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}}
    assert json.loads(filtered([json.dumps(error).encode()])) == error
    assert filtered([]) == b""


@pytest.mark.parametrize(
    "body",
    [
        b'{"result":{"tools":[],"tools":[{"name":"drop"}]}}',
        b'{"result":{"tools":{"name":"drop"}}}',
        b'[{"result":{"tools":[]}}]',
        b"\xff",
        b"a" * 5000,
    ],
)
def test_what_can_not_be_read_is_not_passed_on(body):
    with pytest.raises(ValueError, match=r"."):
        filtered([body])
    with pytest.raises(ValueError, match=r"."):
        filtered([b"data: " + body, b"\n\n"], content_type=b"text/event-stream")


def test_a_list_of_another_form_is_not_passed_on():
    with pytest.raises(ValueError, match="neither JSON nor"):
        filtered([], content_type=b"text/html")


def test_only_lists_are_filtered():
    assert is_list(McpRequest("tools/list"))
    assert not is_list(McpRequest("tools/call", "search"))


def test_what_may_not_be_shown_is_not_shown_though_it_is_allowed():
    tools = [{"name": "search"}, {"name": "file:///a"}]
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}
    assert json.loads(filtered([json.dumps(answer).encode()]))["result"]["tools"] == tools[:1]
    twice = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [tools[0], tools[0]]}}
    with pytest.raises(ValueError, match="twice"):
        filtered([json.dumps(twice).encode()])


def test_a_template_is_shown_when_what_it_begins_with_may_be_read():
    templates = [{"uriTemplate": "file:///a{/page}"}, {"uriTemplate": "{any}"}, {"uriTemplate": 7}]
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"resourceTemplates": templates}}
    found = filtered([json.dumps(answer).encode()], "resources/templates/list")
    assert json.loads(found)["result"]["resourceTemplates"] == templates[:1]
