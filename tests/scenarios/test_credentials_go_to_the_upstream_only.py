"""Each kind of credential reaches the upstream where it belongs, and no agent ever sees one."""

import base64

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.deployment import API, reason, unique, zone_document

SECRET = "upstream-key-7f31d2b9"


def governed(deployment, **provider):
    """An authority in a zone whose resource uses this provider."""
    document = {"name": "custody", **provider}
    resource = {
        "identifier": API,
        "upstream": deployment.upstream.url,
        "provider": "custody",
        "operations": {"GET /{path*}": "api:read"},
    }
    zone = deployment.zone(providers=[document], resources=[resource])
    return zone.agent().authority()


def sent(authority, path="/json", **more):
    """Call, and return what the agent got and what the upstream did."""
    answer = authority.call(path, **more)
    assert answer.status_code == 200, answer.text
    [seen] = authority.agent.zone.deployment.upstream.by_request(answer.headers["x-request-id"])
    return answer, seen


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [
        ({"kind": "bearer_token"}, "authorization", f"Bearer {SECRET}"),
        ({"kind": "bearer_token", "scheme": "token"}, "authorization", f"token {SECRET}"),
        ({"kind": "api_key", "header": "X-Api-Key"}, "x-api-key", SECRET),
        (
            {"kind": "http_basic", "username": "shop"},
            "authorization",
            "Basic " + base64.b64encode(f"shop:{SECRET}".encode()).decode(),
        ),
    ],
    ids=["bearer_token", "bearer_token with a scheme", "api_key", "http_basic"],
)
def test_a_credential_in_a_header(deployment, provider, header, value):
    authority = governed(deployment, secret=SECRET, **provider)
    answer, seen = sent(authority, headers={"x-api-key": "forged by the agent"})
    assert seen.header(header) == value
    assert_unseen(authority, answer)


def test_an_api_key_in_the_query_replaces_what_the_caller_sends(deployment):
    authority = governed(deployment, secret=SECRET, kind="api_key", query_parameter="key")
    answer, seen = sent(authority, "/json?a=1&key=forged&KEY=forged&b=2")
    assert seen.target == f"/json?a=1&b=2&key={SECRET}"
    assert_unseen(authority, answer)


@pytest.mark.parametrize("provider", [None, {"kind": "none"}])
def test_without_a_credential_no_authorization_goes_upstream(deployment, provider):
    authority = (
        deployment.zone().agent().authority()
        if provider is None
        else governed(deployment, **provider)
    )
    _, seen = sent(authority)
    assert seen.header("authorization") is None
    assert not [name for name, _ in seen.headers if "caracal" in name]


def test_a_resource_server_verifies_the_mandate_with_the_published_keys(deployment):
    authority = governed(deployment, kind="caracal_mandate")
    _, seen = sent(authority)
    scheme, _, token = seen.header("authorization").partition(" ")
    assert scheme == "Bearer"
    zone = authority.agent.zone
    keys = KeySet.import_key_set({"keys": zone.keys()})
    decoded = jwt.decode(token, keys, algorithms=["ES256"])
    assert decoded.header["typ"] == "at+jwt"
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": deployment.running.control},
        aud={"essential": True, "value": API},
        exp={"essential": True},
    )
    registry.validate(decoded.claims)
    assert decoded.claims["use"] == "resource"
    assert decoded.claims["scope"] == "api:read"
    assert decoded.claims["agent_session_id"] == authority.session
    assert decoded.claims["act"] == {"sub": authority.agent.application}
    # It is no mandate for the Gateway: the upstream can not act with it.
    again = authority.use(token, "/json")
    assert again.status_code == 401


def test_an_upstream_learns_who_calls_when_the_provider_says_so(deployment):
    authority = governed(deployment, kind="bearer_token", secret=SECRET, forward_identity=True)
    _, seen = sent(authority, headers={"x-caracal-identity": "forged", "x_caracal_identity": "too"})
    assert seen.header("authorization") == f"Bearer {SECRET}"
    keys = KeySet.import_key_set({"keys": authority.agent.zone.keys()})
    claims = jwt.decode(seen.header("x-caracal-identity"), keys, algorithms=["ES256"]).claims
    assert claims["client_id"] == authority.agent.application
    assert seen.header("x_caracal_identity") is None


def test_a_credential_goes_to_no_other_host(deployment, upstream):
    refused = deployment.put_zone(
        zone_document(
            unique("zone"),
            upstream.url,
            providers=[
                {
                    "name": "custody",
                    "kind": "bearer_token",
                    "secret": SECRET,
                    "allowed_hosts": ["api.example.com"],
                }
            ],
            resources=[{"identifier": API, "upstream": upstream.url, "provider": "custody"}],
        )
    )
    assert (refused.status_code, reason(refused)) == (422, "zone_file_invalid")
    assert "127.0.0.1" in refused.text
    assert SECRET not in refused.text


def assert_unseen(authority, answer) -> None:
    """Nothing that any agent or auditor gets holds the credential."""
    zone = authority.agent.zone
    encoded = base64.b64encode(f"shop:{SECRET}".encode()).decode()
    for text in (answer.text, repr(answer.headers), repr(zone.evidence())):
        assert SECRET not in text
        assert encoded not in text
