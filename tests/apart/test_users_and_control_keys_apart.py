"""Apart, users are federated, worked for and revoked as in one process; control keys stay outside."""

import json

from caracal.tokens.base64url import decode
from tests.support.deployment import reason

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def federate(agent, token):
    return agent.token(subject_token=token, subject_token_type=ID_TOKEN)


def test_a_users_authority_begins_at_the_sts_and_ends_at_the_coordinator(deployment, provider):
    zone = deployment.zone(subject_issuers=[provider.trust])
    agent = zone.agent()
    answer = federate(agent, provider.token("ann"))
    assert answer.status_code == 200, answer.text
    mandate = answer.json()["access_token"]
    record = json.loads(decode(mandate.split(".")[1].encode()))["sid"]
    root = agent.start(subject_session_id=record, subject_token=mandate, ttl_seconds=600)
    authority = agent.hand_on(root, agent.start(root), agent)
    early, in_flight = provider.token("ann"), authority.mint()
    called = authority.call()
    assert called.status_code == 200
    entry = zone.entry(called.headers["x-request-id"], "call")
    assert (entry["subject"], entry["subject_issuer"]) == ("ann", provider.url)

    body = {"issuer": provider.url, "subject_id": "ann"}
    revoked = zone.operate("POST", "subjects/revoke", json=body)
    assert revoked.status_code == 200, revoked.text
    assert revoked.json()["sessions"] == 2

    used = authority.use(in_flight, "/json")
    assert (used.status_code, reason(used)) == (401, "mandate_revoked")
    again = federate(agent, early)
    assert (again.status_code, reason(again)) == (401, "subject_revoked")


def test_control_apart_takes_operator_tokens_only(deployment):
    traits = ["control:invoke", "control:scope:control:zone:read"]
    zone = deployment.zone(applications=[{"name": "agent"}, {"name": "key", "traits": traits}])
    asked = {"zone_id": None, "resource": "caracal-control", "scope": "control:zone:read"}
    minted = zone.agent("key").token(**asked)
    assert minted.status_code == 200, minted.text
    url = f"{deployment.running.control}/v1/zones/{zone.name}"
    headers = {"authorization": f"Bearer {minted.json()['access_token']}"}
    answer = deployment.http.get(url, headers=headers)
    assert (answer.status_code, reason(answer)) == (401, "operator_unknown")
