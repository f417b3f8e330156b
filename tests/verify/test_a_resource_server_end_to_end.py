"""A real application behind a real Gateway lets in what the Gateway sends, and nothing else."""

import json
from datetime import timedelta

from tests.support.deployment import API
from tests.verify.conftest import OTHER

METADATA = "/.well-known/oauth-protected-resource"


def carried(protected, **delegation):
    """Call through the Gateway; the authority, and the mandate that the application was shown."""
    authority = protected.zone.agent().authority(**delegation)
    answer = authority.call("/orders")
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert seen["application"] == authority.agent.application
    assert seen["session"] == authority.session
    return authority, seen["seen"]


def refused(answer, status, error):
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert f'resource_metadata="{answer.request.url.join(METADATA)}"' in challenge
    return challenge


def test_a_call_through_the_gateway_passes_and_the_same_mandate_directly_too(protected, direct):
    _, header = carried(protected)
    assert direct.get("/orders", headers={"authorization": header}).status_code == 200


def test_a_direct_call_without_a_mandate_is_shown_the_way(protected, direct):
    challenge = refused(direct.get("/orders"), 401, "missing_token")
    assert "error=" not in challenge
    metadata = direct.get(METADATA)
    assert metadata.json()["resource"] == protected.url
    [issuer] = metadata.json()["authorization_servers"]
    described = direct.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert described["issuer"] == issuer


def test_an_altered_or_expired_mandate_is_refused(protected, direct):
    _, header = carried(protected)
    scheme, _, token = header.partition(" ")
    head, claims, signature = token.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    altered = direct.get("/x", headers={"authorization": f"{scheme} {head}.{claims}.{flipped}"})
    assert 'error="invalid_token"' in refused(altered, 401, "invalid_token")
    protected.ahead = timedelta(hours=1)
    try:
        answer = direct.get("/x", headers={"authorization": header})
    finally:
        protected.ahead = timedelta(0)
    refused(answer, 401, "invalid_token")
    assert answer.json()["reason"] == "mandate_expired"


def test_a_mandate_of_another_kind_or_for_another_audience_is_refused(protected, direct):
    authority = protected.zone.agent().authority()
    for mandate in (
        authority.mint(),
        authority.agent.token(scope="agent:lifecycle", resource=API).json()["access_token"],
    ):
        answer = direct.get("/x", headers={"authorization": f"Bearer {mandate}"})
        refused(answer, 401, "invalid_token")
        assert answer.json()["reason"] == "mandate_class"
    limits = {"resources": [OTHER]}
    elsewhere = protected.zone.agent().authority(constraints=limits)
    mandate = elsewhere.mint(resource=OTHER)
    answer = elsewhere.use(mandate, "/orders", headers={"x-caracal-resource": OTHER})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.json()["reason"] == "mandate_audience"
    assert answer.headers["www-authenticate"].startswith("Bearer error=")


def test_a_mandate_of_another_zone_is_refused(protected, direct):
    zone = protected.zone.deployment.zone()
    mandate = zone.agent().authority().mint()
    refused(direct.get("/x", headers={"authorization": f"Bearer {mandate}"}), 401, "invalid_zone")


def test_a_route_wants_a_scope_that_the_mandate_lacks(protected, direct):
    _, header = carried(protected)
    answer = direct.get("/admin/x", headers={"authorization": header})
    challenge = refused(answer, 403, "insufficient_scope")
    assert 'scope="api:admin api:read"' in challenge


def test_two_authorization_headers_are_refused_by_a_real_server_too(protected, direct):
    _, header = carried(protected)
    answer = direct.get("/x", headers=[("authorization", header), ("Authorization", header)])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_what_is_public_needs_no_mandate_and_leads_nowhere_else(protected, direct):
    assert direct.get("/health").json()["application"] is None
    answer = direct.send(direct.build_request("GET", protected.url + "/health/%2e%2e/orders"))
    assert answer.status_code == 400


def test_a_revocation_that_the_server_knows_of_ends_the_mandate(protected, direct):
    authority, header = carried(protected)
    assert direct.get("/x", headers={"authorization": header}).status_code == 200
    protected.revocations.revoke(authority.root, protected.now())
    refused(direct.get("/x", headers={"authorization": header}), 401, "session_revoked")


def test_a_rotation_of_the_zones_key_locks_nobody_out(protected, direct):
    zone = protected.zone
    _, before = carried(protected)
    rotate = f"{zone.deployment.running.control}/v1/zones/{zone.name}/keys/rotate"
    for _ in range(3):
        direct.post(rotate, headers=dict(zone.deployment.operator)).raise_for_status()
        _, after = carried(protected)
        assert _kid(after) != _kid(before)
        assert direct.get("/x", headers={"authorization": before}).status_code == 200
        before = after


def _kid(header: str) -> str:
    from caracal.tokens import base64url

    head = header.partition(" ")[2].partition(".")[0]
    return json.loads(base64url.decode(head.encode()))["kid"]
