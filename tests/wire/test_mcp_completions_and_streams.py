"""`completion/complete` and `subscriptions/listen` are decided on by what they name, or do not pass."""

import json

import pytest

from caracal.authority.mcp import McpRequest, Target
from caracal.authority.outcomes import Reason
from caracal.wire.errors import WireError
from caracal.wire.mcp import parse_message

HEADERS = [(b"content-type", b"application/json")]


def read(method: str, params) -> McpRequest:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return parse_message(json.dumps(message).encode(), HEADERS)


def complete(ref, **more) -> McpRequest:
    return read("completion/complete", {"ref": ref, "argument": {"name": "a", "value": "b"}} | more)


def listen(**wanted) -> McpRequest:
    return read("subscriptions/listen", {"notifications": wanted})


def test_a_completion_names_a_prompt_or_what_a_template_begins_with():
    prompt = complete({"type": "ref/prompt", "name": "summary"})
    assert (prompt.name, prompt.target) == ("summary", Target.PROMPT)
    template = complete({"type": "ref/resource", "uri": "file:///handbook/{page}"})
    assert (template.name, template.target) == ("file:///handbook/", Target.CONTENT)
    other = complete({"type": "ref/prompt", "name": "summary"}, context={"arguments": {"x": "y"}})
    assert other.arguments != prompt.arguments


@pytest.mark.parametrize(
    "ref",
    [
        None,
        "summary",
        {"type": "ref/tool", "name": "search"},
        {"type": ["ref/prompt"], "name": "summary"},
        {"type": "ref/prompt", "uri": "file:///a"},
        {"type": "ref/prompt", "name": ""},
        {"type": "ref/resource", "uri": "{any}"},
        {"type": "ref/resource", "uri": "file:///a/../b/{page}"},
    ],
    ids=str,
)
def test_a_completion_of_something_else_does_not_pass(ref):
    with pytest.raises(WireError) as refused:
        complete(ref)
    assert refused.value.reason is Reason.MCP_MESSAGE_INVALID


def test_a_stream_tells_of_lists_and_of_one_resource():
    assert listen(toolsListChanged=True).target is Target.NOTHING
    assert read("subscriptions/listen", {}).name == ""
    watched = listen(resourceSubscriptions=["file:///a"])
    assert (watched.name, watched.target) == ("file:///a", Target.CONTENT)
    assert McpRequest("tasks/get", about=Target.TOOL).target is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"taskIds": ["1"]},
        {"resourceSubscriptions": "file:///a"},
        {"resourceSubscriptions": [7]},
        {"resourceSubscriptions": ["file:///a", "file:///b"]},
        {"resourceSubscriptions": ["file:///a/../b"]},
        {"resourceSubscriptions": [" "]},
    ],
    ids=str,
)
def test_a_stream_of_anything_else_does_not_pass(wanted):
    with pytest.raises(WireError) as refused:
        listen(**wanted)
    assert refused.value.reason is Reason.MCP_MESSAGE_INVALID
    with pytest.raises(WireError):
        read("subscriptions/listen", {"notifications": []})
