"""Clients and servers that know nothing of Caracal, with a Gateway in between."""

import pytest

SHOWN = ["add", "count", "get_current_time", "git_log", "log", "wait"]
MODES = ("legacy", "2026-07-28")


@pytest.mark.parametrize("name", ["mcp", "fastmcp"])
def test_tools_are_listed_called_and_refused_one_by_one_in_both_revisions(client, zone, name):
    found = client(name, MODES)
    assert list(found) == list(MODES)
    for done in found.values():
        assert done["tools"] == SHOWN
        assert done["add"] == "5"
        assert '"timezone": "UTC"' in done["time"]
        assert "first" in done["git"]
        assert done["progress"] == [0, 1, 2]
        assert done["cancelled"]
        assert done["refused"][0].startswith("fault")
        assert done["refused"][1] == [403, "operation_scope_missing"]
        assert done["unknown"][0].startswith("fault")
        assert done["unknown"][1][1] == "tool_unknown"
    operations = {one["operation"] for one in zone.evidence(kind="call")}
    assert {"tools/list", "tools/call add", "tools/call git_log", "tools/call drop"} <= operations
