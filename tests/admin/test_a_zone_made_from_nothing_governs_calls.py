"""The published admin client provisions a zone, and the published SDK makes a call that it governs."""

import httpx

from tests.support.running import Running
from tests.support.upstream import RecordingUpstream

WORD = "a-word-of-the-upstream"
PROVISION = """
zone = client.zones.create({"name": "Made From Nothing"})
application = client.applications.create(zone["id"], {"name": "Runner 7"})
provider = ensure_api_key_provider(
    client, zone["id"], name="Upstream key", identifier="provider://upstream",
    public_config={"auth_location": "header", "header_name": "X-Upstream-Key"},
    api_key=given["key"])
resource = ensure_resource(
    client, zone["id"], name="Things", identifier="resource://things", scopes=["things:read"],
    upstream_url=given["upstream"], credential_provider_id=provider,
    operations=[{"method": "GET", "path": "/json", "scope": "things:read"}])
said.update(zone=zone, application=application, resource=resource)
"""
CALL = """
import asyncio
from caracalai import Caracal
async def call():
    caracal = Caracal.from_client_secret(
        coordinator_url=os.environ["API"], sts_url=os.environ["API"], gateway_url=given["gateway"],
        zone_id=given["zone"], application_id=given["application"],
        client_secret=given["secret"], resources=["resource://things"])
    async with caracal.application_transport("resource://things", scopes=["things:read"]) as http:
        headers = {"X-Caracal-Resource": "resource://things"}
        answer = await http.get(given["gateway"] + "/json", headers=headers)
    await caracal.aclose()
    return answer
answer = asyncio.run(call())
said["status"], said["request"] = answer.status_code, answer.headers["x-request-id"]
said["sessions"] = client.sessions.list(given["zone"])
said["audit"] = client.audit.list(given["zone"], {"decision": "allow"})
said["calls"] = client.audit.list(given["zone"], {"event_type": "gateway_resource_request"})
said["of request"] = client.audit.by_request(given["zone"], said["request"])
said["explained"] = client.audit.explain(given["zone"], said["request"])
said["no request"] = refused(lambda: client.audit.explain(given["zone"], "none"))[:2]
said["admin"] = client.admin_audit.list(given["zone"], {"limit": 500})
session = said["sessions"][0]["session_id"]
said["session"] = client.sessions.get(given["zone"], session)
said["authority"] = client.sessions.effective_authority(given["zone"], session)
said["children"] = client.sessions.children(given["zone"], session)
said["delegations"] = client.delegations.active(given["zone"])
"""


def test_a_call_goes_through_with_the_sealed_key_and_is_on_record(
    caracal: Running, upstream: RecordingUpstream, drive
):
    made = drive(PROVISION, key=WORD, upstream=upstream.url)
    zone, application = made["zone"], made["application"]
    _permit(caracal, zone["id"])
    said = drive(
        CALL,
        gateway=caracal.gateway,
        zone=zone["id"],
        application=application["id"],
        secret=application["client_secret"],
    )
    assert said["status"] == 200
    assert upstream.received[-1].header("x-upstream-key") == WORD
    assert {row["application_id"] for row in said["sessions"]} == {application["id"]}
    assert "token_exchange" in {row["event_type"] for row in said["audit"]}
    assert [row["request_id"] for row in said["calls"]] == [said["request"]]
    assert said["calls"][0]["metadata_json"]["resource"] == "resource://things"
    assert said["explained"]["final_decision"] == "allow"
    assert said["explained"]["events"] == said["of request"]
    assert said["no request"] == [404, "request_not_found"]
    assert {row["action"] for row in said["admin"]} == {"zone.apply"}
    assert said["session"]["session_id"] == said["sessions"][0]["session_id"]
    assert "inbound_delegations" in said["authority"]
    assert said["children"] == []
    assert WORD not in str(said["admin"])


def _permit(caracal: Running, zone: str) -> None:
    """Have an operator state the policy, as any zone file would."""
    with httpx.Client(base_url=caracal.control, headers=caracal.operator) as control:
        shown = control.get(f"/v1/zones/{zone}").json()
        name = shown["applications"][0]["name"]
        assert name == "runner-7"
        provider, resource = shown["providers"][0], shown["resources"][0]
        document = {
            "zone": shown["slug"],
            "title": shown["name"],
            "applications": [{"name": name, "title": "Runner 7"}],
            "providers": [
                {
                    "name": provider["name"],
                    "title": "Upstream key",
                    "kind": "api_key",
                    "header": "X-Upstream-Key",
                    "secret": WORD,
                }
            ],
            "resources": [
                {
                    "identifier": resource["identifier"],
                    "name": "Things",
                    "upstream": resource["upstream"],
                    "provider": provider["name"],
                    "operations": {"GET /json": "things:read"},
                }
            ],
            "policy": f'permit (principal == Application::"{name}", action, resource);',
        }
        applied = control.put(f"/v1/zones/{shown['slug']}", json=document)
        assert applied.status_code == 200, applied.text
        assert [change["kind"] for change in applied.json()["changes"]] == ["policy"]
