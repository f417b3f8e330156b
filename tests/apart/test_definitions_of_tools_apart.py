"""Apart, what a Gateway sees of tools is kept by Control, and what an operator accepts there holds."""

from tests.support.deployment import eventually, reason
from tests.support.mcp_server import TICKETS, mcp_client

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def test_a_definition_that_changes_is_held_until_control_says_otherwise(deployment, tickets):
    tickets.tools = [{"name": "search", "description": "Find."}, {"name": "ticket_open"}]
    client = mcp_client(deployment, tickets)
    base = f"{deployment.running.control}/v1/zones/{client.zone.id}/tools"

    def control(method, path="", **more):
        return deployment.http.request(method, base + path, headers=deployment.operator, **more)

    def known():
        return {one["tool"]: one for one in control("GET").json()["items"]}

    def listed():
        return [one["name"] for one in client.post(LIST).json()["result"]["tools"]]

    assert listed() == ["search", "ticket_open"]
    eventually(lambda: len(known()) == 2)
    tickets.tools[0]["description"] = "Find and tell."
    assert listed() == ["ticket_open"]
    held = eventually(lambda: (one := known()["search"])["held_digest"] and one)
    assert "tell" in held["held_definition"]
    assert reason(client.call("search", q="a")) == "tool_definition_changed"
    accepted = {"resource": TICKETS, "tool": "search", "digest": held["held_digest"]}
    assert control("POST", "/accept", json=accepted).status_code == 200
    assert listed() == ["search", "ticket_open"]
    kinds = ("tool.seen", "tool.changed", "tool.accept")
    found = eventually(lambda: [len(client.zone.evidence(kind=kind)) for kind in kinds])
    assert found == [2, 1, 1]
