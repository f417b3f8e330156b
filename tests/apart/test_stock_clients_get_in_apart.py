"""Apart, an access mandate rests on a session that every service knows before it is handed out."""

import json

from tests.support.deployment import unique

GATEWAY = "http://gateway.test"
MESSAGE = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search"}}


def test_a_token_from_the_sts_is_good_at_the_gateway_until_the_coordinator_ends_it(
    deployment, upstream
):
    name = unique("stock")
    resource = {
        "identifier": "resource://tickets",
        "kind": "mcp",
        "upstream": f"{upstream.url}/json",
        "endpoint": "tickets",
        "tools": {"search": "tickets:read"},
    }
    zone = deployment.zone(name, resources=[resource])
    application, secret = zone.applications["agent"]
    url, running = f"{GATEWAY}/mcp/{name}/tickets", deployment.running
    form = {
        "grant_type": "client_credentials",
        "client_id": application,
        "client_secret": secret,
        "resource": url,
    }
    answer = deployment.http.post(f"{running.control}/oauth/zones/{name}/token", data=form)
    assert answer.status_code == 200, answer.text
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    place = f"{running.gateway}/mcp/{name}/tickets"

    def call():
        return deployment.http.post(place, json=MESSAGE, headers=headers)

    first, second = call(), call()
    assert {first.status_code, second.status_code}.isdisjoint({401, 403, 404}), first.text
    entry = zone.entry(first.headers["x-request-id"], "call")
    assert (entry["verdict"], entry["operation"]) == ("allow", "tools/call search")
    zone.kill(entry["session"])
    refused = call()
    assert (refused.status_code, refused.json()["reason"]) == (401, "mandate_revoked")
    described = deployment.http.get(
        f"{running.gateway}/.well-known/oauth-protected-resource/mcp/{name}/tickets"
    )
    assert json.loads(described.text)["resource"] == url
