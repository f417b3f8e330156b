"""The published admin client grants, its SDK calls; the client grants no more, and the SDK is refused."""

from functools import partial

import pytest

from tests.support.deployment import API, READ, Zone, reason, unique
from tests.support.published_client import run_published

ENSURE = """
from caracalai_admin import *
client = AdminClient(api_url=given.control, admin_token=given.token)
grants = [ResourceGrant(*one) for one in given.grants]
for _ in range(given.times):
    ensure_grants(client, given.zone, grants=grants)
policies = client.policies.list(given.zone)
said["versions"] = [len(client.policies.get(given.zone, p["id"])["versions"]) for p in policies]
said["sets"] = [(s["name"], s["active_version_id"] is not None) for s in client.policy_sets.list(given.zone)]
"""

CALL = """
from caracalai import Caracal
caracal = Caracal.from_client_secret(
    sts_url=given.control, coordinator_url=given.control, gateway_url=given.gateway,
    zone_id=given.zone, application_id=given.application, client_secret=given.secret,
    resources=[given.resource],
)
with caracal.sync_application_transport(given.resource, scopes=given.scopes) as http:
    try:
        answer = http.get(given.gateway + "/json")
        said["status"] = answer.status_code
    except Exception as refused:
        said["status"], said["refused"] = 0, [type(refused).__name__, str(refused)]
"""


@pytest.fixture
def zone(deployment) -> Zone:
    return deployment.zone(policy=None)


def script(zone: Zone, text: str, **given):
    running = zone.deployment.running
    return run_published(
        text,
        control=running.control,
        gateway=running.gateway,
        token=running.token,
        zone=zone.id,
        **given,
    )


def called(zone: Zone, **given):
    agent = zone.agent()
    proof = {"application": agent.application, "secret": agent.secret}
    return script(zone, CALL, **proof, **({"resource": API, "scopes": [READ]} | given))


def test_grants_are_ensured_used_and_taken_away(zone):
    application = zone.agent().application
    ensured = partial(script, zone, ENSURE)
    said = ensured(grants=[[application, API, [READ]]], times=2)
    assert said == {"versions": [1], "sets": [["application-grant-policy", True]]}
    used = called(zone)
    assert used["status"] == 200, used
    said = ensured(grants=[], times=1)
    assert said == {"versions": [2], "sets": [["application-grant-policy", True]]}
    refused = called(zone)
    assert refused["status"] != 200, refused
    entry = zone.evidence(kind="exchange", verdict="refuse")[0]
    assert entry["reason"] == "policy_no_permit"


GOVERN = """
from caracalai_admin import *
client = AdminClient(api_url=given.control, admin_token=given.token)
upstreams = [
    GovernedUpstream(
        provider=GovernedUpstreamProvider(
            name="Orders key", identifier="provider://orders",
            public_config=given.placement, api_key=given.key,
        ),
        resource=GovernedUpstreamResource(
            name="Orders", identifier="resource://orders", scopes=["orders:read"],
            upstream_url=given.upstream, operation_enforcement="transport_uniform",
        ),
        grants=[GovernedUpstreamGrant(given.application, ["orders:read"])],
    )
] if given.governed else []
for _ in range(2):
    results = ensure_governed_upstreams(client, given.zone, upstreams=upstreams)
said["resources"] = [one.resource["identifier"] for one in results]
"""


def test_governed_upstreams_are_converged_called_with_their_key_and_let_go(zone):
    upstream = zone.deployment.upstream
    key = unique("upstream-key-of-orders")
    given = {
        "application": zone.agent().application,
        "upstream": upstream.url,
        "key": key,
        "placement": {"auth_location": "header", "header_name": "X-Api-Key"},
    }
    said = script(zone, GOVERN, governed=True, **given)
    assert said["resources"] == ["resource://orders"]
    orders = {"resource": "resource://orders", "scopes": ["orders:read"]}
    used = called(zone, **orders)
    assert used["status"] == 200, used
    assert any(one.header("x-api-key") == key for one in upstream.received)
    assert script(zone, GOVERN, governed=False, **given) == {"resources": []}
    assert called(zone, **orders)["status"] != 200


def test_a_hand_written_policy_gives_way_to_the_activated_set(deployment):
    zone = deployment.zone()
    agent = zone.agent()
    assert agent.authority().ask().status_code == 200
    script(zone, ENSURE, grants=[[agent.application, API, [READ]]], times=1)
    assert reason(agent.authority().ask()) == "policy_no_permit"
